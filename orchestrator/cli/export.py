"""The command ``export``: transcripts to standard output, into a folder, or into a Parquet dataset."""

import os
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.access.interface import Access, Selection
from orchestrator.access.opening import run
from orchestrator.cli.bars import counting_bar
from orchestrator.cli.console import counted, print_json, visible
from orchestrator.cli.options import (
    PARQUET,
    ExportFormat,
    checked_all,
    refuse_binary_on_terminal,
    usage,
    validated,
)
from orchestrator.errors import NotWritten, UnknownTokenizer, UnusableTokenizer
from orchestrator.exports.files import MirrorFolder
from orchestrator.session import Session, print_error
from orchestrator.transcripts.filters import NO_FILTERS, TranscriptFilters
from orchestrator.transcripts.models import Transcript
from orchestrator.transcripts.partitions import touched
from reelscribe.errors import ServiceError, StreamCut, TranscriptNotFound
from reelscribe.text.file_names import FileNames
from reelscribe.text.formats import Format, parse_format

if TYPE_CHECKING:
    from orchestrator.exports.tokens.segments import SegmentTokens
    from orchestrator.exports.tokens.tokenizer import AudioTokenizer

STANDARD_OUTPUT = "-"


def export(
    savepaths: list[str] | None,
    prefix: str | None,
    everything: bool,
    format: ExportFormat,
    output: str | None,
    name: str | None,
    language: str | None,
    since: str | None,
    min_confidence: float | None,
    timestamps: bool,
    as_heard: bool,
    tokens: str | None,
    bucket: str | None,
    as_json: bool,
    config: Path | None,
) -> None:
    """Write transcripts to files, or the one of a single SAVEPATH to standard output."""
    if bool(savepaths) + (prefix is not None) + everything != 1:
        usage("name savepaths, or give --prefix or --all")
    named = list(dict.fromkeys(checked_all(savepaths))) or None
    if output is None and named and len(named) == 1:
        output = STANDARD_OUTPUT
    if output is None or (output == STANDARD_OUTPUT and format.value == PARQUET):
        usage(f"name a folder with --output DIR{'; or --output - for jsonl' if format.value == Format.JSONL else ''}")
    if output != STANDARD_OUTPUT and (file := _file_in_place_of_folder(Path(output))):
        where = "" if file == Path(output) else f": {visible(str(file))}"
        usage(f"--output {visible(output)}{where} is a file; name a folder")
    if output == STANDARD_OUTPUT and format.value != Format.JSONL and (not named or len(named) > 1):
        usage("standard output takes one transcript, or any number as jsonl; name a folder with --output DIR")
    if output == STANDARD_OUTPUT and as_json:
        usage("--json reports what was written to a folder (--output DIR); for a transcript as JSON: --format json")
    if name is not None and (output == STANDARD_OUTPUT or format.value == PARQUET):
        usage("--name is for the files in a folder: name it with --output DIR, and a format of one file per transcript")
    if tokens is not None and format.value != PARQUET:
        usage("--tokens is for --format parquet, which has a column for them")
    tokenizer = None if tokens is None else _tokenizer(tokens)
    if output == STANDARD_OUTPUT:
        refuse_binary_on_terminal(format.value)
    names = _names(name or "", format.value)
    filters = validated(TranscriptFilters, language=language, since=since, min_confidence=min_confidence)

    async def work(access: Access) -> int:
        selection = Selection(access.bucket(bucket), named, prefix or "", filters)
        if format.value == PARQUET:
            written, failures = await _to_parquet(access, selection, as_heard, Path(output), tokenizer)
        else:
            as_file = FileWriter(parse_format(format.value), names, timestamps, output)
            written, failures = await _to_files(access, selection, as_heard, as_file)
        if as_json:
            print_json({"written": written, "failed": failures, "output": output})
        elif not written and not failures:
            missing = (
                "there is no transcript yet" if filters == NO_FILTERS else "no transcript is what the filters want"
            )
            print_error(f"{missing}; see what there is: orchestrator status")
        elif output != STANDARD_OUTPUT:
            print(f"{counted(written, 'transcript')} in {output}")
        return 1 if failures or not written else 0

    run(config, work)


def _file_in_place_of_folder(path: Path) -> Path | None:
    """What there is in place of a folder, or of one that it is to be in; None: nothing."""
    there = next((each for each in (path, *path.parents) if os.path.lexists(each)), None)
    return there if there and not os.path.isdir(there) else None


def _names(template: str, format: str) -> FileNames:
    try:
        names = FileNames(template)
        if format != PARQUET:
            names.check((parse_format(format),))
        return names
    except ValueError as mistake:
        usage(f"--name: {mistake}")


