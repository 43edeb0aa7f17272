"""Pages of the jobs that match a filter, the newest first. The work for one page is bounded, however many jobs there
are: a page may hold fewer jobs than were asked for, even none, and still have a next one.
"""

from typing import Any, NamedTuple

from orchestrator.database.sql import Connection, fetch_column, fetch_value, starting_with
from orchestrator.jobs.models import TRANSCRIBE, Job, State
from orchestrator.jobs.queries import jobs_by_id

MOST_WALKED = 10_000
"""Jobs that are compared with a filter for one page."""
MOST_RECORDINGS = 1_000
"""Of one prefix; if it has no more, all its jobs are read, however old they are."""


class JobFilter(NamedTuple):
    """Which transcriptions are meant: all conditions hold.

    Attributes:
        prefix: the savepath starts with it.
        text: in the savepath or in the sentence of its error, in upper or lower case.
    """

    state: State | None = None
    prefix: str | None = None
    text: str | None = None


class Page(NamedTuple):
    """Jobs, the newest first; ``next`` is the ``after`` of the next page, None if there is none."""

    jobs: list[Job]
    next: int | None


async def page_of_jobs(connection: Connection, wanted: JobFilter, after: int | None = None, limit: int = 100) -> Page:
    """The next jobs after the one with the id ``after``, or the newest."""
    parameters = {
        "kind": TRANSCRIBE,
        "state": wanted.state,
        "after": after,
        "limit": limit,
        "prefix": starting_with(wanted.prefix or ""),
        "text": wanted.text,
        "most_walked": MOST_WALKED,
        "most_recordings": MOST_RECORDINGS,
    }
    walk = _walk(wanted, after)
    if not (wanted.prefix or wanted.text):
        ids = await fetch_column(connection, f"{walk} limit %(limit)s", parameters)
    elif wanted.prefix and (media := await _recordings(connection, parameters)) is not None:
        ids = await fetch_column(connection, _of_recordings(wanted, after), parameters | {"media": media})
    else:
        ids = await fetch_column(connection, _matching(wanted, walk), parameters)
        if len(ids) < limit:
            last = await fetch_value(connection, f"{walk} offset %(most_walked)s - 1 limit 1", parameters)
            return Page(await _newest_first(connection, ids), last)
    return Page(await _newest_first(connection, ids), ids[-1] if len(ids) == limit else None)


async def _newest_first(connection: Connection, ids: list[int]) -> list[Job]:
    return (await jobs_by_id(connection, ids))[::-1]


async def _recordings(connection: Connection, parameters: dict[str, Any]) -> list[int] | None:
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
            limit %(most_recordings)s + 1
        ) m limit %(most_recordings)s + 1
        """,
        parameters,
    )
    return found if len(found) <= parameters["most_recordings"] else None


def _conditions(wanted: JobFilter, after: int | None) -> str:
    given = ["not j.superseded", "j.kind = %(kind)s"]
    given += ["j.state = %(state)s"] if wanted.state else []
    given += ["j.id < %(after)s"] if after is not None else []
    return " and ".join(given)


def _walk(wanted: JobFilter, after: int | None) -> str:
    """The ids of the jobs that an index alone finds."""
    return f"select j.id from jobs j where {_conditions(wanted, after)} order by j.id desc"


_WITH_PREFIX = "m.savepath like %(prefix)s"
_WITH_TEXT = """(
    position(lower(%(text)s) in lower(m.savepath)) > 0
    or position(lower(%(text)s) in lower(coalesce(j.error_message, ''))) > 0
)"""


def _of_recordings(wanted: JobFilter, after: int | None) -> str:
    text = f"and {_WITH_TEXT}" if wanted.text else ""
    return f"""
        select j.id from jobs j join media m on m.id = j.media_id
        where j.media_id = any(%(media)s) and {_conditions(wanted, after)} {text}
        order by j.id desc limit %(limit)s
    """


def _matching(wanted: JobFilter, walk: str) -> str:
    """Those of the next :data:`MOST_WALKED` jobs whose recordings match."""
    matches = " and ".join([*([_WITH_PREFIX] if wanted.prefix else []), *([_WITH_TEXT] if wanted.text else [])])
    walked = walk.replace("select j.id from", "select j.id, j.media_id, j.error_message from", 1)
    # A lateral join with a limit is a look-up of each, in order; a hash of all recordings would take far longer.
    return f"""
        select j.id from ({walked} limit %(most_walked)s) j
        cross join lateral (select savepath from media where media.id = j.media_id limit 1) m
        where {matches} order by j.id desc limit %(limit)s
    """
