"""The transcriber compared with faster-whisper called directly, with the same model: make bench-transcriber

Prints tables and writes bench/results/transcriber.json, or transcriber-cuda.json if there is a GPU. Every ratio
compares medians of the same run; the runs of one row alternate, so that a busy moment of the host affects all of them.
"""

import asyncio
import json
import os
import statistics
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path
from shutil import copy
from typing import Annotated, Any, Literal

import ctranslate2
import psutil
import typer
from rich.console import Console
from rich.progress import track
from rich.table import Table

from bench import hardware
from bench.baselines import bare
from bench.client import Client, Measured
from bench.mixes import recordings
from bench.recordings import FOLDER, extract, make_clips, make_video
from bench.services import extractor, transcriber
from reelscribe.media import ffmpeg
from reelscribe.media.ffmpeg import FFmpeg
from tools.random_model import make_model

RESULTS = Path(__file__).parent / "results"
CLIP_SECONDS = 5
CLIP_TOKENS = 20
"""The number of tokens that models with random weights produce for a clip: about as many as 5 s of speech has."""
SECOND_PASS = "no pause at all"
"""The recording of the accuracy bench with the poorest results: nearly all of it needs a second pass."""
LANGUAGE = {"language": "en"}
SAMPLE_EVERY_SECONDS = 0.02
CORES = os.sched_getaffinity(0)


@dataclass(frozen=True)
class Model:
    """A row of the table of clips; ``shape`` is that of the random weights.

    Attributes:
        on_cpu: clips and runs without a GPU, if the full number would take hours.
    """

    name: str
    shape: str | None = None
    audio_context: Literal["full", "fitted"] = "full"
    limit: float | None = 2.0
    on_cpu: tuple[int, int] | None = None


MODELS = [
    Model("mini"),
    Model("mini, audio_context = fitted", audio_context="fitted"),
    Model("random weights, shape of base", "base", on_cpu=(16, 3)),
    Model("random weights, shape of base, fitted", "base", "fitted", on_cpu=(16, 3)),
    Model("random weights, shape of large-v3-turbo", "large-v3-turbo", on_cpu=(4, 1)),
    Model("random weights, shape of large-v3-turbo, fitted", "large-v3-turbo", "fitted", on_cpu=(4, 1)),
]


def main(
    runs: Annotated[int, typer.Option(help="Runs of each row; the median counts.")] = 5,
    seconds: Annotated[int, typer.Option(help="Length of the long recording.")] = 1800,
    clips: Annotated[int, typer.Option(help="Clips submitted at the same time.")] = 64,
    batch_size: Annotated[int, typer.Option(help="Windows that go through the model together, for both sides.")] = 8,
    threads: Annotated[int, typer.Option(help="CPU threads of the model, for both sides.")] = len(CORES),
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    only: Annotated[str, typer.Option(help="Only rows whose name contains this; nothing is saved then.")] = "",
) -> None:
    """Measure the transcriber and print the results."""
    if device == "auto":
        device = "cuda" if ctranslate2.get_cuda_device_count() else "cpu"
    report: dict[str, Any] = {"machine": hardware.describe(), "device": device, "runs": runs, "batch_size": batch_size}
    with tempfile.TemporaryDirectory(prefix="reelscribe-bench-") as name:
        bench = Bench(Path(name), ffmpeg.locate(None), device, batch_size, threads)
        if only in "long recording":
            report["long"] = bench.long_recording(seconds, runs)
        if only in SECOND_PASS:
            report["second_pass"] = bench.second_pass(runs)
        report["clips"] = [
            bench.clips(model, *(model.on_cpu if device == "cpu" and model.on_cpu else (clips, runs)))
            for model in MODELS
            if only in model.name
        ]
    show(report)
    if not only:
        RESULTS.mkdir(exist_ok=True)
        file = RESULTS / ("transcriber.json" if device == "cpu" else f"transcriber-{device}.json")
        file.write_text(json.dumps(report, indent=1) + "\n")


