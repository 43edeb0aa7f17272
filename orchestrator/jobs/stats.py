"""The queue as a whole: jobs and audio in each state, the recent speed, and how long it may still take."""

from collections.abc import Sequence
from typing import Any

from pydantic import Field

from orchestrator.database.sql import Connection, fetch_all, fetch_column, fetch_one, fetch_value, starting_with
from orchestrator.errors import BucketAway
from orchestrator.jobs.models import STATES, TRANSCRIBE, UNFINISHED, Record, State

RECENT_SECONDS = 600
"""What the speed is measured over."""
MOST_RECENT = 1000
"""Of the jobs that ended then, the last ones are looked at."""
SAMPLE = 10_000
"""Of the jobs that wait, about so many say how many are paused."""
WAITING: tuple[State, ...] = ("queued", "waiting")


class StateTotal(Record):
    """All current transcriptions in one state.

    Attributes:
        jobs: how many.
        seconds: of audio; for done ones exactly. A job of unknown length counts as the mean of those done; None if
            nothing is done either.
    """

    jobs: int
    seconds: float | None


NO_JOBS = StateTotal(jobs=0, seconds=0.0)


class PendingWork(Record):
    """Unfinished jobs of one kind; ``failing`` of them have failed at least once, the last one with this ``error``."""

    pending: int
    failing: int
    error: str | None = None


class Overview(Record):
    """The queue as a whole.

    Attributes:
        left_seconds: audio that is not transcribed yet, about; None if nothing says how long it is.
        speed: seconds of audio per second, of all workers together, over the part of the last :data:`RECENT_SECONDS`
            in which one was at work; None if none was.
        paused: of the jobs that have not begun, those that a pause holds back; they are part of no estimate.
        no_transcriber: why jobs wait for a transcriber while none runs: then nothing says when they will be done.
        buckets_away: why recordings of a bucket cannot be read now, by its name: its jobs wait, and nothing says when
            they will be done.
    """

    states: dict[State, StateTotal]
    left_seconds: float | None
    speed: float | None
    paused: StateTotal = NO_JOBS
    no_transcriber: str | None = None
    buckets_away: dict[str, str] = Field(default_factory=dict)

    @property
    def totals(self) -> dict[State, int]:
        """How many jobs are in each state that occurs."""
        return {state: total.jobs for state, total in self.states.items()}

    @property
    def unfinished(self) -> int:
        """How many jobs wait or run."""
        return sum(total.jobs for state, total in self.states.items() if state in UNFINISHED)

    @property
    def all_paused(self) -> bool:
        """Whether there are jobs, and pauses hold all of them back."""
        return 0 < self.unfinished <= self.paused.jobs

    @property
    def done_seconds(self) -> float:
        """Audio with a transcript."""
        done = self.states.get("done")
        return done.seconds or 0.0 if done else 0.0

    @property
    def eta_seconds(self) -> float | None:
        """How long what is left and not paused will take at this speed, about; None while no transcriber takes a job
        or a bucket is away, and if all of it is paused.
        """
        if self.no_transcriber is not None or self.buckets_away or self.all_paused or not self.speed:
            return None
        if self.left_seconds is None or self.paused.seconds is None:
            return None
        return max(0.0, self.left_seconds - self.paused.seconds) / self.speed

    def figures(self, workers: int) -> dict[str, Any]:
        """The sums, for scripts; without a worker, nothing says how long it will take."""
        return {
            "totals": self.totals,
            "done_seconds": self.done_seconds,
            "left_seconds": self.left_seconds,
            "speed": self.speed,
            "eta_seconds": self.eta_seconds if workers else None,
            "paused": self.paused.model_dump(),
            "no_transcriber": self.no_transcriber,
            "buckets_away": self.buckets_away,
        }


_SUMS = """
    select state, sum(delta)::bigint, sum(timed)::bigint, sum(seconds)::double precision
    from state_changes where kind = %(kind)s group by state having sum(delta) > 0
"""
_SUMS_OF_SOME = """
    select state, count(*), count(length), coalesce(sum(length), 0)::double precision from (
        select t.state, known_seconds(t.state, t.declared_seconds, t.progress_seconds) as length
        from transcriptions t join media m on m.id = t.media_id where not t.superseded
            and (%(bucket)s::text is null or m.bucket = %(bucket)s) and m.savepath like %(prefix)s
    ) now group by state
"""


