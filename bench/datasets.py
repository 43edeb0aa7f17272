"""Pairs of picture and sound compared with bare ffmpeg and with the obvious way, on ten minutes: make bench-datasets

Prints a table and writes bench/results/datasets.json. The runs of ours and of bare ffmpeg alternate, so that a busy
moment of the host affects both; CPU time is compared too, which other work on the host affects less.
"""

import json
import os
import statistics
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import psutil
import typer
from rich.console import Console
from rich.progress import track
from rich.table import Table

from bench import hardware
from bench.services import extractor
from reelscribe.media import ffmpeg
from reelscribe.media.ffmpeg import FFmpeg

RESULTS = Path(__file__).parent / "results" / "datasets.json"
FPS = 2
FASTER_THAN_OBVIOUS = 25.0
OVER_BARE = 1.15
MEMORY_MB = 150
FIRST_SAMPLE_MS = 500
LOOPED_SECONDS = 60
SLOTS = 2


def main(
    seconds: Annotated[int, typer.Option(help="Length of the recording; a multiple of 60.")] = 600,
    runs: Annotated[int, typer.Option(help="Runs of ours and of bare ffmpeg; the median counts.")] = 3,
    obvious_pairs: Annotated[int, typer.Option(help="Pairs that are made in the obvious way.")] = 20,
    save: Annotated[bool, typer.Option(help="Write bench/results/datasets.json.")] = True,
) -> None:
    """Measure pairs at two per second and print the results."""
    binary = ffmpeg.locate(None)
    with tempfile.TemporaryDirectory(prefix="reelscribe-bench-") as name:
        bucket = Path(name) / "plain" / "videos"
        bucket.mkdir(parents=True)
        video = make_video(binary, bucket / "talk.mp4", seconds)
        report: dict[str, Any] = {
            "machine": hardware.describe(),
            "ffmpeg": binary.version,
            "recording": f"{seconds} s of 1080p H.264 at 25 pictures per second, {video.stat().st_size / 1e6:.0f} MB",
            "fps": FPS,
            "runs": runs,
            **measure(binary, video, seconds, runs, obvious_pairs),
        }
    show(report)
    if save:
        RESULTS.write_text(json.dumps(report, indent=1) + "\n")


