"""Pages of the jobs that match a filter, the newest first. The time for one page is bounded, however many jobs there
are: a page may hold fewer jobs than were asked for, even none, and still have a next one.
"""

import time
from typing import Any, NamedTuple

from orchestrator.database.sql import Connection, fetch_column, fetch_value, starting_with
from orchestrator.jobs.models import TRANSCRIBE, Job, State
from orchestrator.jobs.queries import jobs_by_id

WALKED_TOGETHER = 2_000
WALKING_SECONDS = 0.1
"""For how long further jobs are compared with a filter for one page."""
MOST_RECORDINGS = 3_000
"""Of one prefix; if it has no more, all its jobs are read, however old they are."""


class JobFilter(NamedTuple):
    """Which transcriptions are meant: all conditions hold.

    Attributes:
        bucket: of the recording.
        prefix: the savepath starts with it.
        text: in the savepath or in the sentence of its error, in upper or lower case.
    """

    state: State | None = None
    prefix: str | None = None
    text: str | None = None
    bucket: str | None = None


class Page(NamedTuple):
    """Jobs, the newest first; ``next`` is the ``after`` of the next page, None if there is none."""

    jobs: list[Job]
    next: int | None


async def page_of_jobs(connection: Connection, wanted: JobFilter, after: int | None = None, limit: int = 100) -> Page:
    """The next jobs after the one with the id ``after``, or the newest."""
    if not (wanted.prefix or wanted.text or wanted.bucket):
        walk = _walk(wanted, after)
        ids = await fetch_column(connection, f"{walk} limit %(limit)s", _parameters(wanted, after, limit))
        return Page(await _newest_first(connection, ids), ids[-1] if len(ids) == limit else None)
    if wanted.prefix and (media := await _recordings(connection, wanted.prefix)) is not None:
        parameters = _parameters(wanted, after, limit) | {"media": media}
        ids = await fetch_column(connection, _of_recordings(wanted, after), parameters)
        return Page(await _newest_first(connection, ids), ids[-1] if len(ids) == limit else None)
    found: list[int] = []
    deadline = time.monotonic() + WALKING_SECONDS
    while True:
        parameters = _parameters(wanted, after, limit - len(found))
        found += (ids := await fetch_column(connection, _matching(wanted, after), parameters))
        if len(found) == limit:
            after = ids[-1]
        else:
            last = f"{_walk(wanted, after)} offset {WALKED_TOGETHER - 1} limit 1"
            after = await fetch_value(connection, last, parameters)
        if len(found) == limit or after is None or time.monotonic() >= deadline:
            return Page(await _newest_first(connection, found), after)


def _parameters(wanted: JobFilter, after: int | None, limit: int) -> dict[str, Any]:
    return {
        "state": wanted.state,
        "after": after,
        "limit": limit,
        "prefix": starting_with(wanted.prefix or ""),
        "text": wanted.text,
        "bucket": wanted.bucket,
    }


async def _newest_first(connection: Connection, ids: list[int]) -> list[Job]:
    return (await jobs_by_id(connection, ids))[::-1]


async def _recordings(connection: Connection, prefix: str) -> list[int] | None:
    """Those of a prefix, in all buckets; None if they are too many."""
    found = await fetch_column(
        connection,
        """
        with recursive buckets (bucket) as (
            (select bucket from media order by bucket limit 1)
            union all
            select (select m.bucket from media m where m.bucket > b.bucket order by m.bucket limit 1)
            from buckets b where b.bucket is not null
        )
        select m.id from buckets b cross join lateral (
            select id from media where media.bucket = b.bucket and savepath like %(prefix)s
            limit %(limit)s
        ) m limit %(limit)s
        """,
        {"prefix": starting_with(prefix), "limit": MOST_RECORDINGS + 1},
    )
    return found if len(found) <= MOST_RECORDINGS else None


_KIND = f"j.kind = '{TRANSCRIBE}'"
"""Not a parameter: PostgreSQL would not know that the indexes of transcriptions have them all."""


def _conditions(wanted: JobFilter, after: int | None) -> str:
    given = ["not j.superseded", _KIND]
    given += ["j.state = %(state)s"] if wanted.state else []
    given += ["j.id < %(after)s"] if after is not None else []
    return " and ".join(given)


def _walk(wanted: JobFilter, after: int | None) -> str:
    """The ids of the jobs that an index alone finds."""
    return f"select j.id from jobs j where {_conditions(wanted, after)} order by j.id desc"


_WITH_PREFIX = "m.savepath like %(prefix)s"
_IN_BUCKET = "m.bucket = %(bucket)s"
_WITH_TEXT = """(
    position(lower(%(text)s) in lower(m.savepath collate "default")) > 0 -- its own collation knows no case but ASCII's
    or position(lower(%(text)s) in lower(coalesce(j.error_message, ''))) > 0
)"""


def _of_recordings(wanted: JobFilter, after: int | None) -> str:
    text = "".join(f" and {condition}" for condition in _of_media(wanted._replace(prefix=None)))
    return f"""
        select j.id from jobs j join media m on m.id = j.media_id
        where j.media_id = any(%(media)s) and {_conditions(wanted, after)} {text}
        order by j.id desc limit %(limit)s
    """


def _of_media(wanted: JobFilter) -> list[str]:
    """Conditions that need the recording."""
    given = ((_WITH_PREFIX, wanted.prefix), (_IN_BUCKET, wanted.bucket), (_WITH_TEXT, wanted.text))
    return [condition for condition, value in given if value]


def _matching(wanted: JobFilter, after: int | None) -> str:
    """Those of the next :data:`WALKED_TOGETHER` jobs whose recordings match."""
    matches = " and ".join(_of_media(wanted))
    # A lateral join with a limit is a look-up of each, in order; a hash of all recordings would take far longer.
    return f"""
        select j.id from (
            select j.id, j.media_id, j.error_message from jobs j where {_conditions(wanted, after)}
            order by j.id desc limit {WALKED_TOGETHER}
        ) j
        cross join lateral (select savepath, bucket from media where media.id = j.media_id limit 1) m
        where {matches} order by j.id desc limit %(limit)s
    """
