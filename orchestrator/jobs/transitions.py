"""Every statement that changes the state of a job.

Functions take the connection, so that the caller says what belongs to one transaction. Whatever an attempt writes goes
through :func:`advance`, the fence: it names the attempt, and changes nothing if a newer one has begun.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from orchestrator.database.sql import Connection, Part, fetch_all, fetch_column, fetch_one, fetch_value
from orchestrator.errors import Superseded
from orchestrator.jobs.attempts import Attempt, end_receipts
from orchestrator.jobs.models import UNFINISHED, State
from orchestrator.jobs.vocabulary import lists_of
from reelscribe.errors import ServiceError

WORKER_LOST = "worker_lost"
"""Error code of a job whose workers were lost again and again."""


class Transition(NamedTuple):
    """From any of the ``sources`` to the ``target``."""

    sources: tuple[State, ...]
    target: State

    def may(self, state: str) -> str:
        """SQL for whether a job in this state, an SQL expression, is in one of the sources."""
        return f"{state} in ({', '.join(repr(source) for source in self.sources)})"


ATTEMPTED: tuple[State, ...] = ("running", "waiting")

BEGIN = Transition(UNFINISHED, "running")
CONTINUE = Transition(ATTEMPTED, "running")
WAIT = Transition(ATTEMPTED, "waiting")
FINISH = Transition(ATTEMPTED, "done")
FAIL = Transition(ATTEMPTED, "failed")
HAND_BACK = Transition(ATTEMPTED, "queued")
LOSE_WORKER = Transition(UNFINISHED, "queued")
LOSE_WORKER_AGAIN = Transition(UNFINISHED, "failed")
CANCEL = Transition(UNFINISHED, "cancelled")
REOPEN = Transition(("failed", "cancelled"), "queued")
REPEAT = Transition(("done", "failed", "cancelled"), "queued")

ALL = (BEGIN, CONTINUE, WAIT, FINISH, FAIL, HAND_BACK, LOSE_WORKER, LOSE_WORKER_AGAIN, CANCEL, REOPEN, REPEAT)
"""Compared with the picture in docs/orchestrator.md by a test."""

_NO_ERROR = "error_code = null, error_message = null, error_details = null"
_ERROR = "error_code = %(error_code)s, error_message = %(error_message)s, error_details = %(error_details)s"


def _error(failure: ServiceError) -> dict[str, Any]:
    return {
        "error_code": failure.code,
        "error_message": failure.message,
        "error_details": Jsonb(failure.details),
    }


def beginning(id: str, queue_job: str, waits: bool = True) -> str:
    """SQL that begins a new attempt for the one queue job that may; its row is for :func:`begun`.

    Args:
        id, queue_job: SQL expressions.
        waits: for another transaction that changes the job; else that is none that may.
    """
    return f"""
        update jobs j set state = '{BEGIN.target}', attempt = attempt + 1, {_NO_ERROR},
            started_at = coalesce(started_at, now())
        from (
            select one.id, coalesce(m.bucket, '') as bucket, coalesce(m.savepath, '') as savepath
            from jobs one left join media m on m.id = one.media_id
            where one.id = {id} for no key update of one {"" if waits else "skip locked"}
        ) found
        where j.id = found.id and j.queue_job = {queue_job} and {BEGIN.may("j.state")}
        returning j.id, j.kind, j.attempt as number, j.queue_job, j.failures, j.media_id, found.bucket, found.savepath,
            j.options, j.progress_seconds, j.previous_seconds, j.language, {lists_of("found.savepath")} as vocabulary
    """


async def begun(connection: Connection, row: Mapping[str, Any]) -> Attempt:
    """The attempt that a row of :func:`beginning` is."""
    attempt = Attempt(**row, segments=0)
    if attempt.number > 1:  # counted by a later statement: all that earlier attempts have stored is seen then
        attempt.segments = await fetch_value(
            connection, "select count(*) from segments where transcription_id = %s", (attempt.id,)
        )
    return attempt


async def begin(connection: Connection, queue_job: int, id: int) -> Attempt | None:
    """A new attempt for the one queue job that may begin it; None for any other, which has nothing to do."""
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(
            beginning("%(id)s", "%(queue_job)s"),
            {"id": id, "queue_job": queue_job},
        )
        row = await cursor.fetchone()
    return await begun(connection, row) if row else None


async def advance(
    connection: Connection,
    attempt: Attempt,
    transition: Transition,
    assignments: str = "",
    **parameters: Any,
) -> None:
    """The fence: one statement that changes the job and proves that the attempt may.

    It locks the row to the end of the transaction, so that no newer attempt begins before the rest is written.

    Raises:
        Superseded: a newer attempt has begun, or the job is no longer this attempt's.
    """
    fence = _fence(attempt, transition, assignments, parameters)
    _advanced(attempt, await fetch_one(connection, *fence))


def _fence(attempt: Attempt, transition: Transition, assignments: str, parameters: Mapping[str, Any]) -> Part:
    return Part(
        f"""
        update jobs set state = '{transition.target}' {", " + assignments if assignments else ""}
        where id = %(id)s and attempt = %(attempt)s and queue_job = %(queue_job)s and {transition.may("state")}
        returning progress_seconds, previous_seconds, failures, media_id
        """,
        {**parameters, "id": attempt.id, "attempt": attempt.number, "queue_job": attempt.queue_job},
    )


def _advanced(attempt: Attempt, row: Sequence[Any] | None) -> None:
    if row is None:
        raise Superseded(f"{attempt.savepath or attempt.kind}: attempt {attempt.number} is over")
    attempt.progress_seconds, attempt.previous_seconds, attempt.failures, *_ = row


async def wait(connection: Connection, attempt: Attempt, reason: ServiceError) -> None:
    """What the job needs is not available now."""
    await advance(connection, attempt, WAIT, _ERROR, **_error(reason))


async def wait_for_retry(connection: Connection, attempt: Attempt, failure: ServiceError) -> None:
    """The job waits for its next try, which the caller queues."""
    await advance(connection, attempt, WAIT, f"failures = failures + 1, {_ERROR}", **_error(failure))


async def fail(connection: Connection, attempt: Attempt, failure: ServiceError) -> None:
    """The job is given up, with the reason."""
    await advance(connection, attempt, FAIL, f"finished_at = now(), {_ERROR}", **_error(failure))


async def finish(
    connection: Connection,
    attempt: Attempt,
    assignments: str = "",
    writes: Sequence[Part] = (),
    reads: str = "select null",
    **parameters: Any,
) -> tuple[bool, Any]:
    """The job is done, and leaves the queue; whether other jobs follow it (:func:`add_follow_ups`), and what was read.

    Args:
        writes, reads: parts of the same statement: to them the job is ``changed``, which has no row if the attempt is
            superseded. What is read is one row, returned as JSON.
    """
    assignments = f"finished_at = now(), {_NO_ERROR}" + (f", {assignments}" if assignments else "")
    fence = _fence(attempt, FINISH, assignments, parameters)
    parameters = dict(fence.parameters, kind=attempt.kind)
    for part in writes:
        parameters |= part.parameters
    row = await fetch_one(
        connection,
        f"""
        with changed as ({fence.statement}), left_queue as (
            delete from procrastinate_jobs where id = %(queue_job)s and exists (select from changed)
        ) {"".join(f", part{number} as ({part.statement})" for number, part in enumerate(writes))}, read as ({reads})
        select *, exists (select from follow_ups where follows = %(kind)s), (select to_jsonb(read) from read)
        from changed
        """,
        parameters,
    )
    _advanced(attempt, row)
    attempt.left_queue = True
    *_, follows, read = row
    return follows, read


async def resume(connection: Connection, attempt: Attempt, assignments: str = "", **parameters: Any) -> None:
    """The job is (still) being worked on, whatever it waited for."""
    await advance(connection, attempt, CONTINUE, _NO_ERROR + (f", {assignments}" if assignments else ""), **parameters)


async def hand_back(connection: Connection, attempt: Attempt) -> None:
    """Another attempt continues; this one counts as no failure. The caller queues the job."""
    await advance(connection, attempt, HAND_BACK)
    await end_receipts(connection, [attempt.id])


async def hand_back_if_begun(connection: Connection, queue_job: int, id: int) -> list[int]:
    """Undo :func:`begin` for a worker that stopped before its answer came; the id, for the queue, if it had begun."""
    await lock(connection, [id])  # waits for a begin that is being committed
    return await fetch_column(
        connection,
        f"""
        update jobs set state = '{HAND_BACK.target}'
        where id = %s and queue_job = %s and state = '{BEGIN.target}' returning id
        """,
        (id, queue_job),
    )


async def lose_worker(connection: Connection, id: int, failures: int, max_failures: int) -> bool:
    """The worker of a job is gone: queue it again (by the caller, if True), or fail it after ``max_failures``.

    The attempt's number goes up, so that a worker that was only considered stalled can write nothing more.
    """
    give_up = failures >= max_failures
    error = ServiceError(f"its worker was lost {failures} times; see the log of the worker, then retry")
    error.code = WORKER_LOST
    transition = LOSE_WORKER_AGAIN if give_up else LOSE_WORKER
    outcome = f"finished_at = now(), {_ERROR}" if give_up else _NO_ERROR
    await connection.execute(
        f"""
        update jobs set state = '{transition.target}', attempt = attempt + 1, failures = %(failures)s, {outcome}
        where id = %(id)s and state = any(%(sources)s)
        """,
        {"id": id, "failures": failures, "sources": list(transition.sources), **_error(error)},
    )
    await end_receipts(connection, [id], error)
    return not give_up


async def lock(connection: Connection, ids: Sequence[int]) -> list[int]:
    """Keep all others from writing these jobs until the transaction ends; the ids of those that there are. All lock in
    one order: no deadlock.
    """
    return await fetch_column(
        connection, "select id from jobs where id = any(%s) order by id for no key update", (list(ids),)
    )


async def reopen(connection: Connection, ids: Sequence[int], priority: int | None = None) -> list[int]:
    """Queue failed and cancelled jobs again, to continue where they stopped; the ids of those that were."""
    await lock(connection, ids)
    return await fetch_column(
        connection,
        f"""
        update jobs set state = '{REOPEN.target}', failures = 0, priority = coalesce(%s, priority),
            finished_at = null, {_NO_ERROR}
        where id = any(%s) and state = any(%s) and not superseded
        returning id
        """,
        (priority, list(ids), list(REOPEN.sources)),
    )


async def repeat(connection: Connection, id: int) -> list[int]:
    """Have a job that is over done once more; its id, for the queue."""
    return await fetch_column(
        connection,
        f"""
        update jobs set state = '{REPEAT.target}', failures = 0, finished_at = null, {_NO_ERROR}
        where id = %s and state = any(%s) returning id
        """,
        (id, list(REPEAT.sources)),
    )


_REPEAT = f"""
    on conflict (media_id, options_key, kind) where not superseded do update
        set state = '{REPEAT.target}', failures = 0, finished_at = null, {_NO_ERROR}
        where j.state = any(%(repeatable)s)
    returning id