async def overview(connection: Connection, bucket: str | None = None, prefix: str | None = None) -> Overview:
    """The queue as it is now. No scan: a few sums, and the recent jobs; only those of a bucket, or of savepaths that
    start with ``prefix``, are counted.
    """
    only = {"bucket": bucket, "prefix": starting_with(prefix or "")}
    rows = await fetch_all(
        connection,
        f"{_SUMS_OF_SOME if bucket or prefix else _SUMS} order by array_position(%(states)s, state)",
        {"states": list(STATES), "kind": TRANSCRIBE, **only},
    )
    sums: dict[State, tuple[int, int, float]] = {state: tuple(row) for state, *row in rows}
    _, timed, seconds = sums.get("done", (0, 0, 0.0))
    mean = seconds / timed if timed else None
    states = {
        state: StateTotal(jobs=jobs, seconds=_estimated(jobs, timed, seconds, mean))
        for state, (jobs, timed, seconds) in sums.items()
    }
    ahead = [total.seconds for state, total in states.items() if state in UNFINISHED]
    running, speed = await _recent_work(connection, only)
    known = [seconds for seconds in ahead if seconds is not None]
    left = max(0.0, sum(known) - running) if len(known) == len(ahead) else None
    away = await _no_transcriber(connection) if sums.get("waiting") and not sums.get("running") else None
    paused = await _paused(connection, [states[state] for state in WAITING if state in states], mean, only)
    buckets = await _buckets_away(connection, only) if sums.get("waiting") else {}
    return Overview(
        states=states, left_seconds=left, speed=speed, paused=paused, no_transcriber=away, buckets_away=buckets
    )