@dataclass(frozen=True)
class Bench:
    """The folder of the recordings, and what both sides compute with."""

    folder: Path
    binary: FFmpeg
    device: str
    batch_size: int
    threads: int

    def long_recording(self, seconds: int, runs: int) -> dict[str, Any]:
        """Compare a video from the bucket, through both services, with its finished WAV in faster-whisper."""
        bucket = self._bucket("long")
        video = make_video(self.binary, bucket / "video.mp4", seconds)
        wav = extract(self.binary, video, self.folder / "video.wav")
        copy(FOLDER / "minute.flac", bucket)
        with (
            extractor(bucket) as (c_url, _),
            transcriber(c_url, **self._settings) as (url, process),
            bare.process("mini", url, self.threads) as faster_whisper,
        ):
            with_timestamps = {**LANGUAGE, "batch_size": self.batch_size, "without_timestamps": False}
            as_shipped = {**LANGUAGE, "batch_size": self.batch_size}
            ours, bares, shipped = [], [], []
            with PeakMemory(process) as memory:
                asyncio.run(transcribe_all(url, ["minute.flac"]))
                faster_whisper("BatchedInferencePipeline", [FOLDER / "minute.flac"], **with_timestamps)
                for _ in track(range(runs), description="long recording"):
                    bares += faster_whisper("BatchedInferencePipeline", [wav], **with_timestamps)
                    ours += asyncio.run(transcribe_all(url, ["video.mp4"]))
                    shipped += faster_whisper("BatchedInferencePipeline", [wav], **as_shipped)
            (sequential,) = asyncio.run(transcribe_all(url, ["video.mp4"], mode="sequential"))
        ours_s = statistics.median(one.total_s for one in ours)
        bare_s, shipped_s = (statistics.median(took.seconds for took in those) for those in (bares, shipped))
        work = [one.work.stages for one in ours if one.work]
        return {
            "seconds": seconds,
            "threads": self.threads,
            "ours_s": ours_s,
            "bare_s": bare_s,
            "ratio": ours_s / bare_s,
            "limit": 1.0,
            "sequential_ratio": sequential.total_s / ours_s,
            "bare_default_s": shipped_s,
            "bare_default_ratio": ours_s / shipped_s,
            "first_segment_s": statistics.median(one.first_s for one in ours),
            "first_segment_limit_s": 2.0,
            "memory_mb": memory.above_idle / 1e6,
            "memory_limit_mb": 300,
            "busy": {stage: statistics.median(shares[stage] for shares in work) for stage in work[0]},
            "busy_limit": 0.95,
            "tokens": [ours[0].tokens, bares[0].tokens],
        }

    def second_pass(self, runs: int) -> dict[str, Any]:
        """Measure what the second pass costs in the recording that needs it most."""
        bucket = self._bucket("second pass")
        (recording,) = recordings(bucket, SECOND_PASS)
        with_timestamps = {**LANGUAGE, "batch_size": self.batch_size, "without_timestamps": False}
        with (
            extractor(bucket) as (c_url, _),
            transcriber(c_url, **self._settings) as (url, _),
            bare.process("mini", url, self.threads) as faster_whisper,
        ):
            ours, bares = [], []
            for _ in track(range(runs), description=recording.name):
                bares += faster_whisper("BatchedInferencePipeline", [recording.path], **with_timestamps)
                ours += asyncio.run(transcribe_all(url, [recording.path.name]))
        ours_s = statistics.median(one.total_s for one in ours)
        bare_s = statistics.median(took.seconds for took in bares)
        return {"recording": recording.name, "ours_s": ours_s, "bare_s": bare_s, "ratio": ours_s / bare_s}

    def clips(self, model: Model, count: int, runs: int) -> dict[str, Any]:
        """Compare short recordings submitted at the same time with a loop over them."""
        bucket = self._bucket(model.name)
        clips = make_clips(bucket, count, CLIP_SECONDS)
        loaded = self._loadable(model)
        settings = {**self._settings, "audio_context": model.audio_context}
        with (
            extractor(bucket, queue_length=count) as (c_url, _),
            transcriber(c_url, model=loaded, max_jobs=count, **settings) as (
                url,
                _,
            ),
            bare.process(loaded, url, self.threads) as faster_whisper,
        ):
            one_by_one = {**LANGUAGE, "condition_on_previous_text": False}
            batched = {**LANGUAGE, "batch_size": self.batch_size, "without_timestamps": False}
            asyncio.run(transcribe_all(url, [clips[0].name]))
            faster_whisper("WhisperModel", clips[:1], **one_by_one)
            faster_whisper("BatchedInferencePipeline", clips[:1], **batched)
            ours, loops, batched_loops = [], [], []
            for _ in track(range(runs), description=model.name):
                loops.append(faster_whisper("WhisperModel", clips, **one_by_one))
                ours.append(asyncio.run(transcribe_all(url, [clip.name for clip in clips])))
                batched_loops.append(faster_whisper("BatchedInferencePipeline", clips, **batched))
            batch = clips[: self.batch_size]
            encoder_s = faster_whisper("encoder", batch)[0].seconds * count / len(batch)
        ours_s = statistics.median(max(one.total_s for one in run) for run in ours)
        loop_s, batched_s = (
            statistics.median(sum(took.seconds for took in run) for run in those) for those in (loops, batched_loops)
        )
        latencies = sorted(one.total_s for run in ours for one in run)
        return {
            "model": model.name,
            "clips": count,
            "runs": runs,
            "ours_s": ours_s,
            "loop_s": loop_s,
            "ratio": loop_s / ours_s,
            "limit": model.limit,
            "batched_loop_s": batched_s,
            "batched_ratio": batched_s / ours_s,
            "p50_s": statistics.median(latencies),
            "p95_s": latencies[min(len(latencies) - 1, int(len(latencies) * 0.95))],
            "max_s": latencies[-1],
            "encoder_s": encoder_s,
            "tokens": [sum(one.tokens for one in ours[0]), sum(took.tokens for took in loops[0])],
        }

    @property
    def _settings(self) -> dict[str, object]:
        """Settings of the transcriber; all others have their defaults."""
        return {"device": self.device, "batch_size": self.batch_size, "cpu_threads": self.threads}

    def _bucket(self, name: str) -> Path:
        bucket = self.folder / name.replace(" ", "-") / "videos"
        bucket.mkdir(parents=True)
        return bucket

    def _loadable(self, model: Model) -> str:
        if model.shape is None:
            return "mini"
        made = self.folder / model.shape
        return str(made if made.exists() else make_model(made, model.shape, tokens_per_window=CLIP_TOKENS))


