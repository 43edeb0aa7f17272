"""Corrections of a transcript by people: each is one transaction over the layer of edits and the text that is shown."""

import asyncio
import math
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from typing import Annotated

from pydantic import AfterValidator, Field

from orchestrator.database.pool import Pool
from orchestrator.database.sql import Connection
from orchestrator.errors import EditConflict, NothingToUndo
from orchestrator.jobs import queries as job_queries
from orchestrator.jobs.models import Job, Record, storable
from orchestrator.queue.entries import QueueEntries
from orchestrator.transcripts import queries as transcript_queries
from orchestrator.transcripts.edits import history
from orchestrator.transcripts.edits.alignment import Written, timed
from orchestrator.transcripts.edits.history import Edit, EditedText
from orchestrator.transcripts.edits.layer import Patch, joined, within
from orchestrator.transcripts.edits.locking import LockedRecording, lock_to_edit
from orchestrator.transcripts.edits.ranges import layer_of, make_layer, ranges_between, replace_ranges
from orchestrator.transcripts.edits.shown import show_layer
from orchestrator.transcripts.models import TranscriptSegment
from reelscribe.contracts.messages import NonNegativeSeconds, WireModel
from reelscribe.errors import BadRequest
from reelscribe.settings.fields import BucketName
from reelscribe.text.blank import shows
from reelscribe.text.srt_vtt import one_line

FOLLOW_UP_SECONDS = 10
"""After an edit, until results are stored again: with all that is edited meanwhile."""
SAME_SECONDS = 0.0015
"""By so much a client's times may differ, which it may have rounded to milliseconds."""
SHORTEST_SECONDS = 0.001
ROUNDED_SECONDS = 0.01
"""To which transcribers round the end of the last segment, and not the length of the recording."""
MOST_SEGMENTS = 50
"""That one edit writes, or replaces."""
MOST_CHARACTERS = 20_000
"""That one edit writes in all its segments."""
TRIES = 3


def _said(text: str) -> str:
    text = one_line(storable(text))
    if not shows(text):
        raise ValueError("says nothing; leave the segment out if nothing is said there")
    return text


class WrittenSegment(WireModel):
    """A segment as a person wrote it. Without times, they are found from those of its words, or from its length."""

    text: Annotated[str, AfterValidator(_said)] = Field(min_length=1, max_length=5000)
    start: NonNegativeSeconds | None = None
    end: NonNegativeSeconds | None = None


def _not_too_long(segments: tuple[WrittenSegment, ...]) -> tuple[WrittenSegment, ...]:
    count = sum(len(segment.text) for segment in segments)
    if count > MOST_CHARACTERS:
        raise ValueError(f"have {count} characters; one edit writes {MOST_CHARACTERS} at most")
    return segments


class EditRequest(WireModel):
    """Body of ``POST /api/edits/{savepath}``: other segments in place of those between two times.

    One for one changes a text, two for one split it, one for two merge them, and none say that nothing is said there.

    Attributes:
        job: whose transcript was read.
        base_revision: ``revision`` of what was read.
        start, end: where the first of the replaced segments begins, and the last one ends; or a stretch without any.
        segments: their texts have 20,000 characters at most.
    """

    job: int = Field(ge=1, le=10**18)
    base_revision: int = Field(ge=0, le=10**9)
    start: NonNegativeSeconds
    end: NonNegativeSeconds
    segments: Annotated[tuple[WrittenSegment, ...], AfterValidator(_not_too_long)] = Field(
        max_length=MOST_SEGMENTS, strict=False
    )
    bucket_name: BucketName | None = None


class EditAnswer(Record):
    """What an edit has changed.

    Attributes:
        revision: of the recording now. If it is not that of ``base_revision`` plus one, others have edited other
            segments: read the transcript again.
        job: of the transcript.
        segments: those that are shown between the times of the edit now; after a split, all that follow have new
            indexes.
    """

    revision: int
    job: int
    title: str | None
    edit: Edit
    segments: list[TranscriptSegment]


Change = Callable[[Connection, Job, LockedRecording], Awaitable[Edit]]


