"""What the transcriber hears against what faster-whisper hears, with the same model. Run it: make bench-accuracy

Prints tables and writes bench/results/accuracy.json. Exits with 1 if the transcriber is worse anywhere.
"""

import asyncio
import json
import tempfile
from collections.abc import Callable, Iterable, Sequence
from math import sqrt
from pathlib import Path
from statistics import median
from typing import Annotated, Any

import typer
from faster_whisper import BatchedInferencePipeline
from rich.console import Console
from rich.progress import track
from rich.table import Table

from bench import bare, hardware
from bench.client import Client
from bench.machines import extractor, transcriber
from bench.mixes import Recording, recordings
from bench.recordings import Sentence
from bench.scores import JOIN_SECONDS, join_errors, score
from reelscribe.contracts.events import Event, Progress, Segment

RESULTS = Path(__file__).parent / "results" / "accuracy.json"
BATCH_SIZE = 8
TIME_LIMIT_SECONDS = 0.2
OURS = "the transcriber"
SEQUENTIAL = "the transcriber, sequential"

Listen = Callable[[Path], Sequence[Sentence]]


def main(
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    only: Annotated[str, typer.Option(help="Only recordings whose name holds this; nothing is written then.")] = "",
) -> None:
    """Measure what is heard and print what came out."""
    with tempfile.TemporaryDirectory(prefix="reelscribe-bench-") as name:
        bucket = Path(name) / "videos"
        bucket.mkdir()
        rows = listen_to(list(recordings(bucket, only)), bucket, device)
    report: dict[str, Any] = {"machine": hardware.describe(), "recordings": rows, "all": summed(rows)}
    report["worse"] = list(worse(rows, report["all"]))
    show(report)
    if not only:
        RESULTS.parent.mkdir(exist_ok=True)
        RESULTS.write_text(json.dumps(report, indent=1) + "\n")
    raise typer.Exit(bool(report["worse"]))


def listen_to(heard: list[Recording], bucket: Path, device: str) -> list[dict[str, Any]]:
    """Each recording in each way: ours over HTTP from the bucket, the others from the same file."""
    with (
        extractor(bucket) as (c_url, _),
        transcriber(c_url, device=device, batch_size=BATCH_SIZE) as (url, _),
    ):
        others = faster_whisper(url)
        return [one(recording, url, others) for recording in track(heard, description="recordings")]


def faster_whisper(url: str) -> dict[str, Listen]:
    """What faster-whisper offers, each with the options that are good for the model, which is loaded as at ``url``."""
    whisper = bare.load("mini", url)
    pipeline = BatchedInferencePipeline(whisper)

    def listen(transcribe: Callable[..., Any], **options: Any) -> Listen:
        return lambda path: [
            Sentence(segment.start, segment.end, segment.text) for segment in transcribe(str(path), **options)[0]
        ]

    return {
        "WhisperModel": listen(whisper.transcribe, condition_on_previous_text=False),
        "Batched": listen(pipeline.transcribe, batch_size=BATCH_SIZE),
        "Batched, timestamps": listen(pipeline.transcribe, batch_size=BATCH_SIZE, without_timestamps=False),
    }


def one(recording: Recording, url: str, others: dict[str, Listen]) -> dict[str, Any]:
    """One row of the table."""
    windows = list(by_window(asyncio.run(ask(url, recording.path.name))))
    heard = {OURS: [segment for window in windows for segment in window]}
    by_segment = asyncio.run(ask(url, recording.path.name, mode="sequential", condition_on_previous_text=False))
    heard[SEQUENTIAL] = [segment for window in by_window(by_segment) for segment in window]
    heard |= {way: list(listen(recording.path)) for way, listen in others.items()}
    scores = {way: score(recording.said, segments)._asdict() for way, segments in heard.items()}
    return {
        "recording": recording.name,
        "words": scores[OURS]["words"],
        "ways": scores,
        "joins": join_errors(recording.said, windows)._asdict(),
    }


