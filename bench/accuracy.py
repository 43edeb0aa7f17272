"""The accuracy of the transcriber compared with faster-whisper's, with the same model: make bench-accuracy

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

from bench import hardware
from bench.baselines import bare
from bench.client import Client
from bench.mixes import Recording, recordings
from bench.recordings import Sentence
from bench.scores import JOIN_SECONDS, join_errors, score
from bench.services import extractor, transcriber
from reelscribe.contracts.events import Event, Progress, Segment

RESULTS = Path(__file__).parent / "results" / "accuracy.json"
BATCH_SIZE = 8
TIME_LIMIT_SECONDS = 0.2
OURS = "the transcriber"
SEQUENTIAL = "the transcriber, sequential"

Transcribe = Callable[[Path], Sequence[Sentence]]


def main(
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    only: Annotated[str, typer.Option(help="Only recordings whose name contains this; nothing is saved then.")] = "",
) -> None:
    """Measure the accuracy and print the results."""
    with tempfile.TemporaryDirectory(prefix="reelscribe-bench-") as name:
        bucket = Path(name) / "videos"
        bucket.mkdir()
        rows = transcribe_all(list(recordings(bucket, only)), bucket, device)
    report: dict[str, Any] = {"machine": hardware.describe(), "recordings": rows, "all": summed(rows)}
    report["worse"] = list(worse(rows, report["all"]))
    show(report)
    if not only:
        RESULTS.parent.mkdir(exist_ok=True)
        RESULTS.write_text(json.dumps(report, indent=1) + "\n")
    raise typer.Exit(bool(report["worse"]))


def transcribe_all(chosen: list[Recording], bucket: Path, device: str) -> list[dict[str, Any]]:
    """Transcribe each recording in each way: ours over HTTP from the bucket, the others from the same file."""
    with (
        extractor(bucket) as (c_url, _),
        transcriber(c_url, device=device, batch_size=BATCH_SIZE) as (url, _),
    ):
        others = faster_whisper(url)
        return [one(recording, url, others) for recording in track(chosen, description="recordings")]


def faster_whisper(url: str) -> dict[str, Transcribe]:
    """The ways of faster-whisper, with the options that suit the model, which is loaded as at ``url``."""
    whisper = bare.load("mini", url)
    pipeline = BatchedInferencePipeline(whisper)

    def way(transcribe: Callable[..., Any], **options: Any) -> Transcribe:
        return lambda path: [
            Sentence(segment.start, segment.end, segment.text) for segment in transcribe(str(path), **options)[0]
        ]

    return {
        "WhisperModel": way(whisper.transcribe, condition_on_previous_text=False),
        "Batched": way(pipeline.transcribe, batch_size=BATCH_SIZE),
        "Batched, timestamps": way(pipeline.transcribe, batch_size=BATCH_SIZE, without_timestamps=False),
    }


def one(recording: Recording, url: str, others: dict[str, Transcribe]) -> dict[str, Any]:
    """Measure one row of the table."""
    windows = list(by_window(asyncio.run(ask(url, recording.path.name))))
    transcribed = {OURS: [segment for window in windows for segment in window]}
    by_segment = asyncio.run(ask(url, recording.path.name, mode="sequential", condition_on_previous_text=False))
    transcribed[SEQUENTIAL] = [segment for window in by_window(by_segment) for segment in window]
    transcribed |= {way: list(transcribe(recording.path)) for way, transcribe in others.items()}
    scores = {way: score(recording.said, segments)._asdict() for way, segments in transcribed.items()}
    return {
        "recording": recording.name,
        "words": scores[OURS]["words"],
        "ways": scores,
        "joins": join_errors(recording.said, windows)._asdict(),
    }


def summed(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """The sums over all recordings with speech; in ``rows``, times are replaced by their medians."""
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
        return (await client.transcribe(savepath, **options)).events


def by_window(events: Iterable[Event]) -> Iterable[list[Sentence]]:
    """The segments of each window: the transcriber sends its progress after the last one."""
    window: list[Sentence] = []
    for event in events:
        if isinstance(event, Segment):
            window.append(Sentence(event.start, event.end, event.text))
        elif isinstance(event, Progress) and window:
            yield window
            window = []
    if window:
        yield window


def worse(rows: list[dict[str, Any]], total: dict[str, Any]) -> Iterable[str]:
    """Cases in which the transcriber is worse than allowed: too many errors, words without speech, wrong times.

    Over all recordings, one more error is too many. In a single recording, two ways of equal quality differ by chance,
    so the difference must exceed twice its standard deviation, which for two counts of rare errors is the root of their
    sum (Poisson distribution; errors come in runs, so it is rather larger).
    """
    for row in rows:
        ours = row["ways"][OURS]["errors"]
        if not row["words"]:
            if ours:
                yield f"{row['recording']}: {ours} words without speech"
            continue
        for way, other in of_others(row["ways"]):
            if ours - other["errors"] > 2 * sqrt(ours + other["errors"]):
                yield f"{row['recording']}: {ours} errors in {row['words']} words; {way}: {other['errors']}"
    for way, other in of_others(total["ways"]):
        if other["errors"] < total["ways"][OURS]["errors"]:
            yield f"all: {total['ways'][OURS]['errors']} errors; {way}: {other['errors']}"
    off = total["ways"][OURS]["time_off_s"]
    if off is not None and off >= TIME_LIMIT_SECONDS:
        yield f"starts and ends are off by {off:.2f} s; the limit is {TIME_LIMIT_SECONDS} s"


def of_others(ways: dict[str, Any]) -> Iterable[tuple[str, Any]]:
    return ((way, found) for way, found in ways.items() if way not in (OURS, SEQUENTIAL))


def show(report: dict[str, Any]) -> None:
    """Print the report as tables."""
    console = Console(width=max(170, Console().width), highlight=False)
    table = Table(
        title=f"word error rate / five-word runs transcribed more often than said; model mini; {report['machine']}",
        caption="starts and ends: of our segments, median distance from the true ones. joins: words inserted and "
        f"deleted within {JOIN_SECONDS} s of the point where one window ends and the next begins.",
    )
    ways = list(report["all"]["ways"])
    for heading in ("recording", "words", *ways, "starts and ends", "joins", "inserted", "deleted"):
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
