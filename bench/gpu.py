"""The transcriber and faster-whisper on a GPU, with the same weights: make bench-gpu

Prints a table and writes bench/results/gpu.json. It takes less than four minutes, and installs nothing: tiny.en has to
be there already. Ratios compare medians of the same run; the runs of one row alternate.
"""

import asyncio
import json
import re
import statistics
import tempfile
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import ctranslate2
import httpx
import typer
from rich.console import Console
from rich.table import Table

from bench import hardware
from bench.baselines import bare
from bench.client import Client, Measured
from bench.recordings import extract, make_clips, make_video
from bench.services import extractor, transcriber
from reelscribe.media import ffmpeg
from tools.random_model import make_model

RESULTS = Path(__file__).parent / "results" / "gpu.json"
LANGUAGE = {"language": "en"}
CALLS = re.compile(r"^reelscribe_batch_windows_(sum|count) (\S+)$", re.MULTILINE)


class Weights(NamedTuple):
    """A row of the table; ``shape`` is that of random weights."""

    name: str
    compute_type: str
    shape: str | None = None


ROWS = (Weights("tiny.en", "int8"), Weights("random, large-v3-turbo", "float16", "large-v3-turbo"))
QUICK_ROWS = (Weights("random, nano", "int8", "nano"),)


def main(
    runs: Annotated[int, typer.Option(help="Runs of each row; the median counts.")] = 3,
    seconds: Annotated[int, typer.Option(help="Length of the long recording.")] = 900,
    clips: Annotated[int, typer.Option(help="Clips submitted at the same time.")] = 64,
    batch_size: Annotated[int, typer.Option(help="Windows that go through the model together, on both sides.")] = 16,
    quick: Annotated[
        bool, typer.Option("--quick", help="Tiny models on the CPU, to try it; nothing is saved.")
    ] = False,
) -> None:
    """Measure the transcriber on a GPU and print the results."""
    if not quick and not ctranslate2.get_cuda_device_count():
        raise SystemExit("CTranslate2 sees no CUDA GPU here; make bench-transcriber measures on the CPU.")
    device = "cpu" if quick else "cuda"
    with tempfile.TemporaryDirectory(prefix="reelscribe-bench-") as name:
        folder = Path(name)
        bucket = folder / "videos"
        bucket.mkdir()
        binary = ffmpeg.locate(None)
        wav = extract(binary, make_video(binary, bucket / "video.mp4", seconds), folder / "video.wav")
        made = make_clips(bucket, clips)
        rows = [
            measured(weights, folder, bucket, wav, made, device, batch_size, runs)
            for weights in (QUICK_ROWS if quick else ROWS)
        ]
    report = {
        "machine": hardware.describe(),
        "seconds": seconds,
        "clips": clips,
        "batch_size": batch_size,
        "runs": runs,
        "rows": rows,
    }
    show(report)
    if not quick:
        RESULTS.parent.mkdir(exist_ok=True)
        RESULTS.write_text(json.dumps(report, indent=1) + "\n")


def measured(
    weights: Weights, folder: Path, bucket: Path, wav: Path, clips: list[Path], device: str, batch_size: int, runs: int
) -> dict[str, Any]:
    """A long recording and many clips, through extractor and transcriber, and with faster-whisper directly."""
    model = str(make_model(folder / weights.shape, weights.shape)) if weights.shape else weights.name
    settings = {
        "model": model,
        "device": device,
        "compute_type": weights.compute_type,
        "batch_size": batch_size,
        "max_jobs": len(clips),
    }
    batched = {**LANGUAGE, "batch_size": batch_size, "without_timestamps": False}
    with (
        extractor(bucket, queue_length=len(clips)) as (c_url, _),
        transcriber(c_url, **settings) as (url, _),
        bare.process(model, url, 0) as faster_whisper,
    ):
        asyncio.run(transcribe_all(url, [clips[0].name]))
        faster_whisper("BatchedInferencePipeline", clips[:1], **batched)
        long, pipeline, together, loop, fills = [], [], [], [], []
        for _ in range(runs):
            before = calls(url)
            long += asyncio.run(transcribe_all(url, ["video.mp4"]))
            fills.append(fill(before, calls(url), batch_size))
            pipeline += faster_whisper("BatchedInferencePipeline", [wav], **batched)
            together.append(max(one.total_s for one in asyncio.run(transcribe_all(url, [one.name for one in clips]))))
            loop.append(sum(took.seconds for took in faster_whisper("WhisperModel", clips, **LANGUAGE)))
    long_s = statistics.median(one.total_s for one in long)
    pipeline_s = statistics.median(took.seconds for took in pipeline)
    clips_s, loop_s = statistics.median(together), statistics.median(loop)
    return {
        "model": weights.name,
        "compute_type": weights.compute_type,
        "long_s": long_s,
        "pipeline_s": pipeline_s,
        "long_ratio": long_s / pipeline_s,
        "first_segment_s": statistics.median(one.first_s for one in long),
        "fill": statistics.median(fills),
        "clips_s": clips_s,
        "loop_s": loop_s,
        "clips_ratio": clips_s / loop_s,
    }


async def transcribe_all(url: str, savepaths: list[str]) -> list[Measured]:
    """Send the transcriber requests for all savepaths at the same time."""
    async with Client(url) as client:
        return await asyncio.gather(*(client.transcribe(savepath, **LANGUAGE) for savepath in savepaths))


def calls(url: str) -> dict[str, float]:
    """How many calls of the model there were (``count``), and windows in them (``sum``)."""
    return {name: float(number) for name, number in CALLS.findall(httpx.get(f"{url}/metrics").text)}


def fill(before: dict[str, float], after: dict[str, float], batch_size: int) -> float:
    """The windows in the calls since ``before``, as a share of those that would have fitted."""
    return (after["sum"] - before["sum"]) / (after["count"] - before["count"]) / batch_size


def show(report: dict[str, Any]) -> None:
    """Print the report as a table."""
    console = Console(width=max(130, Console().width), highlight=False)
    console.print(report["machine"])
    table = Table(title=f"{report['seconds']} s of video, and {report['clips']} clips at the same time")
    for heading in (
        "weights",
        "video",
        "of Batched, timestamps",
        "first segment",
        "batches filled",
        "clips",
        "of loop",
    ):
        table.add_column(heading, justify="left" if heading == "weights" else "right")
    for row in report["rows"]:
        table.add_row(
            f"{row['model']}, {row['compute_type']}",
            f"{row['long_s']:.1f} s",
            f"{row['long_ratio']:.2f}",
            f"{row['first_segment_s']:.2f} s",
            f"{row['fill']:.0%}",
            f"{row['clips_s']:.1f} s",
            f"{row['clips_ratio']:.2f}",
        )
    console.print(table)


if __name__ == "__main__":
    typer.run(main)