def make_video(binary: FFmpeg, path: Path, seconds: int) -> Path:
    """A video with B-frames and moving noise, and a tone; one minute of it is encoded, and repeated."""
    minute = path.with_name("minute.mp4")
    run = [str(binary.path), "-v", "error", "-nostdin", "-y"]
    subprocess.run(
        [*run, "-f", "lavfi", "-i", f"testsrc2=size=1920x1080:rate=25:duration={LOOPED_SECONDS}",
         "-f", "lavfi", "-i", f"anoisesrc=amplitude=0.1:sample_rate=48000:duration={LOOPED_SECONDS}",
         "-vf", "noise=alls=6:allf=t", "-pix_fmt", "yuv420p", "-c:v", "libx264", "-preset", "veryfast", "-b:v", "4M",
         "-g", "125", "-c:a", "aac", "-b:a", "128k", str(minute)],
        check=True,
    )  # fmt: skip
    repeats = str(seconds // LOOPED_SECONDS - 1)
    subprocess.run([*run, "-stream_loop", repeats, "-i", str(minute), "-c", "copy", str(path)], check=True)
    minute.unlink()
    return path


def measure(binary: FFmpeg, video: Path, seconds: int, runs: int, obvious_pairs: int) -> dict[str, Any]:
    """All figures."""
    ours, bares, firsts, ours_cpu, bares_cpu = [], [], [], [], []
    with extractor(video.parent, max_decoders=SLOTS) as (url, process):
        pairs(url, {"timestamps": [1.0]})
        idle = held_bytes(process)
        with peak_memory(process) as short:
            pairs(url, {"fps": FPS, "duration": min(60.0, seconds / 2)})
        with peak_memory(process) as long:
            for _ in track(range(runs), description="pairs, and bare ffmpeg"):
                with peak_memory(process) as held:
                    first, total = pairs(url, {"fps": FPS})
                ours_cpu.append(held["cpu"])
                ours.append(total)
                firsts.append(first)
                took, cpu = bare(binary, video)
                bares.append(took)
                bares_cpu.append(cpu)
        growth = held_bytes(process) - idle
        obvious_s = obvious(binary, video, seconds, obvious_pairs) * seconds * FPS
        behind = while_busy(url)
    ours_s, bare_s = statistics.median(ours), statistics.median(bares)
    return {
        "pairs": seconds * FPS,
        "ours_s": ours_s,
        "bare_s": bare_s,
        "ratio": ours_s / bare_s,
        "ratio_limit": OVER_BARE,
        "cpu_ratio": statistics.median(ours_cpu) / statistics.median(bares_cpu),
        "obvious_pairs": obvious_pairs,
        "obvious_s": obvious_s,
        "faster": obvious_s / ours_s,
        "faster_limit": FASTER_THAN_OBVIOUS,
        "first_sample_ms": statistics.median(firsts) * 1000,
        "first_sample_limit_ms": FIRST_SAMPLE_MS,
        "memory_growth_mb": growth / 1e6,
        "memory_mb": long["service"] / 1e6,
        "memory_limit_mb": MEMORY_MB,
        "decoding_mb": long["decoding"] / 1e6,
        "request_mb": (long["service"] + long["decoding"]) / 1e6,
        "others_mb": long["others"] / 1e6,
        "decoding_of_a_minute_mb": short["decoding"] / 1e6,
        **behind,
    }


def pairs(url: str, body: dict[str, Any]) -> tuple[float, float]:
    """Seconds to the first and to the last byte of a tar."""
    return posted(f"{url}/extract-pairs", body)


def posted(url: str, body: dict[str, Any]) -> tuple[float, float]:
    """Seconds to the first and to the last byte of an answer, with curl as the client."""
    completed = subprocess.run(
        ["curl", "-sS", "--fail", url, "-H", "Content-Type: application/json", "-d",
         json.dumps({"savepath": "talk.mp4", **body}), "-o", "/dev/null", "-w", "%{time_starttransfer} %{time_total}"],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    first, total = map(float, completed.stdout.split())
    return first, total


def bare(binary: FFmpeg, video: Path) -> tuple[float, float]:
    """Seconds, and CPU seconds, of one ffmpeg that makes all pictures and all of the sound."""
    with tempfile.TemporaryDirectory(prefix="reelscribe-bench-") as folder:
        before, started = os.times(), time.perf_counter()
        subprocess.run(
            [binary.path, "-v", "error", "-nostdin", "-i", video, "-vf", f"fps={FPS}", "-q:v", "4",
             f"{folder}/%06d.jpg", "-vn", f"{folder}/sound.wav"],
            check=True,
        )  # fmt: skip
        took, after = time.perf_counter() - started, os.times()
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return took, cpu


def obvious(binary: FFmpeg, video: Path, seconds: int, count: int) -> float:
    """Seconds for a pair if each is made by a seek and two runs of ffmpeg; the mean of some, evenly spread."""
    started = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="reelscribe-bench-") as folder:
        for number in track(range(count), description="the obvious way"):
            moment = (number + 0.5) * seconds / count
            for options in (
                ("-ss", f"{moment}", "-i", video, "-frames:v", "1", "-q:v", "4", f"{folder}/picture.jpg"),
                ("-ss", f"{moment - 0.25}", "-t", "0.5", "-i", video, "-vn", f"{folder}/sound.wav"),
            ):
                subprocess.run([binary.path, "-v", "error", "-nostdin", "-y", *options], check=True)
    return (time.perf_counter() - started) / count


def while_busy(url: str) -> dict[str, float]:
    """How long others wait while long requests hold all slots for pictures: for one pair, and for audio."""
    body = json.dumps({"savepath": "talk.mp4", "fps": FPS})
    command = ["curl", "-sS", "-N", f"{url}/extract-pairs", "-H", "Content-Type: application/json", "-d", body]
    busy = [subprocess.Popen([*command, "-o", "/dev/null"]) for _ in range(SLOTS + 1)]
    try:
        time.sleep(2)
        one_pair, _ = pairs(url, {"timestamps": [2.0]})
        audio, _ = posted(f"{url}/extract-audio", {"duration": 5.0})
    finally:
        for process in busy:
            process.terminate()
            process.wait()
    return {"busy": len(busy), "busy_one_pair_ms": one_pair * 1000, "busy_audio_ms": audio * 1000}


@contextmanager
def peak_memory(process: psutil.Process) -> Iterator[dict[str, float]]:
    """The most bytes that are held during the block, and CPU time.

    Of the service, of the process that decodes pictures, and of all others: what decodes the sound, and what waits.
    """
    used, ended = {"service": 0.0, "decoding": 0.0, "others": 0.0, "cpu": 0.0}, threading.Event()
    seconds: dict[int, float] = {}
    before = sum(process.cpu_times()[:2])

    def look() -> None:
        while not ended.wait(0.05):
            held = [0.0]
            for child in process.children(recursive=True):
                try:
                    held.append(held_bytes(child))
                    seconds[child.pid] = sum(child.cpu_times()[:2])
                except psutil.Error:
                    continue
            decoding = max(held)  # the others hold a third of it
            used["service"] = max(used["service"], held_bytes(process))
            used["decoding"] = max(used["decoding"], decoding)
            used["others"] = max(used["others"], sum(held) - decoding)

    looking = threading.Thread(target=look)
    looking.start()
    try:
        yield used
    finally:
        ended.set()
        looking.join()
        used["cpu"] = sum(seconds.values()) + sum(process.cpu_times()[:2]) - before


def held_bytes(process: psutil.Process) -> float:
    """Its own memory, and of what it shares its part (PSS): a library that three processes use counts once for all."""
    return float(process.memory_full_info().pss)


def show(report: dict[str, Any]) -> None:
    """Print the report as a table."""
    table = Table(title=f"{report['recording']}; {report['machine']}; ffmpeg {report['ffmpeg']}")
    for heading in (f"{report['pairs']} pairs", "measured", "limit"):
        table.add_column(heading, justify="left" if "pairs" in heading else "right")
    for what, measured, limit in rows(report):
        table.add_row(what, measured, limit)
    Console(width=max(120, Console().width)).print(table)


def rows(report: dict[str, Any]) -> list[tuple[str, str, str]]:
    """What is shown, here and in the docs."""
    return [
        ("all pairs", f"{report['ours_s']:.1f} s", ""),
        ("one bare ffmpeg for all pictures and the sound", f"{report['bare_s']:.1f} s", ""),
        ("ours over bare ffmpeg", f"{report['ratio']:.2f}", f"{report['ratio_limit']:.2f}"),
        ("the same, CPU time", f"{report['cpu_ratio']:.2f}", ""),
        (
            f"a seek and two runs of ffmpeg for each pair, from {report['obvious_pairs']} of them",
            f"{report['obvious_s']:.0f} s",
            "",
        ),
        ("times as fast as that", f"{report['faster']:.0f}", f"{report['faster_limit']:.0f}"),
        ("first sample after", f"{report['first_sample_ms']:.0f} ms", f"{report['first_sample_limit_ms']} ms"),
        ("memory of the service", f"{report['memory_mb']:.0f} MB", ""),
        ("of the process that decodes the pictures", f"{report['decoding_mb']:.0f} MB", ""),
        ("the same with a minute instead of all", f"{report['decoding_of_a_minute_mb']:.0f} MB", ""),
        ("service and that process together", f"{report['request_mb']:.0f} MB", f"{report['memory_limit_mb']} MB"),
        ("all others: ffmpeg for the sound, and what waits ready", f"{report['others_mb']:.0f} MB", ""),
        (f"one pair, while {report['busy']} requests for all pairs run", f"{report['busy_one_pair_ms']:.0f} ms", ""),
        ("first byte of audio then", f"{report['busy_audio_ms']:.0f} ms", ""),
    ]


if __name__ == "__main__":
    typer.run(main)
