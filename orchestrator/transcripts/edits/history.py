"""The edits of a recording, each with who made it, when, and what it replaced.

Functions take the connection, so that the caller says what belongs to one transaction.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from psycopg.rows import class_row

from orchestrator.database.sql import Connection, fetch_models, fetch_one, fetch_value
from orchestrator.jobs.models import Record
from orchestrator.transcripts.edits.layer import Patch
from orchestrator.transcripts.edits.ranges import as_json
from orchestrator.transcripts.words import vectors


class EditedText(Record):
    """A segment, for people."""

    start: float
    end: float
    text: str


class Edit(Record):
    """One change of a recording's text or title.

    Attributes:
        revision: its number: 1 is the first edit of the recording.
        start, end: the time in the recording; None if it changed the title.
        replaced: the segments that were shown there before; ``segments``: those after it, none if nothing is said.
        title_before, title: of one that changed the title; None: the savepath.
        undoes: revision of the edit that it undid.
        undone_by: revision of the edit that undid it.
    """

    revision: int
    author: str
    made_at: datetime
    start: float | None
    end: float | None
    replaced: list[EditedText]
    segments: list[EditedText]
    title_before: str | None
    title: str | None
    undoes: int | None
    undone_by: int | None


class StoredEdit(Edit):
    """With what undoing it takes: the patches between its times before it, and after it; ``layer`` None: of a title."""

    layer: int | None
    ranges_before: list[Patch]
    ranges: list[Patch]


_EDIT = """
    select revision, author, made_at, start_seconds as start, end_seconds as "end", replaced, segments, title_before,
        title, undoes, undone_by
"""


async def listed(connection: Connection, job: int, before: int | None = None, limit: int = 1000) -> list[Edit]:
    """The edits of a job's recording, the newest first; ``before`` is the last revision of the page before."""
    return await fetch_models(
        connection,
        Edit,
        f"""
        {_EDIT} from edits where media_id = (select media_id from jobs where id = %(job)s)
            and (%(before)s::int is null or revision < %(before)s)
        order by revision desc limit %(limit)s
        """,
        {"job": job, "before": before, "limit": limit},
    )


async def last_made_at(connection: Connection, job: int) -> datetime | None:
    """When the recording of a job was edited last."""
    time: datetime | None = await fetch_value(
        connection,
        """
        select e.made_at from jobs j join edits e on e.media_id = j.media_id
        where j.id = %s order by e.revision desc limit 1
        """,
        (job,),
    )
    return time


async def edit_at(connection: Connection, media_id: int, revision: int) -> StoredEdit | None:
    """The edit with this number."""
    async with connection.cursor(row_factory=class_row(StoredEdit)) as cursor:
        await cursor.execute(
            f"{_EDIT}, layer_id as layer, ranges_before, ranges from edits where media_id = %s and revision = %s",
            (media_id, revision),
        )
        return await cursor.fetchone()


async def newest_to_undo(connection: Connection, media_id: int, layer: int | None) -> int | None:
    """The newest edit that is not undone, of those of a layer and of the title; edits that undo others do not count."""
    revision: int | None = await fetch_value(
        connection,
        """
        select max(revision) from edits
        where media_id = %s and undone_by is null and undoes is null and (layer_id is null or layer_id = %s)
        """,
        (media_id, layer),
    )
    return revision


async def changed_since(connection: Connection, layer: int, revision: int, start: float, end: float) -> bool:
    """Whether someone has edited something between two times after a revision."""
    found = await fetch_one(
        connection,
        """
        select from edits where layer_id = %s and revision > %s and start_seconds < %s and end_seconds > %s limit 1
        """,
        (layer, revision, end, start),
    )
    return found is not None


async def next_revision(connection: Connection, media_id: int) -> int:
    """The number of a new edit."""
    statement = "update media set revision = revision + 1 where id = %s returning revision"
    return int(await fetch_value(connection, statement, (media_id,)))


async def add(
    connection: Connection,
    media_id: int,
    edit: Edit,
    layer: int | None,
    before: Sequence[Patch] = (),
    after: Sequence[Patch] = (),
) -> Edit:
    """Store an edit; as it is then, with its time."""
    values: dict[str, Any] = {
        **edit.model_dump(exclude={"made_at", "replaced", "segments"}),
        "media": media_id,
        "layer": layer,
        "replaced": as_json(edit.replaced),
        "segments": as_json(edit.segments),
        "before": as_json(before),
        "after": as_json(after),
    }
    made_at = await fetch_value(
        connection,
        """
        insert into edits (media_id, revision, layer_id, author, start_seconds, end_seconds, replaced, segments,
            title_before, title, ranges_before, ranges, undoes)
        values (%(media)s, %(revision)s, %(layer)s, %(author)s, %(start)s, %(end)s, %(replaced)s, %(segments)s,
            %(title_before)s, %(title)s, %(before)s, %(after)s, %(undoes)s)
        returning made_at
        """,
        values,
    )
    return edit.model_copy(update={"made_at": made_at})


async def note_segments(connection: Connection, media_id: int, revision: int, segments: Sequence[EditedText]) -> None:
    """What an edit has led to, which is known only after it: one that undoes another restores the model's text."""
    await connection.execute(
        "update edits set segments = %s where media_id = %s and revision = %s",
        (as_json(segments), media_id, revision),
    )


async def note_undone(connection: Connection, media_id: int, edit: Edit, by: int) -> None:
    """An edit is undone by another; what it had undone itself is in force again."""
    await connection.execute(
        """
        update edits set undone_by = case revision when %(undone)s then %(by)s end
        where media_id = %(media)s and revision = any(%(both)s)
        """,
        {"media": media_id, "undone": edit.revision, "by": by, "both": [edit.revision, edit.undoes]},
    )


async def set_title(connection: Connection, media_id: int, title: str | None) -> None:
    """Give a recording a title that search finds, or take it away."""
    await connection.execute(
        "update media set title = %s, title_search = %s where id = %s",
        (title, vectors([title])[0] if title else None, media_id),
    )
