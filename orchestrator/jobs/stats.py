"""How the queue as a whole goes on: jobs and audio in each state, the speed of late, and how long it may still take."""

from typing import Any

from orchestrator.database.sql import Connection
from orchestrator.jobs.models import STATES, UNFINISHED, Record, State

RECENT_SECONDS = 600
"""What the speed is measured over."""
MOST_RECENT = 1000
"""Of the jobs that ended then, these are looked at, the last ones."""


class StateTotal(Record):
    """All current jobs in one state.

    Attributes:
        jobs: how many there are.
        seconds: of audio; for done ones exactly. A job whose length nobody knows yet counts as the mean of those done;
            None where nothing is done either.
    """

    jobs: int
    seconds: float | None


class Overview(Record):
    """The queue as a whole.

    Attributes:
        left_seconds: audio that has not been heard yet, about; None where nothing tells how long it is.
        speed: seconds of audio a second, of all workers together, over the time of the last :data:`RECENT_SECONDS`
            in which one was at work; None where none was.
    """

    states: dict[State, StateTotal]
    left_seconds: float | None
    speed: float | None

    @property
    def totals(self) -> dict[State, int]:
        """How many jobs are in each state that occurs."""
        return {state: total.jobs for state, total in self.states.items()}

    @property
    def unfinished(self) -> int:
        """How many jobs wait or run."""
        return sum(total.jobs for state, total in self.states.items() if state in UNFINISHED)

    @property
    def done_seconds(self) -> float:
        """Audio with a transcript."""
        done = self.states.get("done")
        return done.seconds or 0.0 if done else 0.0

    @property
    def eta_seconds(self) -> float | None:
        """How long what is left will take at this speed, about."""
        return self.left_seconds / self.speed if self.left_seconds is not None and self.speed else None

    def figures(self) -> dict[str, Any]:
        """The sums, for scripts."""
        return {
            "totals": self.totals,
            "done_seconds": self.done_seconds,
            "left_seconds": self.left_seconds,
            "speed": self.speed,
            "eta_seconds": self.eta_seconds,
        }


_SUMS = """
    select state, sum(delta)::bigint, sum(timed)::bigint, sum(seconds)::double precision
    from state_changes group by state having sum(delta) > 0
"""
_SUMS_OF_BUCKET = """
    select state, count(*), count(length), coalesce(sum(length), 0)::double precision from (
        select t.state, known_seconds(t.state, t.declared_seconds, t.progress_seconds) as length
        from transcriptions t join media m on m.id = t.media_id where not t.superseded and m.bucket = %(bucket)s
    ) now group by state
"""


async def overview(connection: Connection, bucket: str | None = None) -> Overview:
    """The queue as it is now. No scan: a few sums, and the jobs of late; only those of a bucket are counted."""
    cursor = await connection.execute(
        f"{_SUMS_OF_BUCKET if bucket else _SUMS} order by array_position(%(states)s, state)",
        {"states": list(STATES), "bucket": bucket},
    )
    sums: dict[State, tuple[int, int, float]] = {state: tuple(row) for state, *row in await cursor.fetchall()}
    _, timed, seconds = sums.get("done", (0, 0, 0.0))
    mean = seconds / timed if timed else None
    states = {
        state: StateTotal(jobs=jobs, seconds=_estimated(jobs, timed, seconds, mean))
        for state, (jobs, timed, seconds) in sums.items()
    }
    ahead = [total.seconds for state, total in states.items() if state in UNFINISHED]
    heard, speed = await _of_late(connection, bucket)
    known = [seconds for seconds in ahead if seconds is not None]
    left = max(0.0, sum(known) - heard) if len(known) == len(ahead) else None
    return Overview(states=states, left_seconds=left, speed=speed)


def _estimated(jobs: int, timed: int, seconds: float, mean: float | None) -> float | None:
    if timed == jobs:
        return seconds
    return None if mean is None else seconds + (jobs - timed) * mean


_WANTED = """
    (%(bucket)s::text is null or exists (select from media m where m.id = t.media_id and m.bucket = %(bucket)s))
"""


async def _of_late(connection: Connection, bucket: str | None) -> tuple[float, float | None]:
    """Seconds that running jobs have heard, and the speed of late.

    An attempt's audio counts as far as its time lies within the window. What is divided by is the time in which at
    least one was at work, so that a night without jobs makes nobody slow.
    """
    cursor = await connection.execute(
        f"""
        with recent as (
            (
                select id, attempt, progress_seconds as heard from transcriptions t
                where state = 'running' and {_WANTED}
                order by id limit %(most)s
            ) union all (
                select id, attempt, 0 from transcriptions t
                where finished_at > now() - make_interval(secs => %(window)s) and state = 'done' and {_WANTED}
                order by finished_at desc limit %(most)s
            )
        ), spans as (
            select r.heard, coalesce(a.covered_seconds, 0) as covered,
                extract(epoch from coalesce(a.ended_at, now()) - a.started_at) as took,
                case when a.started_at is not null then tstzrange(
                    greatest(a.started_at, now() - make_interval(secs => %(window)s)),
                    greatest(a.started_at, coalesce(a.ended_at, now()))
                ) end as at_work
            from recent r left join attempts a on a.transcription_id = r.id and a.attempt = r.attempt
        ), busy as (
            select sum(extract(epoch from upper(part) - lower(part))) as seconds
            from (select unnest(range_agg(at_work)) as part from spans) parts
        )
        select coalesce(sum(heard), 0)::double precision,
            (
                sum(covered * extract(epoch from upper(at_work) - lower(at_work)) / nullif(took, 0))
                / nullif((select seconds from busy), 0)
            )::double precision
        from spans
        """,
        {"window": RECENT_SECONDS, "most": MOST_RECENT, "bucket": bucket},
    )
    row = await cursor.fetchone()
    assert row
    return row[0], row[1]


async def count_by_state(connection: Connection) -> dict[State, int]:
    """How many current jobs are in each state that occurs."""
    cursor = await connection.execute(
        "select state, sum(delta)::bigint from state_changes group by state having sum(delta) > 0 order by state"
    )
    return dict(await cursor.fetchall())