class Corrections:
    """Takes edits of the text that the newest transcript of a recording has, and of its title.

    All methods raise :class:`reelscribe.errors.TranscriptNotFound` if there is no transcript yet.
    """

    def __init__(self, pool: Pool, queue: QueueEntries, default_bucket: str) -> None:
        self._pool = pool
        self._queue = queue
        self._default_bucket = default_bucket

    async def edit(self, bucket: str, savepath: str, request: EditRequest, author: str) -> EditAnswer:
        """Write other segments in place of some.

        Raises:
            EditConflict: someone else has edited one of them, or a newer transcript has other segments.
            BadRequest: the times are not those of segments, nor of a stretch of the recording without any.
        """
        _check_times(request)
        end = max(request.end, request.start + SHORTEST_SECONDS)
        request = request.model_copy(update={"end": end})

        async def change(connection: Connection, job: Job, recording: LockedRecording) -> Edit:
            layer = await layer_of(connection, job.id)
            theirs = await _replaced(connection, job, layer, recording.revision, request)
            if theirs:
                start = theirs[0].start
                end = max(*(segment.end for segment in theirs), start + SHORTEST_SECONDS)
            else:
                start, end = await _free(connection, job, request)
            written = [Written(segment.text, segment.start, segment.end) for segment in request.segments]
            if layer is None:
                layer = await make_layer(connection, job.id)
            segments = await asyncio.to_thread(timed, written, start, end, theirs)
            edit = _edit(await history.next_revision(connection, recording.id), author, start, end)
            edit = edit.model_copy(update={"replaced": _texts(theirs), "segments": _texts(segments)})
            patch = Patch(start=start, end=end, revision=edit.revision, segments=tuple(segments))
            return await _store(connection, job, recording, layer, edit, [patch])

        return await self._change(bucket, savepath, change)

    async def undo(self, bucket: str, savepath: str, revision: int | None, author: str) -> EditAnswer:
        """Undo an edit, or the newest one that is not undone yet. That is an edit too, and can be undone itself.

        Raises:
            NothingToUndo: there is none, or it is undone, or it is of another object than the transcript.
            EditConflict: someone has edited the same segments since.
        """

        async def change(connection: Connection, job: Job, recording: LockedRecording) -> Edit:
            layer = await layer_of(connection, job.id)
            wanted = revision or await history.newest_to_undo(connection, recording.id, layer)
            undone = None if wanted is None else await history.edit_at(connection, recording.id, wanted)
            if undone is None or undone.undone_by is not None or undone.layer not in (None, layer):
                raise NothingToUndo(
                    f"{savepath} has no edit to undo"
                    if revision is None
                    else f"{savepath} has no edit {revision} to undo, or it is undone already"
                )
            number = await history.next_revision(connection, recording.id)
            edit = _edit(number, author, undone.start, undone.end).model_copy(update={"undoes": undone.revision})
            if undone.layer is None:
                if recording.title != undone.title:
                    raise _conflict(savepath, recording.revision, [], [])
                stored = await _rename(connection, recording, edit, undone.title_before)
            else:
                assert undone.start is not None and undone.end is not None and layer is not None
                now = within(
                    await ranges_between(connection, layer, undone.start, undone.end), undone.start, undone.end
                )
                shown = await transcript_queries.segments_between(connection, job.id, undone.start, undone.end)
                if joined(now) != joined(undone.ranges):
                    theirs = await _said_between(connection, job, undone.start, undone.end)
                    raise _conflict(savepath, recording.revision, theirs, undone.replaced)
                edit = edit.model_copy(update={"replaced": _texts(shown)})
                stored = await _store(connection, job, recording, layer, edit, undone.ranges_before)
            await history.note_undone(connection, recording.id, undone, number)
            return stored

        return await self._change(bucket, savepath, change)

    async def rename(self, bucket: str, savepath: str, title: str | None, author: str) -> EditAnswer:
        """Give the recording a title, or take it away."""

        async def change(connection: Connection, job: Job, recording: LockedRecording) -> Edit:
            number = await history.next_revision(connection, recording.id)
            return await _rename(connection, recording, _edit(number, author, None, None), title)

        return await self._change(bucket, savepath, change)

    async def _change(self, bucket: str, savepath: str, change: Change) -> EditAnswer:
        for _ in range(TRIES):
            async with self._pool.connection() as connection:
                job = await job_queries.newest_finished(connection, bucket, savepath)
                recording = await lock_to_edit(connection, job) if job else None
                now = await job_queries.newest_finished(connection, bucket, savepath)
                if now is None:
                    raise await transcript_queries.no_transcript(connection, bucket, savepath, self._default_bucket)
                if recording is None or job is None or job.id != now.id:
                    await connection.rollback()
                    continue
                edit = await change(connection, now, recording)
                await self._queue.put(connection, recording.follow_ups, FOLLOW_UP_SECONDS)
                shown: list[TranscriptSegment] = []
                if edit.start is not None and edit.end is not None:
                    shown = await transcript_queries.segments_between(connection, now.id, edit.start, edit.end)
                title = recording.title if edit.start is not None else edit.title
                return EditAnswer(revision=edit.revision, job=now.id, title=title, edit=edit, segments=shown)
        raise _conflict(savepath, None, [], [])


async def _replaced(
    connection: Connection, job: Job, layer: int | None, revision: int, request: EditRequest
) -> list[TranscriptSegment]:
    """The segments that an edit replaces.

    Raises:
        EditConflict, BadRequest: see :meth:`Corrections.edit`.
    """
    shown = await transcript_queries.segments_between(connection, job.id, request.start, request.end)
    if len(shown) > MOST_SEGMENTS:
        raise BadRequest(f"these are {len(shown)} segments; one edit replaces {MOST_SEGMENTS} at most")
    changed = request.job != job.id or (
        layer is not None
        and await history.changed_since(connection, layer, request.base_revision, request.start, request.end)
    )
    if changed:
        theirs = await _said_between(connection, job, request.start, request.end)
        raise _conflict(job.savepath, revision, theirs, [segment.model_dump() for segment in request.segments])
    ends = max((segment.end for segment in shown), default=request.end)
    if shown and max(abs(shown[0].start - request.start), abs(ends - request.end)) > SAME_SECONDS:
        raise _no_borders(shown[0].start, ends)
    return shown


