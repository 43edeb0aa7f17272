"""Where subtitles end, on recordings of people, and how few could end in mid-sentence: make bench-subtitles

The recordings and the weights are those of bench.real. Prints a table and writes bench/results/subtitles.json.
"""

import asyncio
import json
import tempfile
from collections.abc import Iterable, Sequence
from itertools import pairwise
from math import inf
from pathlib import Path
from shutil import copy
from typing import Annotated, Any

import typer
from pydantic import BaseModel
from rich.console import Console
from rich.progress import track
from rich.table import Table

from bench import hardware
from bench.client import Client
from bench.real import SPEECH, installed_weights, model_name, recordings
from bench.services import extractor, transcriber
from reelscribe.contracts.events import Segment
from reelscribe.text.phrases import begins
from reelscribe.text.spoken_words import LINE_WIDTH, Piece, Spoken, pieces_of, width
from reelscribe.text.subtitle_layout import (
    LONGEST_PAUSE_SECONDS,
    MAX_SECONDS,
    Cue,
    cues,
    ends_clause,
    ends_sentence,
)

RESULTS = Path(__file__).parent / "results" / "subtitles.json"
LANGUAGE = "en"
FAST = 20.0
"""Characters per second that are hard to read."""
KINDS: dict[str, dict[str, bool]] = {"segments": {}, "words": {"word_timestamps": True}}
"""Ways to ask for a transcript, and their options: with the times of segments only, and with those of words."""


class Transcripts(BaseModel):
    """What a model made of the recordings: of each kind, the segments of each of them."""

    model: str
    kinds: dict[str, list[list[Segment]]]