async def _paused(
    connection: Connection, waiting: Sequence[StateTotal], mean: float | None, only: dict[str, str | None]
) -> StateTotal:
    """Of the jobs that wait, those that a pause holds back. Of many, one in so many is looked at."""
    paused = await fetch_column(connection, "select prefix from queue_rules where paused_at is not null")
    jobs = sum(total.jobs for total in waiting)
    if not (jobs and paused):
        return NO_JOBS
    if "" in paused:
        lengths = [total.seconds for total in waiting if total.seconds is not None]
        return StateTotal(jobs=jobs, seconds=sum(lengths) if len(lengths) == len(waiting) else None)
    of_all = only == {"bucket": None, "prefix": starting_with("")}
    looked_at, found, timed, seconds = await fetch_one(
        connection,
        """
        with sample as materialized (
            select id from transcriptions
            where state = any(%(waiting)s) and not superseded
                and (hashint8(id) & 2147483647) %% %(one_in)s = 0
        ), held as (
            select known_seconds(t.state, t.declared_seconds, t.progress_seconds) as length
            from sample join transcriptions t using (id) join media m on m.id = t.media_id
            where m.savepath ^@ any(%(paused)s) and m.savepath like %(prefix)s
                and (%(bucket)s::text is null or m.bucket = %(bucket)s)
        )
        select (select count(*) from sample), count(*), count(length), coalesce(sum(length), 0)::double precision
        from held
        """,
        {"waiting": list(WAITING), "one_in": max(1, jobs // SAMPLE) if of_all else 1, "paused": paused, **only},
    )
    each = jobs / looked_at if of_all and looked_at else 1.0
    held = min(jobs, round(found * each))
    return StateTotal(jobs=held, seconds=_estimated(held, round(timed * each), seconds * each, mean))


async def _no_transcriber(connection: Connection) -> str | None:
    reason: str | None = await fetch_value(
        connection,
        """
        select max(error_message) from transcriptions
        where state = 'waiting' and error_code = 'no_transcriber'
            and not exists (select from transcriptions where state = 'running')
        """,
    )
    return reason


async def _buckets_away(connection: Connection, only: dict[str, str | None]) -> dict[str, str]:
    return dict(
        await fetch_all(
            connection,
            """
            select m.bucket, max(t.error_message) from transcriptions t join media m on m.id = t.media_id
            where t.state = 'waiting' and t.error_code = %(code)s and m.savepath like %(prefix)s
                and (%(bucket)s::text is null or m.bucket = %(bucket)s)
            group by m.bucket order by m.bucket
            """,
            {"code": BucketAway.code, **only},
        )
    )


def _estimated(jobs: int, timed: int, seconds: float, mean: float | None) -> float | None:
    if timed == jobs:
        return seconds
    return None if mean is None else seconds + (jobs - timed) * mean


_WANTED = """
    (
        (%(bucket)s::text is null and %(prefix)s = '%%') or exists (
            select from media m where m.id = t.media_id and m.savepath like %(prefix)s
                and (%(bucket)s::text is null or m.bucket = %(bucket)s)
        )
    )
"""


async def _recent_work(connection: Connection, only: dict[str, str | None]) -> tuple[float, float | None]:
    """Seconds that running jobs have transcribed, and the recent speed.

    An attempt's audio counts as far as its time lies within the window. It is divided by the time in which at least
    one was at work, so that a night without jobs slows none down.
    """
    row = await fetch_one(
        connection,
        f"""
        with recent as (
            (
                select id, attempt, progress_seconds as transcribed from transcriptions t
                where state = 'running' and {_WANTED}
                order by id limit %(most)s
            ) union all (
                select id, attempt, 0 from transcriptions t
                where finished_at > now() - make_interval(secs => %(window)s) and state = 'done' and {_WANTED}
                order by finished_at desc limit %(most)s
            )
        ), spans as (
            select r.transcribed, coalesce(a.covered_seconds, 0) as covered,
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
        select coalesce(sum(transcribed), 0)::double precision,
            (
                sum(covered * extract(epoch from upper(at_work) - lower(at_work)) / nullif(took, 0))
                / nullif((select seconds from busy), 0)
            )::double precision
        from spans
        """,
        {"window": RECENT_SECONDS, "most": MOST_RECENT, **only},
    )
    return row[0], row[1]


async def count_by_state(connection: Connection, kind: str = TRANSCRIBE) -> dict[State, int]:
    """How many current jobs of a kind are in each state that occurs."""
    rows = await fetch_all(
        connection,
        """
        select state, sum(delta)::bigint from state_changes where kind = %s
        group by state having sum(delta) > 0 order by state
        """,
        (kind,),
    )
    return dict(rows)


async def pending_work(connection: Connection, kinds: Sequence[str], jobs: Sequence[int] | None = None) -> PendingWork:
    """Unfinished jobs of these kinds: all, or those about the recordings of these jobs."""
    row = await fetch_one(
        connection,
        """
        select count(*), count(error_message), max(error_message) from jobs
        where kind = any(%(kinds)s) and state = any(%(unfinished)s) and not superseded and (
            %(jobs)s::bigint[] is null or media_id in (select media_id from jobs where id = any(%(jobs)s))
        )
        """,
        {"kinds": list(kinds), "unfinished": list(UNFINISHED), "jobs": None if jobs is None else list(jobs)},
    )
    return PendingWork(pending=row[0], failing=row[1], error=row[2])


NEWEST_FAILED = 10_000
"""Of the failed jobs, the newest are looked at."""


class QueueFigures(Record):
    """The queue as a monitor sees it; each figure is read without a scan, however many jobs there are.

    Attributes:
        jobs: current jobs by kind and state.
        transcribed_seconds: of audio of current transcriptions that are done: one for each set of options.
        oldest_seconds: since the submission of the oldest transcription that waits; None if none does.
        failed: current jobs by error code, of the newest :data:`NEWEST_FAILED` that failed.
    """

    jobs: dict[tuple[str, str], int]
    transcribed_seconds: float
    oldest_seconds: float | None
    failed: dict[str, int]

    def unfinished(self, kind: str) -> int:
        """How many jobs of a kind wait or run."""
        return sum(count for (its_kind, state), count in self.jobs.items() if its_kind == kind and state in UNFINISHED)


async def oldest_waiting_seconds(connection: Connection) -> float | None:
    """Since the submission of the oldest transcription that waits; None if none does."""
    oldest = await fetch_value(
        connection,
        """
        select extract(epoch from now() - min(created_at))::double precision from (
            (select created_at from transcriptions where state = 'queued' and not superseded order by id limit 1)
            union all
            (select created_at from transcriptions where state = 'waiting' and not superseded order by id limit 1)
        ) oldest
        """,
    )
    return None if oldest is None else max(0.0, oldest)


async def queue_figures(connection: Connection) -> QueueFigures:
    """The figures of now: sums of ``state_changes``, and short walks along the indexes of states."""
    sums = await fetch_all(
        connection,
        """
        select kind, state, sum(delta)::bigint, sum(seconds)::double precision from state_changes group by kind, state
        """,
    )
    oldest = await oldest_waiting_seconds(connection)
    failed = await fetch_all(
        connection,
        """
        select error_code, count(*) from (
            select error_code, superseded from jobs where state = 'failed' order by id desc limit %s
        ) newest where not superseded group by error_code order by error_code
        """,
        (NEWEST_FAILED,),
    )
    return QueueFigures(
        jobs={(kind, state): jobs for kind, state, jobs, _ in sums},
        transcribed_seconds=sum(seconds for kind, state, _, seconds in sums if (kind, state) == (TRANSCRIBE, "done")),
        oldest_seconds=oldest,
        failed=dict(failed),
    )
