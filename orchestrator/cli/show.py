"""The command ``show``: one transcript, on a terminal with its times and with words coloured by confidence; or who
edited it, and when.
"""

import math
import sys
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

from rich.table import Table
from rich.text import Text

from orchestrator.access.interface import Access
from orchestrator.access.opening import run
from orchestrator.cli.console import NO_WORKER, out, print_json, visible
from orchestrator.cli.options import checked, refuse_binary_on_terminal
from orchestrator.exports.pending_results import results_sentence
from orchestrator.jobs import queries as job_queries
from orchestrator.jobs.models import UNFINISHED, Job, as_argument
from orchestrator.session import print_error
from orchestrator.transcripts import queries as transcript_queries
from orchestrator.transcripts.edits import history
from orchestrator.transcripts.edits.history import Edit, EditedText
from orchestrator.transcripts.models import Transcript
from reelscribe.contracts.events import UNKNOWN_LANGUAGE, Segment
from reelscribe.errors import ServiceError, TranscriptNotFound
from reelscribe.text.formats import Format
from reelscribe.text.srt_vtt import clock, one_line

CONFIDENCES = ((0.8, "green", "80 % and more"), (0.5, "yellow", "50 to 80 %"), (0.0, "red", "less"))
"""From which probability on a word has which colour, and how the legend says it."""


def show(
    savepath: str,
    format: Format | None,
    timestamps: bool,
    as_heard: bool,
    bucket: str | None,
    as_json: bool,
    config: Path | None,
) -> None:
    """Print a transcript; on a terminal with times, and words coloured by how sure the model is of them."""
    checked(savepath)
    refuse_binary_on_terminal(format)

    async def work(access: Access) -> int:
        where = access.bucket(bucket)
        try:
            about, results, lost = await access.about(where, savepath, as_heard)
        except ServiceError as why:
            if why.code != TranscriptNotFound.code:
                raise
            return await _report_missing(access, why, as_argument(savepath, where, access.default_bucket))
        job = about.job
        if format is None and not as_json and sys.stdout.isatty():
            await _print_coloured(about, access.pages(about))
        else:
            wanted = Format.JSON if as_json else format or Format.TXT
            async for part in access.parts(about, wanted, timestamps):
                sys.stdout.buffer.write(part)
        sys.stdout.flush()
        if job.note:
            print_error(visible(job.note if job.complete else f"this transcript is {job.note}"))
        if job.language_uncertain and any(part.segments for part in about.receipt.parts):
            print_error(_uncertain(job))
        vocabulary = about.receipt.vocabulary
        if vocabulary and (vocabulary.cut or sys.stdout.isatty()):
            print_error(visible(vocabulary.sentence))
        if job.removal:
            print_error(job.removal)
        if results and (sentence := results_sentence(results)):
            print_error(visible(sentence))
        if lost:
            print_error(visible(f"not all previews and sound files are stored: {lost}"))
        return 0

    run(config, work)


def _uncertain(job: Job) -> str:
    if job.language == UNKNOWN_LANGUAGE:
        return "the language is unknown: the first minutes hold no speech; --json has that of each segment"
    probability = job.language_probability or 0.0
    return (
        f"the language, {job.language}, is uncertain: its probability is {probability:.2f}; submit again with "
        "--language, or with --languages to choose among some"
    )


async def _report_missing(access: Access, why: ServiceError, argument: str) -> int:
    """Why there is no transcript, and what to do next; ``argument`` is how commands name it."""
    print_error(visible(why.message))
    if why.details.get("state") in UNFINISHED:
        if not await access.count_workers():
            print_error(NO_WORKER)
        print_error(visible(f"follow it with: orchestrator status {argument} --watch"))
    return 1


async def _print_coloured(about: Transcript, read: AsyncIterator[Sequence[Segment]]) -> None:
    console, by_word = out(), False
    coloured = console.color_system is not None and not console.no_color
    async for segments in read:
        for segment in segments:
            by_word = by_word or bool(segment.words)
            line = Table.grid(padding=(0, 2, 0, 0))
            line.add_row(Text(clock(segment.start), style="dim"), _words(segment) if coloured else _plain(segment))
            console.print(line)
    if coloured:
        of_what = "of each word" if by_word else "of each segment; submit --word-timestamps for that of each word"
        legend = Text("\nconfidence ", style="dim")
        for _, colour, meaning in CONFIDENCES:
            legend.append("■ ", style=f"not dim {colour}").append(f"{meaning}  ")
        console.print(legend.append(of_what))


def _words(segment: Segment) -> Text:
    if not segment.words:
        return Text(_plain(segment).plain, style=_colour(math.exp(segment.avg_logprob)))
    text = Text()
    for number, word in enumerate(segment.words):
        said = word.word if number else word.word.lstrip()
        text.append(visible(said), style=_colour(word.probability))
    return text


def _plain(segment: Segment) -> Text:
    return Text(visible(one_line(segment.text)))


def _colour(probability: float) -> str:
    return next((colour for least, colour, _ in CONFIDENCES if probability >= least), CONFIDENCES[-1][1])


def show_history(savepath: str, bucket: str | None, as_json: bool, config: Path | None) -> None:
    """Print the edits of a recording, the newest first."""
    checked(savepath)

    async def work(access: Access) -> int:
        session = access.session("show --history")
        where = session.bucket(bucket)
        async with session.pool.connection() as connection:
            job = await job_queries.newest_finished(connection, where, savepath)
            if job is None:
                why = await transcript_queries.no_transcript(connection, where, savepath, session.bucket(None))
                print_error(visible(why.message))
                return 1
            edits = await history.listed(connection, job.id)
        if as_json:
            print_json([edit.model_dump(mode="json") for edit in edits])
        elif not edits:
            print_error(f"{visible(savepath)} was never edited")
        for edit in () if as_json else edits:
            print("\n".join(map(visible, _lines(edit))))
        return 0

    run(config, work)


def _lines(edit: Edit) -> list[str]:
    notes = [f"undoes {edit.undoes}"] if edit.undoes else []
    notes += [f"undone by {edit.undone_by}"] if edit.undone_by else []
    what = "title" if edit.start is None else clock(edit.start)
    made = f"{edit.made_at.astimezone():%Y-%m-%d %H:%M}"
    head = f"{edit.revision}  {made}  {edit.author}  {what}" + (f"  ({', '.join(notes)})" if notes else "")
    if edit.start is None:
        return [head, f"  - {edit.title_before or ''}", f"  + {edit.title or ''}"]
    return [
        head,
        *(f"  - {text}" for text in _texts(edit.replaced)),
        *(f"  + {text}" for text in _texts(edit.segments)),
    ]


def _texts(segments: Sequence[EditedText]) -> list[str]:
    return [one_line(segment.text) for segment in segments]
