"""Recordings of every container, codec and variant, with two versions of ffmpeg: make bench-media

Prints a table of what is right and writes bench/results/media.json. Exits with 1 if anything is wrong.
"""

import asyncio
import json
import os
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import httpx
import imageio_ffmpeg
import typer
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from bench import hardware
from bench.services import extractor
from reelscribe.media import ffmpeg
from tests.media_matrix.answers import ask, faults
from tests.media_matrix.kinds import OPEN_ENDINGS
from tests.media_matrix.making import EncoderMissing, Maker
from tests.media_matrix.variants import CASES, LEFT_OUT, Case, Certainty, Variant

RESULTS = Path(__file__).parent / "results" / "media.json"
RIGHT, WRONG, UNKNOWN, NOT_MADE = "right", "wrong", "cannot be known", "not made"
MARKS = {RIGHT: "[green]+[/]", WRONG: "[bold red]X[/]", UNKNOWN: "[yellow]?[/]", NOT_MADE: "[dim]-[/]"}
CLIENTS = 2


class Verdict(NamedTuple):
    """What came of a case: one of the four words, what is wrong, and the answer."""

    case: Case
    word: str
    faults: list[str]
    answer: str


def main(
    only: Annotated[str, typer.Option(help="Only cases whose name contains this; nothing is saved then.")] = "",
) -> None:
    """Make all recordings, have them extracted, and print which answers are right."""
    cases = [case for case in CASES if only in str(case)]
    binaries = {"on PATH": ffmpeg.locate(None), "of the wheel": ffmpeg.locate(Path(imageio_ffmpeg.get_ffmpeg_exe()))}
    verdicts: dict[str, list[Verdict]] = {}
    with tempfile.TemporaryDirectory(prefix="reelscribe-bench-") as name, Progress() as progress:
        bucket, sources = Path(name) / "videos", Path(name) / "sources"
        for folder in (bucket, sources):
            folder.mkdir()
        maker = Maker(binaries["on PATH"].path, bucket, sources)
        made = make_all(maker, cases, progress)
        for which, binary in binaries.items():
            with extractor(bucket, ffmpeg=str(binary.path)) as (url, _):
                found = asyncio.run(judge_all(url, maker, made, f"ffmpeg {binary.version}", progress))
            verdicts[f"{binary.version} {which}"] = [
                *found,
                *(Verdict(case, NOT_MADE, [], "") for case in cases if case not in made),
            ]
    report = {"machine": hardware.describe(), "cases": len(cases), "ffmpeg": summed(verdicts)}
    show(verdicts, report)
    if not only:
        RESULTS.parent.mkdir(exist_ok=True)
        RESULTS.write_text(json.dumps(report, indent=1) + "\n")
    raise typer.Exit(any(verdict.word == WRONG for found in verdicts.values() for verdict in found))


def make_all(maker: Maker, cases: list[Case], progress: Progress) -> dict[Case, Path]:
    """The recordings; without those for which this ffmpeg has no encoder."""
    task = progress.add_task("making the recordings", total=len(cases))

    def make(case: Case) -> Path | None:
        try:
            return maker.make(case.kind, case.variant)
        except EncoderMissing:
            return None
        finally:
            progress.advance(task)

    with ThreadPoolExecutor(os.cpu_count()) as threads:
        paths = list(threads.map(make, cases))
    return {case: path for case, path in zip(cases, paths, strict=True) if path}


async def judge_all(
    url: str, maker: Maker, made: dict[Case, Path], description: str, progress: Progress
) -> list[Verdict]:
    """Have the recordings extracted, a few at a time."""
    task = progress.add_task(description, total=len(made))
    slots = asyncio.Semaphore(CLIENTS)

    async def judge(client: httpx.AsyncClient, case: Case, path: Path) -> Verdict:
        async with slots:
            held = await asyncio.to_thread(maker.held_seconds, path) if case.variant.cut_percent else 0.0
            try:
                answer = await ask(client, path.name)
            except httpx.TransportError as error:
                return Verdict(case, WRONG, ["no answer"], repr(error))
            finally:
                progress.advance(task)
        wrong = faults(case, answer, held)
        word = UNKNOWN if case.right.certainty is Certainty.UNKNOWN else RIGHT
        return Verdict(case, WRONG if wrong else word, wrong, str(answer))

    async with httpx.AsyncClient(base_url=url, timeout=120) as client:
        return list(await asyncio.gather(*(judge(client, case, path) for case, path in made.items())))


def summed(verdicts: dict[str, list[Verdict]]) -> list[dict[str, Any]]:
    """For each ffmpeg how often each word was given, and what is wrong."""
    return [
        {
            "version": version,
            **{word: sum(verdict.word == word for verdict in found) for word in MARKS},
            "faults": {str(one.case): {"faults": one.faults, "got": one.answer} for one in found if one.faults},
        }
        for version, found in verdicts.items()
    ]


def show(verdicts: dict[str, list[Verdict]], report: dict[str, Any]) -> None:
    """Print a table of kinds and variants, and what is wrong."""
    console = Console(width=max(200, Console().width))
    for version, found in verdicts.items():
        variants = [variant for variant in Variant if any(verdict.case.variant is variant for verdict in found)]
        table = Table(title=f"ffmpeg {version}; {report['machine']}", caption=legend(found))
        table.add_column("kind")
        for variant in variants:
            table.add_column(variant.replace("-", "\n"), justify="center")
        rows: defaultdict[str, dict[Variant, str]] = defaultdict(dict)
        for verdict in found:
            rows[str(verdict.case.kind)][verdict.case.variant] = MARKS[verdict.word]
        for kind, marks in rows.items():
            table.add_row(kind, *(marks.get(variant, "") for variant in variants))
        console.print(table)
        for verdict in found:
            if verdict.faults:
                console.print(f"{verdict.case}: {'; '.join(verdict.faults)}\n    got: {verdict.answer}", markup=False)
    for container, reason in OPEN_ENDINGS.items():
        console.print(f"cut {container}: {UNKNOWN}: {reason}", markup=False)
    for (kind, variant), reason in LEFT_OUT.items():
        console.print(f"{kind}, {variant}: left out: {reason}", markup=False)


def legend(found: Iterable[Verdict]) -> str:
    """How many cases got each mark."""
    counted = Counter(verdict.word for verdict in found)
    return ", ".join(f"{mark} {word}: {counted[word]}" for word, mark in MARKS.items())


if __name__ == "__main__":
    typer.run(main)
