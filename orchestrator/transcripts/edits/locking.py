"""Whoever changes the text of a recording, by an edit or by a new transcript, does it one after the other.

All lock jobs before recordings, as whatever else writes both does: no deadlock.
"""

from typing import NamedTuple

from orchestrator.database.sql import Connection, fetch_one
from orchestrator.jobs import transitions
from orchestrator.jobs.models import Job


class LockedRecording(NamedTuple):
    """A recording that no one else edits until the transaction ends.

    Attributes:
        revision: of its last edit.
        follow_ups: jobs that are to be queued, since its text changes.
    """

    id: int
    revision: int
    title: str | None
    follow_ups: list[int]


EDITED = "edit"
"""What jobs follow that are made when a text is edited."""


async def lock_to_edit(connection: Connection, job: Job) -> LockedRecording | None:
    """Lock the recording of a finished job; None if it was forgotten meanwhile."""
    row = await fetch_one(
        connection,
        """
        with wanted as (
            select j.id from jobs j where j.id = %(job)s or (
                j.media_id = (select media_id from jobs where id = %(job)s) and not j.superseded
                and j.kind in (select kind from follow_ups where follows = %(edited)s)
            ) order by j.id for no key update
        ) select count(*), (select media_id from jobs where id = %(job)s) from wanted
        """,
        {"job": job.id, "edited": EDITED},
    )
    media_id = row[1]
    if media_id is None:
        return None
    follow_ups = await transitions.add_follow_ups(connection, EDITED, media_id)
    found = await _lock(connection, media_id)
    return LockedRecording(media_id, *found, follow_ups) if found else None


LOCK_TO_FINISH = """
    select revision, removed_at is not null as removed from media
    where id = (select media_id from changed) for no key update
"""
"""As part of the statement that finishes a job, which is then locked: lock its recording."""


async def _lock(connection: Connection, media_id: int) -> tuple[int, str | None] | None:
    row: tuple[int, str | None] | None = await fetch_one(
        connection, "select revision, title from media where id = %s for no key update", (media_id,)
    )
    return row
