"""The extractor compared with bare ffmpeg and with the simplest server, on one hour of video: make bench-extractor

Prints a table and writes bench/results/extractor.json. Every ratio compares medians of the same run; the runs of a row
alternate, so that a busy moment of the host affects all of them.
"""

import asyncio
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import psutil
import typer
from rich.console import Console
from rich.progress import track
from rich.table import Table

from bench import hardware
from bench.recordings import make_video
from bench.services import extractor, served
from reelscribe.media import ffmpeg
from reelscribe.media.ffmpeg import FFmpeg
from tests.extractor_api.minio_drive import Version, format_drive, write_object

RESULTS = Path(__file__).parent / "results" / "extractor.json"


@dataclass(frozen=True)
class Format:
    """One row: a request to the extractor, and ffmpeg's arguments for the same."""

    name: str
    body: dict[str, Any]
    arguments: tuple[str, ...]
    limit: float


FORMATS = [
    Format(
        "wav, 16 kHz mono",
        {"audio_format": "wav", "sample_rate": 16000, "channels": 1},
        ("-ar", "16000", "-ac", "1", "-c:a", "pcm_s16le", "-f", "wav"),
        1.05,
    ),
    Format("flac", {"audio_format": "flac"}, ("-c:a", "flac", "-sample_fmt", "s16", "-f", "flac"), 1.05),
    Format(
        "mp3, 320 kbit/s",
        {"audio_format": "mp3"},
        ("-c:a", "libmp3lame", "-b:a", "320k", "-compression_level", "7", "-f", "mp3"),
        1.05,
    ),
    Format("wav, full rate", {"audio_format": "wav"}, ("-c:a", "pcm_s16le", "-f", "wav"), 1.15),
]


def main(
    runs: Annotated[int, typer.Option(help="Runs of each row; the median counts.")] = 5,
    seconds: Annotated[int, typer.Option(help="Length of the recording.")] = 3600,
    only: Annotated[str, typer.Option(help="Only rows whose name contains this; nothing is saved then.")] = "",
) -> None:
    """Measure the extractor and print the results."""
    binary = ffmpeg.locate(None)
    with tempfile.TemporaryDirectory(prefix="reelscribe-bench-") as name:
        bucket = Path(name) / "plain" / "videos"
        bucket.mkdir(parents=True)
        make_video(binary, bucket / "hour.mp4", seconds)
        report: dict[str, Any] = {
            "machine": hardware.describe(),
            "ffmpeg": binary.version,
            "recording": f"{seconds} s, {(bucket / 'hour.mp4').stat().st_size / 1e9:.2f} GB",
            "runs": runs,
        }
        rows = [row for row in FORMATS if only in row.name]
        report["formats"] = [measure_format(row, binary, bucket, runs) for row in rows]
        if not only:
            report["sixteen_concurrently"] = measure_many(binary, bucket)
            report["xl_meta"] = measure_xl(binary, bucket, Path(name) / "xl", max(3, runs))
            report["sandbox_start_ms"] = measure_sandbox(binary)
    show(report)
    if not only:
        RESULTS.parent.mkdir(exist_ok=True)
        RESULTS.write_text(json.dumps(report, indent=1) + "\n")


@contextmanager
def obvious_server(bucket: Path) -> Iterator[tuple[str, psutil.Process]]:
    """Run the simplest server: the complete audio into memory, then out in chunks."""
    with (
        tempfile.TemporaryDirectory() as name,
        served([sys.executable, "-m", "bench.baselines.obvious_server", str(bucket)], Path(name)) as running,
    ):
        yield running


