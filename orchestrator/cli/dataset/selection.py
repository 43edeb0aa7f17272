"""Which recordings, and which parts of them, a dataset is made of."""

import hashlib
import math
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from orchestrator.exports.dataset.keys import listed_key, source_key
from orchestrator.exports.dataset.lists import Row, read_list
from orchestrator.exports.dataset.plan import EVERYTHING, Item, SpeechSettings
from orchestrator.exports.dataset.utterances import Cut, cut
from orchestrator.intake.event_intake import RecordingFilter
from orchestrator.jobs.queries import jobs_by_id
from orchestrator.session import Session
from orchestrator.transcripts.queries import no_transcripts
from orchestrator.transcripts.reader import pages
from orchestrator.transcripts.recordings import PAGE, TranscribedRecording, transcribed
from orchestrator.transcripts.where import Condition

Planned = tuple[str, Item]
"""An item and its split."""

Chunked = TypeVar("Chunked")


@dataclass(frozen=True)
class Selection:
    """What a command asks for.

    Attributes:
        savepaths: named ones; else all that start with ``prefix``, or the rows of ``list``.
        where, where_text: a condition on transcripts, as SQL and as it was written.
        list: of what is wanted; ``columns`` and ``template`` say how it is read.
        limit: recordings, or rows of the list, at most.
    """

    bucket: str
    savepaths: Sequence[str] | None
    prefix: str
    where: Condition
    where_text: str | None
    list: Path | None
    columns: Mapping[str, str]
    template: str
    limit: int | None

    def described(self) -> dict[str, Any]:
        """In words, and by the content of the list: what a plan is compared by."""
        return {
            "bucket": self.bucket,
            "savepaths": None if self.savepaths is None else sorted(self.savepaths),
            "prefix": self.prefix,
            "where": self.where_text,
            "list_sha256": hashlib.sha256(self.list.read_bytes()).hexdigest() if self.list else None,
            "columns": dict(self.columns),
            "template": self.template if self.list else None,
            "limit": self.limit,
        }

    def rows(self) -> Iterator[Row]:
        """The rows of the list, as many as are wanted."""
        assert self.list
        for number, row in enumerate(read_list(self.list, self.columns, self.template)):
            if self.limit is not None and number >= self.limit:
                return
            yield row


async def utterances(session: Session, selection: Selection, settings: SpeechSettings) -> AsyncIterator[Planned]:
    """The items of ``speech``: recordings that have a finished transcript, with what was said in them."""
    seen: set[str] = set()
    if selection.list:
        for rows in _chunks(selection.rows()):
            found = await _transcribed(session, selection, [row.savepath for row in rows if not row.mistake])
            items = [_twice(_of_row(selection.bucket, row, None), seen) for row in rows]
            kept = [
                (row.split, item)
                for row, item in zip(rows, items, strict=True)
                if item.mistake or row.savepath in found or selection.where_text is None
            ]
            async for planned in _speech(session, kept, found, settings):
                yield planned
    elif selection.savepaths is not None:
        for savepaths in _chunks(iter(selection.savepaths[: selection.limit])):
            found = await _transcribed(session, selection, savepaths)
            wanted = [savepath for savepath in savepaths if savepath in found or selection.where_text is None]
            kept = [(EVERYTHING, _whole(selection.bucket, savepath, None, None)) for savepath in wanted]
            async for planned in _speech(session, kept, found, settings):
                yield planned
    else:
        async for page in _all_transcribed(session, selection):
            kept = [
                (EVERYTHING, _whole(selection.bucket, recording.savepath, recording.etag, recording.seconds))
                for recording in page
            ]
            of_page = {recording.savepath: recording for recording in page}
            async for planned in _speech(session, kept, of_page, settings):
                yield planned


async def recordings(session: Session, selection: Selection) -> AsyncIterator[Planned]:
    """The items of all other kinds: recordings of the bucket, or the parts of them that a list names."""
    bucket, left = selection.bucket, selection.limit
    if selection.list:
        seen: set[str] = set()
        for rows in _chunks(selection.rows()):
            savepaths = [row.savepath for row in rows if not row.mistake]
            etags, lengths = await _etags(session, bucket, savepaths), await _lengths(session, bucket, savepaths)
            for row in rows:
                item = _of_row(bucket, row, etags.get(row.savepath), lengths.get(row.savepath))
                yield row.split, _twice(item, seen)
    elif selection.savepaths is not None:
        for savepaths in _chunks(iter(selection.savepaths[:left])):
            etags, lengths = await _etags(session, bucket, savepaths), await _lengths(session, bucket, savepaths)
            for savepath in savepaths:
                yield EVERYTHING, _whole(bucket, savepath, etags.get(savepath), lengths.get(savepath))
    elif selection.where_text is not None:
        async for page in _all_transcribed(session, selection):
            for recording in page:
                yield EVERYTHING, _whole(bucket, recording.savepath, recording.etag, recording.seconds)
    else:
        is_recording = RecordingFilter(session.settings).is_recording
        count = 0
        async for listed in session.objects.pages(bucket, selection.prefix):
            lengths = await _lengths(session, bucket, [found.savepath for found in listed])
            for found in listed:
                if is_recording(bucket, found.savepath):
                    if left is not None and count >= left:
                        return
                    count += 1
                    yield EVERYTHING, _whole(bucket, found.savepath, found.etag, lengths.get(found.savepath))