async def _said_between(connection: Connection, job: Job, start: float, end: float) -> list[EditedText]:
    """The segments that are spoken between two times, also those that begin before or end after them, without what is
    there only by a client's rounding.
    """
    rounded = SAME_SECONDS if end - start > 2 * SAME_SECONDS else 0.0
    lines = transcript_queries.lines_between(
        connection, job.id, start + rounded, end - rounded, after=-1, limit=MOST_SEGMENTS
    )
    return _texts(await lines)


async def _free(connection: Connection, job: Job, request: EditRequest) -> tuple[float, float]:
    """The stretch of an edit that replaces no segment, without what a client's rounding adds to it.

    Raises:
        BadRequest: it would hide a part of a segment, or is not in the recording.
    """
    length = max(job.progress_seconds, job.declared_seconds or (0.0 if job.complete else math.inf))
    if request.end > length + ROUNDED_SECONDS:
        raise BadRequest(f"start and end: the recording ends at {_to_milliseconds(length)} s", fields=["start", "end"])
    shown = await transcript_queries.lines_between(connection, job.id, request.start, request.end, -1, MOST_SEGMENTS)
    before = [segment.end for segment in shown if segment.end <= request.start + SAME_SECONDS]
    after = [segment.start for segment in shown if segment.start >= request.end - SAME_SECONDS]
    start, end = max([request.start, *before]), min([request.end, *after])
    if len(before) + len(after) < len(shown) or end <= start:
        raise _no_borders(shown[0].start, max(segment.end for segment in shown))
    return start, end


def _no_borders(start: float, end: float) -> BadRequest:
    nearest = f"the nearest ones are from {_to_milliseconds(start)} to {_to_milliseconds(end)} s"
    return BadRequest(f"start and end must be those of segments; {nearest}", fields=["start", "end"])


def _to_milliseconds(seconds: float) -> str:
    return f"{round(seconds, 3):.10g}"


def _check_times(request: EditRequest) -> None:
    """
    Raises:
        BadRequest: the times of a request contradict each other.
    """
    if request.end < request.start:
        raise BadRequest("end: is before start", fields=["end"])
    reached = request.start - SAME_SECONDS
    given = [(segment.start, segment.end) for segment in request.segments]
    if any((start is None) != (given[0][0] is None) or (end is None) != (start is None) for start, end in given):
        raise BadRequest("segments: give start and end of all of them, or of none", fields=["segments"])
    for start, end in given:
        if start is None or end is None:
            continue
        if start < reached or end <= start or end > request.end + SAME_SECONDS:
            raise BadRequest(
                "segments: each must end after it starts, not overlap the one before it, and be between start and end",
                fields=["segments"],
            )
        reached = end


async def _store(
    connection: Connection, job: Job, recording: LockedRecording, layer: int, edit: Edit, patches: Sequence[Patch]
) -> Edit:
    """Put patches in place of what is between the times of an edit, and note it; as it is noted."""
    start, end = edit.start, edit.end
    assert start is not None and end is not None
    before = within(await ranges_between(connection, layer, start, end), start, end)
    await replace_ranges(connection, layer, start, end, patches)
    after = within(await ranges_between(connection, layer, start, end), start, end)
    stored = await history.add(connection, recording.id, edit, layer, before, after)
    await show_layer(connection, job.id, recording.id, layer, start, end)
    if stored.undoes is None:
        return stored
    shown = _texts(await transcript_queries.segments_between(connection, job.id, start, end))
    await history.note_segments(connection, recording.id, stored.revision, shown)
    return stored.model_copy(update={"segments": shown})


async def _rename(connection: Connection, recording: LockedRecording, edit: Edit, title: str | None) -> Edit:
    await history.set_title(connection, recording.id, title)
    renamed = edit.model_copy(update={"title_before": recording.title, "title": title})
    return await history.add(connection, recording.id, renamed, None)


def _edit(revision: int, author: str, start: float | None, end: float | None) -> Edit:
    return Edit(
        revision=revision,
        author=author,
        made_at=datetime.now(UTC),
        start=start,
        end=end,
        replaced=[],
        segments=[],
        title_before=None,
        title=None,
        undoes=None,
        undone_by=None,
    )


def _texts(segments: Sequence[EditedText | TranscriptSegment | object]) -> list[EditedText]:
    return [EditedText.model_validate(segment, from_attributes=True) for segment in segments]


def _conflict(
    savepath: str, revision: int | None, theirs: Sequence[EditedText], yours: Sequence[object]
) -> EditConflict:
    return EditConflict(
        f"{savepath} was changed in the same place since it was read; nothing of it is lost: read it again, and decide",
        revision=revision,
        theirs=[text.model_dump() for text in theirs],
        yours=[one.model_dump() if isinstance(one, Record) else one for one in yours],
    )