"""


async def add_follow_ups(connection: Connection, kind: str, media_id: int | None) -> list[int]:
    """Make the jobs that follow one of this kind, or repeat those that are over; their ids, for the queue.

    One that runs is left alone: it looks for what is new before it ends.
    """
    return await fetch_column(
        connection,
        f"""
        insert into jobs as j (kind, media_id, priority)
        select kind, %(media_id)s, priority from follow_ups where follows = %(kind)s order by kind {_REPEAT}
        """,
        {"kind": kind, "media_id": media_id, "repeatable": list(REPEAT.sources)},
    )


async def follow(connection: Connection, kind: str, follows: str, priority: int) -> None:
    """From now on, a job of ``kind`` follows each of the kind ``follows`` that is done, whichever worker does it."""
    await connection.execute(
        """
        insert into follow_ups (kind, follows, priority) values (%s, %s, %s)
        on conflict (follows, kind) do update set priority = excluded.priority
        """,
        (kind, follows, priority),
    )


async def catch_up(connection: Connection, kind: str, media_ids: Sequence[int], priority: int) -> list[int]:
    """Make follow-ups of this kind for these recordings, or repeat those that are over; their ids, for the queue."""
    return await fetch_column(
        connection,
        f"""
        insert into jobs as j (kind, media_id, priority)
        select %(kind)s, media_id, %(priority)s from unnest(%(media_ids)s::bigint[]) as wanted (media_id)
        order by media_id {_REPEAT}
        """,
        {"kind": kind, "media_ids": list(media_ids), "priority": priority, "repeatable": list(REPEAT.sources)},
    )


async def prioritize(connection: Connection, ids: Sequence[int], priority: int) -> None:
    """Give unfinished jobs this priority, in the queue too."""
    await lock(connection, ids)
    queue_jobs = await fetch_column(
        connection,
        """
        update jobs set priority = %(priority)s
        where id = any(%(ids)s) and state = any(%(unfinished)s) and priority <> %(priority)s
        returning queue_job
        """,
        {"priority": priority, "ids": list(ids), "unfinished": list(UNFINISHED)},
    )
    await connection.execute("update procrastinate_jobs set priority = %s where id = any(%s)", (priority, queue_jobs))


async def cancel(connection: Connection, ids: Sequence[int]) -> dict[int, int | None]:
    """Cancel unfinished jobs, and end their running attempts; their ids and queue jobs."""
    await lock(connection, ids)
    rows = await fetch_all(
        connection,
        f"""
        update jobs set state = '{CANCEL.target}', attempt = attempt + 1, finished_at = now(), {_NO_ERROR}
        where id = any(%s) and state = any(%s)
        returning id, queue_job
        """,
        (list(ids), list(CANCEL.sources)),
    )
    await end_receipts(connection, [id for id, _ in rows])
    return dict(rows)


async def supersede(connection: Connection, ids: Sequence[int]) -> list[int]:
    """Make room for new versions of these; the queue jobs of those that were not finished, now cancelled."""
    # In one statement with the update, a job that another process is just writing would be seen in two states.
    await lock(connection, ids)
    queue_jobs = dict(
        await fetch_all(
            connection,
            "select id, case when state = any(%s) then queue_job end from jobs where id = any(%s) and not superseded",
            (list(CANCEL.sources), list(ids)),
        )
    )
    await connection.execute(
        f"""
        update jobs set superseded = true, superseded_at = now(), attempt = attempt + 1,
            state = case when state = any(%s) then '{CANCEL.target}' else state end,
            finished_at = coalesce(finished_at, now())
        where id = any(%s)
        """,
        (list(CANCEL.sources), list(queue_jobs)),
    )
    await end_receipts(connection, list(queue_jobs))
    return [queue_job for queue_job in queue_jobs.values() if queue_job is not None]