async def _transcribed(
    session: Session, selection: Selection, savepaths: Sequence[str]
) -> dict[str, TranscribedRecording]:
    async with session.pool.connection() as connection:
        found = await transcribed(
            connection, selection.bucket, savepaths=list(savepaths), where=selection.where, limit=len(savepaths)
        )
    return {recording.savepath: recording for recording in found}


async def _all_transcribed(session: Session, selection: Selection) -> AsyncIterator[list[TranscribedRecording]]:
    after, left = "", selection.limit
    while left is None or left > 0:
        async with session.pool.connection() as connection:
            limit = PAGE if left is None else min(PAGE, left)
            found = await transcribed(
                connection, selection.bucket, selection.prefix, None, selection.where, after, limit
            )
        if not found:
            return
        yield found
        after = found[-1].savepath
        left = None if left is None else left - len(found)


async def _etags(session: Session, bucket: str, savepaths: Sequence[str]) -> dict[str, str]:
    found = await session.objects.identities(bucket, set(savepaths))
    return {savepath: identity.etag for savepath, identity in found.items() if identity.etag}


async def _lengths(session: Session, bucket: str, savepaths: Sequence[str]) -> dict[str, float]:
    """In seconds, of those that have been transcribed: a long one need not be in one shard."""
    async with session.pool.connection() as connection:
        found = await transcribed(connection, bucket, savepaths=list(savepaths), limit=len(savepaths))
    return {recording.savepath: recording.seconds for recording in found}


def _whole(bucket: str, savepath: str, etag: str | None, seconds: float | None) -> Item:
    key = source_key(bucket, savepath)
    return Item(id=savepath, key=key, bucket=bucket, savepath=savepath, etag=etag, seconds=seconds)


def _of_row(bucket: str, row: Row, etag: str | None, seconds: float | None = None) -> Item:
    return Item(
        id=row.id[:1024],
        key=listed_key(row.id, row.start),
        bucket=bucket,
        savepath=row.savepath,
        etag=etag,
        start=row.start,
        duration=row.duration,
        seconds=seconds,
        label=row.label,
        speaker=row.speaker,
        code="bad_row" if row.mistake else None,
        mistake=row.mistake,
    )


def _twice(item: Item, seen: set[str]) -> Item:
    """The item; one whose key another one has is a mistake."""
    if item.mistake is not None:
        return item
    if item.key in seen:
        return item.model_copy(update={"code": "duplicate", "mistake": f"{item.key} is in the list already"})
    seen.add(item.key)
    return item


async def _speech(
    session: Session,
    items: Sequence[Planned],
    found: Mapping[str, TranscribedRecording],
    settings: SpeechSettings,
) -> AsyncIterator[Planned]:
    """The items of a page with their utterances, or with the reason why they have none.

    Args:
        found: the transcripts of their recordings, by savepath.
    """
    missing = {item.savepath for _, item in items if item.mistake is None and item.savepath not in found}
    async with session.pool.connection() as connection:
        bucket = items[0][1].bucket if items else ""
        reasons = await no_transcripts(connection, bucket, missing, session.bucket(None))
        jobs = {job.id: job for job in await jobs_by_id(connection, [one.job for one in found.values()])}
    for split, item in items:
        recording = found.get(item.savepath)
        if item.mistake is not None:
            yield split, item
        elif recording is None:
            why = reasons[item.savepath]
            yield split, item.model_copy(update={"code": why.code, "mistake": why.message})
        elif recording.translated:
            message = f"the transcript of {item.savepath} is a translation: its text is not what is said"
            yield split, item.model_copy(update={"code": "translated", "mistake": message})
        else:
            job = jobs.get(recording.job)  # forgotten since
            segments = [segment async for page in pages(session.pool, job) for segment in page] if job else []
            start, language = item.start or 0.0, recording.language or "und"
            end = math.inf if item.duration is None else round(start + item.duration, 6)  # as utterances are
            yield split, _with_utterances(item, recording, cut(segments, language, settings, start, end))


def _with_utterances(item: Item, recording: TranscribedRecording, found: Cut) -> Item:
    return item.model_copy(
        update={
            "etag": recording.etag,
            "track": recording.track,
            "allow_incomplete": bool(recording.options.get("allow_incomplete")),
            "seconds": recording.seconds,
            "utterances": found.utterances,
            "left_out": found.left_out,
        }
    )


def _chunks(found: Iterator[Chunked]) -> Iterator[list[Chunked]]:
    chunk: list[Chunked] = []
    for one in found:
        chunk.append(one)
        if len(chunk) == PAGE:
            yield chunk
            chunk = []
    if chunk:
        yield chunk