def _tokenizer(name: str) -> "AudioTokenizer":
    from orchestrator.exports.tokens.installed import load  # what no other export needs

    try:
        return load(name)
    except (UnknownTokenizer, UnusableTokenizer) as failure:
        usage(f"--tokens: {visible(failure.message)}")


class FileWriter:
    """Writes transcripts in a format to standard output, or into a folder."""

    def __init__(self, format: Format, names: FileNames, timestamps: bool, output: str) -> None:
        self._format = format
        self._names = names
        self._timestamps = timestamps
        self._folder = None if output == STANDARD_OUTPUT else MirrorFolder(Path(output))

    @property
    def writes_on_terminal(self) -> bool:
        """Whether a progress bar would be among the transcripts."""
        return self._folder is None and sys.stdout.isatty()

    async def write(self, access: Access, transcript: Transcript) -> None:
        """Write one.

        Raises:
            NotWritten: its file cannot be written.
            StreamCut: it was removed or edited meanwhile.
        """
        content = b"".join([part async for part in access.parts(transcript, self._format, self._timestamps)])
        if self._folder:
            job, names = transcript.job, self._names
            shared = names.may_be_ambiguous(self._format) and await access.shares_stem(job.bucket, job.savepath)
            name = names.name(job.savepath, self._format, transcript.text_language, job.model or "", shared)
            self._folder.write(job.savepath, name, content)
        else:
            sys.stdout.buffer.write(content)


async def _to_files(access: Access, selection: Selection, as_heard: bool, writer: FileWriter) -> tuple[int, int]:
    """How many were written, and how many could not be."""
    failures = await _report_missing(access, selection)
    written = 0
    total = await access.count_finished(selection)
    with counting_bar("export", total, shown=not writer.writes_on_terminal) as advance:
        async for savepath in access.finished(selection):
            try:
                transcript = (await access.about(selection.bucket, savepath, as_heard)).transcript
            except ServiceError as gone:
                if gone.code != TranscriptNotFound.code:
                    raise
                continue  # it has just been removed
            if not transcript.receipt.complete:
                print_error(f"{visible(savepath)} is incomplete: {visible(transcript.receipt.reason or '')}")
            try:
                await writer.write(access, transcript)
                written += 1
            except (NotWritten, StreamCut) as failure:
                print_error(visible(failure.message))
                failures += 1
            advance(1)
    sys.stdout.flush()
    return written, failures


async def _to_parquet(
    access: Access, selection: Selection, as_heard: bool, root: Path, tokenizer: "AudioTokenizer | None"
) -> tuple[int, int]:
    """How many were written, and how many could not be, or not completely."""
    from orchestrator.exports import parquet  # half a second that no other command should wait

    session = access.session("export --format parquet")
    bucket, savepaths, prefix, filters = selection
    parquet.check_tokens(root, tokenizer)
    failed: list[ServiceError] = []

    def report(failure: ServiceError) -> None:
        failed.append(failure)
        print_error(visible(failure.message))

    missing = await _report_missing(access, selection)
    async with session.pool.connection() as connection, _segment_tokens(session, tokenizer, report) as tokens:
        partitions = await touched(connection, bucket, savepaths, prefix, filters)
        written = 0
        if not any(partition.jobs for partition in partitions):
            return written, missing  # a mistyped filter, or another database, empties no dataset
        with counting_bar("export", sum(len(partition.jobs) for partition in partitions)) as advance:
            for partition in partitions:
                before = len(failed)
                try:
                    await parquet.rewrite(connection, root, bucket, partition, partial(advance, 1), tokens, as_heard)
                    written += len(partition.jobs) - (len(failed) - before)
                except NotWritten as failure:
                    del failed[before:]
                    report(failure)
    if savepaths is None and not prefix:
        parquet.remove_others(root, bucket, partitions)
    return written, missing + len(failed)


@asynccontextmanager
async def _segment_tokens(
    session: Session, tokenizer: "AudioTokenizer | None", report: Callable[[ServiceError], None]
) -> "AsyncIterator[SegmentTokens | None]":
    if tokenizer is None:
        yield None
        return
    from orchestrator.exports.tokens.segments import SegmentTokens
    from reelscribe.http.peers.extractor_client import ExtractorClient

    async with ExtractorClient(session.settings.listing_url, session.tokens) as extractor:
        yield SegmentTokens(extractor, tokenizer, report)


async def _report_missing(access: Access, selection: Selection) -> int:
    """Print which of the named savepaths have no transcript, and why; their number."""
    if selection.savepaths is None:
        return 0
    there = {savepath async for savepath in access.finished(selection._replace(filters=NO_FILTERS))}
    missing = [savepath for savepath in selection.savepaths if savepath not in there]
    for savepath in missing:
        print_error(visible((await access.why_missing(selection.bucket, savepath)).message))
    return len(missing)
