"""The order of the queue, as SQL: where a job waits, when it is due, and what comes first."""

from orchestrator.database.sql import Connection

EVERYTHING = ""
LANE = "transcriptions"
"""Of all jobs under no rule; those of a rule have its id after a slash."""

FORWARD = f"{LANE}/0"
"""Of a few that may start, brought here from behind many that may not."""

FURTHEST_SECONDS = 600
"""No try is put off for longer: what is due later was put there by a clock that has been set back since."""

SAVEPATH = """
    (
        select m.savepath from transcriptions t join media m on m.id = t.media_id
        where t.id = (j.args->>'transcription')::bigint
    )
"""
"""Of the queue's job ``j``."""

DUE = f"""
    status = 'todo' and (
        scheduled_at is null or scheduled_at <= now()
        or scheduled_at > now() + make_interval(secs => {FURTHEST_SECONDS})
    )
"""

ORDER = "priority desc, (args->>'transcription')::bigint"


async def wake(connection: Connection) -> None:
    """Let idle workers look for a job now."""
    await connection.execute(WAKE)


def lane_of(savepath: str) -> str:
    """SQL for the lane that a job of this savepath, an SQL expression, belongs into."""
    return f"""
        coalesce((
            select '{LANE}/' || r.id from queue_rules r
            where r.prefix <> '{EVERYTHING}' and starts_with({savepath}, r.prefix)
            order by length(r.prefix) desc limit 1
        ), '{LANE}')
    """


WAKE = """
    select pg_notify('procrastinate_any_queue_v1', json_build_object('type', 'job_inserted', 'job_id', 0)::text)
"""