def summed(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """All recordings with speech as if they were one; ``rows`` keep the medians of their times only."""
    ways = rows[0]["ways"]
    total: dict[str, Any] = {
        "words": sum(row["words"] for row in rows),
        "ways": {
            way: {
                "errors": sum(row["ways"][way]["errors"] for row in rows if row["words"]),
                "invented": sum(row["ways"][way]["invented"] for row in rows if row["words"]),
                "time_off_s": median_of(off for row in rows for off in row["ways"][way]["times_off"]),
            }
            for way in ways
        },
        "joins": {key: sum(row["joins"][key] for row in rows) for key in ("joins", "inserted", "deleted")},
    }
    for found in (found for row in rows for found in row["ways"].values()):
        found["time_off_s"] = median_of(found.pop("times_off"))
    return total


def median_of(times: Iterable[float]) -> float | None:
    known = list(times)
    return round(median(known), 4) if known else None


async def ask(url: str, savepath: str, **options: object) -> list[Event]:
    async with Client(url) as client:
        return (await client.transcribe(savepath, **options)).told


def by_window(told: Iterable[Event]) -> Iterable[list[Sentence]]:
    """The segments of each window: the transcriber tells its progress after the last one."""
    window: list[Sentence] = []
    for event in told:
        if isinstance(event, Segment):
            window.append(Sentence(event.start, event.end, event.text))
        elif isinstance(event, Progress) and window:
            yield window
            window = []
    if window:
        yield window


def worse(rows: list[dict[str, Any]], total: dict[str, Any]) -> Iterable[str]:
    """Where the transcriber is worse than it may be: more errors than another way, words without speech, late times.

    Over all recordings one more error is too many. In one recording, two ways that hear equally well differ by chance:
    what counts there is more than twice the standard deviation of such a difference, which for two counts of rare
    errors is the root of their sum (of Poisson's distribution; errors come in runs, so it is rather more).
    """
    for row in rows:
        ours = row["ways"][OURS]["errors"]
        if not row["words"]:
            if ours:
                yield f"{row['recording']}: {ours} words where nothing is said"
            continue
        for way, other in of_others(row["ways"]):
            if ours - other["errors"] > 2 * sqrt(ours + other["errors"]):
                yield f"{row['recording']}: {ours} errors in {row['words']} words; {way}: {other['errors']}"
    for way, other in of_others(total["ways"]):
        if other["errors"] < total["ways"][OURS]["errors"]:
            yield f"all: {total['ways'][OURS]['errors']} errors; {way}: {other['errors']}"
    off = total["ways"][OURS]["time_off_s"]
    if off is not None and off >= TIME_LIMIT_SECONDS:
        yield f"starts and ends are {off:.2f} s off; the limit is {TIME_LIMIT_SECONDS} s"


def of_others(ways: dict[str, Any]) -> Iterable[tuple[str, Any]]:
    return ((way, found) for way, found in ways.items() if way not in (OURS, SEQUENTIAL))


def show(report: dict[str, Any]) -> None:
    """Print the report as tables."""
    console = Console(width=max(150, Console().width), highlight=False)
    table = Table(
        title=f"word error rate / five-word runs heard more often than said; model mini; {report['machine']}",
        caption="starts and ends: of our segments, median distance from the true ones. joins: words put in and "
        f"left out within {JOIN_SECONDS} s of where one window ends and the next begins.",
    )
    ways = list(report["all"]["ways"])
    for heading in ("recording", "words", *ways, "starts and ends", "joins", "put in", "left out"):
        table.add_column(heading, justify="left" if heading == "recording" else "right")
    for row in report["recordings"]:
        table.add_row(row["recording"], *cells(row))
    table.add_section()
    table.add_row("all with speech", *cells(report["all"]))
    console.print(table)
    for sentence in report["worse"]:
        console.print(f"worse: {sentence}", style="red")


def cells(row: dict[str, Any]) -> Iterable[str]:
    words = row["words"]
    yield str(words)
    for found in row["ways"].values():
        rate = f"{found['errors'] / words:.2%}" if words else f"{found['errors']} words"
        yield f"{rate} / {found['invented']}"
    off = row["ways"][OURS]["time_off_s"]
    yield "" if off is None else f"{off:.3f} s"
    yield from (str(row["joins"][key]) for key in ("joins", "inserted", "deleted"))


if __name__ == "__main__":
    typer.run(main)
