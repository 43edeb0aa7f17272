"""How much audio was transcribed in each quarter of an hour: sums over the jobs that ended, read a page at a time."""

from datetime import datetime
from typing import NamedTuple

from orchestrator.database.sql import Connection, fetch_all

INTERVAL_SECONDS = 900
SETTLED_SECONDS = 10
"""What ended within this time is left for the next reading: a slower transaction may still add to it."""
MOST_ENDED = 20_000
"""Jobs of one page."""


class Ended(NamedTuple):
    """A job in the order of their ends."""

    when: datetime
    job: int


class Interval(NamedTuple):
    """What was finished in one interval, or in a part of it.

    Attributes:
        number: of the interval since 1970.
        seconds: of audio.
    """

    number: int
    jobs: int
    seconds: float


class EndedPage(NamedTuple):
    """The jobs that ended after a certain one; ``last`` of them is None if there is none yet."""

    intervals: list[Interval]
    last: Ended | None


async def ended_after(connection: Connection, after: Ended) -> EndedPage:
    """The next :data:`MOST_ENDED` jobs, added up."""
    rows = await fetch_all(
        connection,
        """
        with ended as materialized (
            select id, finished_at, progress_seconds, kind = 'transcribe' and state = 'done' as counts from jobs
            where finished_at is not null and (finished_at, id) > (%(when)s, %(job)s)
                and finished_at < now() - make_interval(secs => %(settled)s)
            order by finished_at, id limit %(most)s
        )
        select floor(extract(epoch from finished_at) / %(interval)s)::bigint as number, count(*) filter (where counts),
            coalesce(sum(progress_seconds) filter (where counts), 0), max(finished_at),
            (array_agg(id order by finished_at desc, id desc))[1]
        from ended group by number order by number
        """,
        {
            "when": after.when,
            "job": after.job,
            "settled": SETTLED_SECONDS,
            "most": MOST_ENDED,
            "interval": INTERVAL_SECONDS,
        },
    )
    return EndedPage([Interval(*row[:3]) for row in rows], Ended(*rows[-1][3:]) if rows else None)