def fetch(url: str, savepath: str, body: dict[str, Any]) -> tuple[float, float, int]:
    """Seconds to the first and to the last byte of the body, and its length in bytes, with curl as the client."""
    completed = subprocess.run(
        ["curl", "-sS", "--fail", "-X", "POST", f"{url}/extract-audio", "-H", "Content-Type: application/json", "-d",
         json.dumps({"savepath": savepath, **body}), "-o", "/dev/null", "-w",
         "%{time_starttransfer} %{time_total} %{size_download}"],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    first, total, size = completed.stdout.split()
    return float(first), float(total), int(size)


def bare(binary: FFmpeg, path: Path, arguments: tuple[str, ...]) -> float:
    """Seconds of ``ffmpeg … pipe:1 | cat >/dev/null``."""
    started = time.perf_counter()
    with subprocess.Popen(
        [binary.path, "-v", "error", "-nostdin", "-i", path, "-vn", *arguments, "pipe:1"], stdout=subprocess.PIPE
    ) as running:
        subprocess.run(["cat"], stdin=running.stdout, stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - started


def measure_format(row: Format, binary: FFmpeg, bucket: Path, runs: int) -> dict[str, Any]:
    """Measure one row of the table."""
    bares, ours, firsts, obvious = [], [], [], []
    with extractor(bucket) as (url, process), obvious_server(bucket) as (obvious_url, _):
        fetch(url, "hour.mp4", {**row.body, "duration": 60})
        before_cpu, before_rss = sum(process.cpu_times()[:2]), process.memory_info().rss
        size = 0
        for _ in track(range(runs), description=row.name):
            bares.append(bare(binary, bucket / "hour.mp4", row.arguments))
            first, total, size = fetch(url, "hour.mp4", row.body)
            ours.append(total)
            firsts.append(first)
            obvious.append(fetch(obvious_url, "hour.mp4", {"arguments": row.arguments}))
        cpu = sum(process.cpu_times()[:2]) - before_cpu
        growth = process.memory_info().rss - before_rss
    return {
        "format": row.name,
        "limit": row.limit,
        "bare_s": statistics.median(bares),
        "ours_s": statistics.median(ours),
        "ratio": statistics.median(ours) / statistics.median(bares),
        "first_byte_ms": statistics.median(firsts) * 1000,
        "obvious_first_byte_ms": statistics.median(first for first, _, _ in obvious) * 1000,
        "obvious_ratio": statistics.median(total for _, total, _ in obvious) / statistics.median(bares),
        "memory_growth_mb": growth / 1e6,
        "server_cpu_s_per_gb": cpu / (runs * size / 1e9),
    }


def measure_many(binary: FFmpeg, bucket: Path, count: int = 16) -> dict[str, float]:
    """Compare sixteen concurrent requests with sixteen runs of bare ffmpeg, two at a time."""
    row = FORMATS[0]

    async def all_bare() -> None:
        slots = asyncio.Semaphore(2)

        async def one() -> None:
            async with slots:
                await asyncio.to_thread(bare, binary, bucket / "hour.mp4", row.arguments)

        await asyncio.gather(*(one() for _ in range(count)))

    async def all_ours(url: str) -> None:
        await asyncio.gather(*(asyncio.to_thread(fetch, url, "hour.mp4", row.body) for _ in range(count)))

    with extractor(bucket, max_ffmpeg=2) as (url, _):
        bares, ours = [], []
        for _ in track(range(3), description=f"{count} concurrently"):
            bares.append(timed(lambda: asyncio.run(all_bare())))
            ours.append(timed(lambda: asyncio.run(all_ours(url))))
    bare_s, ours_s = statistics.median(bares), statistics.median(ours)
    return {"bare_s": bare_s, "ours_s": ours_s, "ratio": ours_s / bare_s, "limit": 1.05}


def measure_xl(binary: FFmpeg, bucket: Path, data_path: Path, runs: int) -> dict[str, float]:
    """Compare MinIO's xl.meta layout with a plain file of the same bytes, both through the extractor."""
    (data_path / "videos").mkdir(parents=True)
    format_drive(data_path)
    content = (bucket / "hour.mp4").read_bytes()
    part_bytes = 64 << 20
    parts = [content[at : at + part_bytes] for at in range(0, len(content), part_bytes)]
    write_object(data_path / "videos", "hour.mp4", [Version(parts)])
    del content, parts
    plain, xl = [], []
    with extractor(bucket) as (plain_url, _), extractor(data_path / "videos") as (xl_url, _):
        fetch(xl_url, "hour.mp4", FORMATS[0].body)
        for _ in track(range(runs), description="xl.meta"):
            plain.append(fetch(plain_url, "hour.mp4", FORMATS[0].body)[1])
            xl.append(fetch(xl_url, "hour.mp4", FORMATS[0].body)[1])
    plain_s, xl_s = statistics.median(plain), statistics.median(xl)
    return {"plain_s": plain_s, "xl_s": xl_s, "ratio": xl_s / plain_s, "limit": 1.10}


def measure_sandbox(binary: FFmpeg, runs: int = 20) -> dict[str, float | str | None]:
    """Milliseconds that the sandbox adds to the start of a program."""
    command = [shutil.which("true") or "/bin/true"]
    sandboxed = binary.sandbox.wrap(command, cpu_seconds=10)
    alone = statistics.median(timed(lambda: subprocess.run(command)) for _ in range(runs))
    inside = statistics.median(timed(lambda: subprocess.run(sandboxed)) for _ in range(runs))
    return {"added": (inside - alone) * 1000, "limit": 20.0, "weakness": binary.sandbox.weakness}


def timed(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def show(report: dict[str, Any]) -> None:
    """Print the report as tables."""
    console = Console(width=max(132, Console().width))
    table = Table(title=f"{report['recording']}; {report['machine']}; ffmpeg {report['ffmpeg']}")
    for heading in ("format", "bare ffmpeg", "the extractor", "ratio", "limit", "first byte",
                    "obvious: first byte", "ratio", "memory", "CPU / GB"):  # fmt: skip
        table.add_column(heading, justify="left" if heading == "format" else "right")
    for row in report["formats"]:
        table.add_row(
            row["format"], f"{row['bare_s']:.2f} s", f"{row['ours_s']:.2f} s", f"{row['ratio']:.3f}",
            f"{row['limit']:.2f}", f"{row['first_byte_ms']:.0f} ms", f"{row['obvious_first_byte_ms']:.0f} ms",
            f"{row['obvious_ratio']:.3f}", f"{row['memory_growth_mb']:+.1f} MB", f"{row['server_cpu_s_per_gb']:.2f} s",
        )  # fmt: skip
    console.print(table)
    for name, wording in (("sixteen_concurrently", "16 concurrent requests over 16 bare, two at a time"),
                          ("xl_meta", "from xl.meta over a plain file")):  # fmt: skip
        if name in report:
            console.print(f"{wording}: {report[name]['ratio']:.3f} (limit {report[name]['limit']:.2f})")
    if sandbox := report.get("sandbox_start_ms"):
        console.print(f"sandbox: {sandbox['added']:.1f} ms per start (limit 20){sandbox['weakness'] or ''}")


if __name__ == "__main__":
    typer.run(main)
