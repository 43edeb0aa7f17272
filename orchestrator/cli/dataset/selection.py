"""Which recordings, and which parts of them, a dataset is made of."""

import hashlib
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from orchestrator.exports.dataset.keys import listed_key, source_key
from orchestrator.exports.dataset.lists import Row, read_list
from orchestrator.exports.dataset.plan import EVERYTHING, Item, SpeechSettings, Utterance
from orchestrator.exports.dataset.utterances import cut
from orchestrator.intake.event_intake import RecordingFilter
from orchestrator.jobs.queries import jobs_by_id
from orchestrator.session import Session
from orchestrator.transcripts.queries import no_transcript
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
            for row in rows:
                recording = None if row.mistake else found.get(row.savepath)
                item = _twice(_of_row(selection.bucket, row, None), seen)
                if recording or item.mistake or selection.where_text is None:
                    yield row.split, await _speech(session, item, recording, settings)
    elif selection.savepaths is not None:
        for savepaths in _chunks(iter(selection.savepaths[: selection.limit])):
            found = await _transcribed(session, selection, savepaths)
            for savepath in savepaths:
                if savepath in found or selection.where_text is None:
                    item = _whole(selection.bucket, savepath, None, None)
                    yield EVERYTHING, await _speech(session, item, found.get(savepath), settings)
    else:
        async for recording in _all_transcribed(session, selection):
            item = _whole(selection.bucket, recording.savepath, recording.etag, recording.seconds)
            yield EVERYTHING, await _speech(session, item, recording, settings)


async def recordings(session: Session, selection: Selection) -> AsyncIterator[Planned]:
    """The items of all other kinds: recordings of the bucket, or the parts of them that a list names."""
    bucket, left = selection.bucket, selection.limit
    if selection.list:
        seen: set[str] = set()
        for rows in _chunks(selection.rows()):
            etags = await _etags(session, bucket, [row.savepath for row in rows if not row.mistake])
            for row in rows:
                yield row.split, _twice(_of_row(bucket, row, etags.get(row.savepath)), seen)
    elif selection.savepaths is not None:
        for savepaths in _chunks(iter(selection.savepaths[:left])):
            etags = await _etags(session, bucket, savepaths)
            for savepath in savepaths:
                yield EVERYTHING, _whole(bucket, savepath, etags.get(savepath), None)
    elif selection.where_text is not None:
        async for recording in _all_transcribed(session, selection):
            yield EVERYTHING, _whole(bucket, recording.savepath, recording.etag, recording.seconds)
    else:
        is_recording = RecordingFilter(session.settings).is_recording
        count = 0
        async for page in session.objects.pages(bucket, selection.prefix):
            for found in page:
                if is_recording(bucket, found.savepath):
                    if left is not None and count >= left:
                        return
                    count += 1
                    yield EVERYTHING, _whole(bucket, found.savepath, found.etag, None)


async def _transcribed(
    session: Session, selection: Selection, savepaths: Sequence[str]
) -> dict[str, TranscribedRecording]:
    async with session.pool.connection() as connection:
        found = await transcribed(
            connection, selection.bucket, savepaths=list(savepaths), where=selection.where, limit=len(savepaths)
        )
    return {recording.savepath: recording for recording in found}


async def _all_transcribed(session: Session, selection: Selection) -> AsyncIterator[TranscribedRecording]:
    after, left = "", selection.limit
    while left is None or left > 0:
        async with session.pool.connection() as connection:
            limit = PAGE if left is None else min(PAGE, left)
            found = await transcribed(
                connection, selection.bucket, selection.prefix, None, selection.where, after, limit
            )
        for recording in found:
            yield recording
        if not found:
            return
        after = found[-1].savepath
        left = None if left is None else left - len(found)


async def _etags(session: Session, bucket: str, savepaths: Sequence[str]) -> dict[str, str]:
    found = await session.objects.identities(bucket, set(savepaths))
    return {savepath: identity.etag for savepath, identity in found.items() if identity.etag}


def _whole(bucket: str, savepath: str, etag: str | None, seconds: float | None) -> Item:
    key = source_key(bucket, savepath)
    return Item(id=savepath, key=key, bucket=bucket, savepath=savepath, etag=etag, seconds=seconds)


def _of_row(bucket: str, row: Row, etag: str | None) -> Item:
    return Item(
        id=row.id[:1024],
        key=listed_key(row.id, row.start),
        bucket=bucket,
        savepath=row.savepath,
        etag=etag,
        start=row.start,
        duration=row.duration,
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
    session: Session, item: Item, recording: TranscribedRecording | None, settings: SpeechSettings
) -> Item:
    """The item with its utterances, or with the reason why it has none."""
    if item.mistake is not None:
        return item
    if recording is None:
        async with session.pool.connection() as connection:
            why = await no_transcript(connection, item.bucket, item.savepath, session.bucket(None))
        return item.model_copy(update={"code": why.code, "mistake": why.message})
    if recording.translated:
        message = f"the transcript of {item.savepath} is a translation: its text is not what is said"
        return item.model_copy(update={"code": "translated", "mistake": message})
    async with session.pool.connection() as connection:
        jobs = await jobs_by_id(connection, [recording.job])
    segments = [segment for job in jobs async for page in pages(session.pool, job) for segment in page]
    found = cut(segments, recording.language or "und", settings)
    return item.model_copy(
        update={
            "etag": recording.etag,
            "track": recording.track,
            "allow_incomplete": bool(recording.options.get("allow_incomplete")),
            "seconds": recording.seconds,
            "utterances": [utterance for utterance in found.utterances if _within(utterance, item)],
            "left_out": found.left_out,
        }
    )


def _within(utterance: Utterance, item: Item) -> bool:
    """Whether it lies in the part that is meant."""
    start = item.start or 0.0
    return utterance.start >= start and (item.duration is None or utterance.end <= start + item.duration)


def _chunks(found: Iterator[Chunked]) -> Iterator[list[Chunked]]:
    chunk: list[Chunked] = []
    for one in found:
        chunk.append(one)
        if len(chunk) == PAGE:
            yield chunk
            chunk = []
    if chunk:
        yield chunk