def main(
    speech: Annotated[Path, typer.Option(help="Folder of the recordings and their manifest.json.")] = SPEECH,
    weights: Annotated[
        Path | None, typer.Option(help="Folder of a CTranslate2 Whisper model; default: that of the package.")
    ] = None,
    transcripts: Annotated[
        Path | None, typer.Option(help="File that keeps the transcripts; if it exists, nothing is transcribed.")
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Only three recordings; nothing is saved.")] = False,
) -> None:
    """Transcribe the recordings in English, make subtitles of them, and print where those end."""
    if transcripts and transcripts.is_file():
        made = Transcripts.model_validate_json(transcripts.read_bytes())
    else:
        names = [one.file for one in recordings(speech) if one.in_english]
        made = transcribe(speech, names[:3] if quick else names, (weights or installed_weights()).resolve())
        if transcripts:
            transcripts.write_text(made.model_dump_json())
    measured = {kind: measure(those) for kind, those in made.kinds.items()}
    report = {"machine": hardware.describe(), "model": made.model, **measured}
    show(report)
    if not quick:
        RESULTS.write_text(json.dumps(report, indent=1) + "\n")


def transcribe(speech: Path, names: Sequence[str], model: Path) -> Transcripts:
    """Each recording in each way, by services of our own."""

    async def ask(url: str) -> dict[str, list[list[Segment]]]:
        async with Client(url) as client:
            return {
                kind: [
                    (await client.transcribe(name, **options)).segments
                    for name in track(names, description=kind, refresh_per_second=1)
                ]
                for kind, options in KINDS.items()
            }

    with tempfile.TemporaryDirectory(prefix="reelscribe-bench-") as folder:
        bucket = Path(folder) / "videos"
        bucket.mkdir()
        for name in names:
            copy(speech / name, bucket)
        settings = {"model": model, "device": "cpu", "compute_type": "int8", "cpu_threads": 1}
        with extractor(bucket) as (extractor_url, _), transcriber(extractor_url, **settings) as (url, _):
            return Transcripts(model=model_name(model), kinds=asyncio.run(ask(url)))


def measure(transcripts: Iterable[Sequence[Spoken]]) -> dict[str, Any]:
    """Count where the subtitles of some recordings end; recordings without the end of a sentence are left out."""
    said = [(segments, sentences(segments)) for segments in transcripts]
    counted = [(segments, found) for segments, found in said if any(map(_is_ended, found))]
    shown = [cues(segments, LANGUAGE) for segments, _ in counted]
    all_sentences = [one for _, found in counted for one in found]
    together = [cue for those in shown for cue in those]
    ends = [(cue, after) for those in shown for cue, after in pairwise([*those, Cue(inf, inf, "")])]
    unmarked = [cue for cue, _ in ends if not ends_clause(cue.text)]
    first_lines = [cue.text.split("\n")[0] for cue in together if "\n" in cue.text]
    return {
        "recordings": len(counted),
        "left_out": len(said) - len(counted),
        "sentences": len(all_sentences),
        "too_long": sum(fewest(sentence) > 1 for sentence in all_sentences),
        "cues": len(together),
        "mid_sentence": sum(not ends_sentence(cue.text, after.text) for cue, after in ends),
        "unmarked": len(unmarked),
        "torn": sum(is_torn(cue.text) for cue in unmarked),
        "two_lines": len(first_lines),
        "torn_lines": sum(is_torn(line) for line in first_lines),
        "fast": sum(width(cue.text) / (cue.end - cue.start) > FAST for cue in together),
        "fewest": least(all_sentences),
        "fewest_if": {
            "2 lines, however long": least(all_sentences, seconds=inf),
            "3 lines, however long": least(all_sentences, lines=3, seconds=inf),
            "4 lines, however long": least(all_sentences, lines=4, seconds=inf),
        },
    }


def sentences(segments: Iterable[Spoken]) -> list[list[Piece]]:
    """The words of each sentence; a pause that no cue may contain ends one, too."""
    words: list[Piece] = []
    for segment in segments:
        words += pieces_of(segment, words[-1].text if words else "", LANGUAGE)
    found = [words[:1]]
    for before, after in pairwise(words):
        if ends_sentence(before.text, after.text) or after.start - before.end >= LONGEST_PAUSE_SECONDS:
            found.append([])
        found[-1].append(after)
    return found if words else []


def _is_ended(sentence: Sequence[Piece]) -> bool:
    return ends_sentence(sentence[-1].text, "")


def least(those: Iterable[Sequence[Piece]], lines: int = 2, seconds: float = MAX_SECONDS) -> float:
    """The smallest share of cues that can end in mid-sentence: each sentence begins a cue, and has as few as fit."""
    needed = [(fewest(sentence, lines, seconds), _is_ended(sentence)) for sentence in those]
    return sum(count - is_ended for count, is_ended in needed) / sum(count for count, _ in needed)


def fewest(sentence: Sequence[Piece], lines: int = 2, seconds: float = MAX_SECONDS) -> int:
    """The fewest cues that a sentence fits into: each is filled with as many words as have room."""
    count, line, used, start = 0, lines, 0, 0.0
    for piece in sentence:
        own = width(piece.text.strip())
        joined = used + own + piece.text.startswith(" ")
        if count and piece.end - start <= seconds and joined <= LINE_WIDTH:
            used = joined
        elif count and piece.end - start <= seconds and line < lines:
            line, used = line + 1, own
        else:
            count, line, used, start = count + 1, 1, own, piece.start
    return count


def is_torn(text: str) -> bool:
    """Whether a text ends with a word that belongs to what follows, such as "the"."""
    return not ends_clause(text) and bool(begins(text.split()[-1], LANGUAGE))


def rows(report: dict[str, Any]) -> list[tuple[str, ...]]:
    """The figures, a column for each kind of transcript."""
    kinds = [report[kind] for kind in KINDS]

    def row(title: str, key: str, of: str) -> tuple[str, ...]:
        return (title, *(f"{kind[key]} of {kind[of]} ({kind[key] / kind[of]:.1%})" for kind in kinds))

    return [
        row("sentences that do not fit into one subtitle", "too_long", "sentences"),
        row("subtitles that end in mid-sentence", "mid_sentence", "cues"),
        ("the smallest share that these limits allow", *(f"{kind['fewest']:.1%}" for kind in kinds)),
        *(
            (f"the smallest share with {limits}", *(f"{kind['fewest_if'][limits]:.1%}" for kind in kinds))
            for limits in kinds[0]["fewest_if"]
        ),
        row("subtitles that end without a punctuation mark", "unmarked", "cues"),
        row("subtitles that tear a phrase", "torn", "cues"),
        row("first lines of two that tear a phrase", "torn_lines", "two_lines"),
        row(f"subtitles of more than {FAST:.0f} characters per second", "fast", "cues"),
    ]


def show(report: dict[str, Any]) -> None:
    """Print the report as a table."""
    console = Console(width=max(120, Console().width), highlight=False)
    console.print(f"{report['machine']}; {report['model']}")
    table = Table("", "times of segments", "times of words")
    for row in rows(report):
        table.add_row(*row)
    console.print(table)


if __name__ == "__main__":
    typer.run(main)
