"""The order of the queue, as SQL: which sub-queue a job waits in, when it is due, and what comes first.

The queue is a table of procrastinate, whose ``queue_name`` is our sub-queue. Each kind of work has one of its own, of
the same name; jobs under a rule wait in a sub-queue of that rule, ``kind/ID``, which is skipped while it is closed.
"""

from orchestrator.database.sql import Connection

EVERYTHING = ""
"""The prefix of all savepaths."""

FORWARD = 0
"""In place of a rule's id: a few jobs that may start, brought here from behind many that may not."""

LONGEST_PAUSE_SECONDS = 600
"""No try is put off for longer: what is due later was put there by a clock that has been set back since."""

DUE = f"""
    status = 'todo' and (
        scheduled_at is null or scheduled_at <= now()
        or scheduled_at > now() + make_interval(secs => {LONGEST_PAUSE_SECONDS})
    )
"""
"""Of a row of the queue: whether it may be taken now."""

ORDER = "priority desc, (args->>'job')::bigint"
"""Of rows of the queue: by priority, then in the order of submission."""

WAKE = """
    select pg_notify('procrastinate_any_queue_v1', json_build_object('type', 'job_inserted', 'job_id', 0)::text)
"""


async def wake(connection: Connection) -> None:
    """Have idle workers look for a job now."""
    await connection.execute(WAKE)


def sub_queue(kind: str, rule: int | None = None) -> str:
    """Name of a sub-queue: that of a kind of work, or that of a rule in it."""
    return kind if rule is None else f"{kind}/{rule}"


def sub_queue_of(kind: str, savepath: str) -> str:
    """SQL for the sub-queue that a job belongs into; both arguments are SQL expressions."""
    return f"""
        {kind} || case when exists (select from queue_rules) then coalesce((
            select '/' || r.id from queue_rules r
            where r.prefix <> '{EVERYTHING}' and starts_with({savepath}, r.prefix)
            order by length(r.prefix) desc limit 1
        ), '') else '' end
    """
