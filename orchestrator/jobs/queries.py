"""Reading jobs.

Functions take the connection, so that the caller says what belongs to one transaction.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from orchestrator.database.sql import Connection, starting_with
from orchestrator.jobs.models import UNFINISHED, Job, Options, State, as_argument
from reelscribe.errors import TranscriptNotFound

_JOBS = """
    select t.id, m.bucket, m.savepath, t.options, t.state, t.priority, t.attempt, t.failures,
        case when t.error_message is not null then jsonb_build_object(
            'code', t.error_code, 'message', t.error_message, 'details', coalesce(t.error_details, '{}')
        ) end as error,
        t.model, t.language, t.language_probability, t.declared_seconds, t.progress_seconds, t.complete, t.reason,
        t.created_at, t.started_at, t.finished_at
    from transcriptions t join media m on m.id = t.media_id
"""


async def jobs_by_id(connection: Connection, ids: Sequence[int]) -> list[Job]:
    """Jobs in the order of their ids; unknown ids are left out."""
    return await _jobs(connection, "where t.id = any(%s) order by t.id", (list(ids),))


async def current_jobs(
    connection: Connection, bucket: str, savepaths: Sequence[str], options: Options | None = None
) -> list[Job]:
    """The jobs of these savepaths that no newer version replaces, with these options or with any."""
    wanted = "" if options is None else "and t.options_key = md5(%(options)s::jsonb::text)"
    return await _jobs(
        connection,
        f"""
        where m.bucket = %(bucket)s and m.savepath = any(%(savepaths)s) and not t.superseded {wanted}
        order by t.id
        """,
        {
            "bucket": bucket,
            "savepaths": list(savepaths),
            "options": None if options is None else Jsonb(options.chosen()),
        },
    )


async def unfinished_ids(connection: Connection, bucket: str, prefix: str) -> list[int]:
    """Jobs that wait or run, of the savepaths that start with ``prefix``."""
    cursor = await connection.execute(
        """
        select t.id from transcriptions t join media m on m.id = t.media_id
        where t.state = any(%s) and m.bucket = %s and m.savepath like %s order by t.id
        """,
        (list(UNFINISHED), bucket, starting_with(prefix)),
    )
    return [row[0] for row in await cursor.fetchall()]


async def list_jobs(
    connection: Connection,
    state: State | None = None,
    after: int | None = None,
    limit: int = 100,
    bucket: str | None = None,
) -> list[Job]:
    """The newest jobs first; ``after`` is the last id of the page before."""
    conditions = ["not t.superseded"]
    if state is not None:
        conditions.append("t.state = %(state)s")
    if after is not None:
        conditions.append("t.id < %(after)s")
    if bucket is not None:
        conditions.append("m.bucket = %(bucket)s")
    return await _jobs(
        connection,
        f"where {' and '.join(conditions)} order by t.id desc limit %(limit)s",
        {"state": state, "after": after, "limit": limit, "bucket": bucket},
    )


async def finished_since(connection: Connection, when: datetime, id: int, limit: int) -> list[Job]:
    """Jobs that ended after the one with this time and id, the oldest first."""
    return await _jobs(
        connection,
        "where (t.finished_at, t.id) > (%s, %s) order by t.finished_at, t.id limit %s",
        (when, id, limit),
    )


async def newest_finished(connection: Connection, bucket: str, savepath: str) -> Job | None:
    """The finished job of a savepath whose transcript counts."""
    found = await _jobs(
        connection,
        "where m.bucket = %s and m.savepath = %s and t.state = 'done' order by t.finished_at desc, t.id desc limit 1",
        (bucket, savepath),
    )
    return found[0] if found else None


def not_submitted(bucket: str, savepath: str, default_bucket: str) -> TranscriptNotFound:
    """The error of a savepath that no job has."""
    argument = as_argument(savepath, bucket, default_bucket)
    return TranscriptNotFound(f"{savepath} has not been submitted; do that with: orchestrator submit {argument}")


async def _jobs(connection: Connection, condition: str, parameters: Any) -> list[Job]:
    async with connection.cursor(row_factory=class_row(Job)) as cursor:
        await cursor.execute(_JOBS + condition, parameters)
        return await cursor.fetchall()