async def transcribe_all(url: str, savepaths: list[str], **options: object) -> list[Measured]:
    """Send the transcriber requests for all savepaths at the same time."""
    async with Client(url) as client:
        return await asyncio.gather(*(client.transcribe(savepath, **LANGUAGE, **options) for savepath in savepaths))


class PeakMemory:
    """The peak memory of a process during the block, in bytes above its memory at the start."""

    def __init__(self, process: psutil.Process) -> None:
        self._process = process
        self._idle = process.memory_info().rss
        self._peak = self._idle
        self._left = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    @property
    def above_idle(self) -> int:
        return self._peak - self._idle

    def __enter__(self) -> "PeakMemory":
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._left.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._left.wait(SAMPLE_EVERY_SECONDS):
            self._peak = max(self._peak, self._process.memory_info().rss)


def show(report: dict[str, Any]) -> None:
    """Print the report as tables."""
    console = Console(width=max(132, Console().width), highlight=False)
    console.print(f"{report['machine']}; on {report['device']}; batches of {report['batch_size']}")
    if long := report.get("long"):
        show_long(console, long)
    if hard := report.get("second_pass"):
        console.print(
            f"{hard['recording']}, of bench-accuracy, a second pass nearly throughout: {hard['ours_s']:.2f} s, "
            f"faster-whisper with timestamps {hard['bare_s']:.2f} s, ratio {hard['ratio']:.2f}"
        )
    if report["clips"]:
        show_clips(console, report["clips"])


def show_long(console: Console, long: dict[str, Any]) -> None:
    table = Table(title=f"{long['seconds']} s of video over HTTP, through extractor and transcriber; model mini")
    for heading in ("", "the transcriber", "faster-whisper", "ratio", "limit"):
        table.add_column(heading, justify="right" if heading else "left")
    ours = f"{long['ours_s']:.2f} s"
    table.add_row(
        "time over BatchedInferencePipeline on the finished WAV, with timestamps",
        ours, f"{long['bare_s']:.2f} s", f"{long['ratio']:.3f}", f"{long['limit']:.2f}",
    )  # fmt: skip
    table.add_row(
        "the same without timestamps, its default: segments of up to 30 s",
        ours, f"{long['bare_default_s']:.2f} s", f"{long['bare_default_ratio']:.3f}", "",
    )  # fmt: skip
    table.add_row("mode = sequential over mode = batched", "", "", f"{long['sequential_ratio']:.2f}", "")
    table.add_row("first segment after", f"{long['first_segment_s']:.2f} s", "", "", "2 s")
    table.add_row("memory above idle", f"{long['memory_mb']:.0f} MB", "", "", f"{long['memory_limit_mb']} MB")
    table.add_row("model busy, once warm", f"{long['busy']['model']:.1%}", "", "", f"{long['busy_limit']:.0%}")
    for stage, share in long["busy"].items():
        if stage != "model":
            table.add_row(f"{stage} busy", f"{share:.1%}", "", "", "")
    table.add_row("tokens", str(long["tokens"][0]), str(long["tokens"][1]), "", "")
    console.print(table)


def show_clips(console: Console, rows: list[dict[str, Any]]) -> None:
    table = Table(title=f"concurrent clips of {CLIP_SECONDS} s, and loops of faster-whisper over them")
    for heading in ("model", "clips", "the transcriber", "p50", "p95", "last", "WhisperModel", "ratio", "limit",
                    "Batched…", "ratio", "encoder alone", "tokens"):  # fmt: skip
        table.add_column(heading, justify="left" if heading == "model" else "right")
    for row in rows:
        table.add_row(
            row["model"], str(row["clips"]), f"{row['ours_s']:.2f} s", f"{row['p50_s']:.2f} s", f"{row['p95_s']:.2f} s",
            f"{row['max_s']:.2f} s", f"{row['loop_s']:.2f} s", f"{row['ratio']:.2f}", f"{row['limit']:.1f}",
            f"{row['batched_loop_s']:.2f} s", f"{row['batched_ratio']:.2f}", f"{row['encoder_s']:.2f} s",
            f"{row['tokens'][0]} / {row['tokens'][1]}",
        )  # fmt: skip
    console.print(table)
    for row in rows:
        console.print(f"{row['model']}: {bound(row)}")


def bound(row: dict[str, Any]) -> str:
    """The time that batching cannot reduce."""
    return (
        f"the encoder alone, in batches, takes {row['encoder_s']:.1f} s for these clips, each padded to 30 s, "
        f"which is {row['encoder_s'] / row['loop_s']:.0%} of the loop"
    )


if __name__ == "__main__":
    typer.run(main)
