"""Reading jobs.

Functions take the connection, so that the caller says what belongs to one transaction. What takes a ``kind`` reads
transcriptions unless another one is named.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from psycopg.types.json import Jsonb

from orchestrator.database.sql import (
    Connection,
    Parameters,
    fetch_column,
    fetch_models,
    fetch_value,
    starting_with,
)
from orchestrator.jobs.models import TRANSCRIBE, UNFINISHED, Job, Options, State, as_argument
from orchestrator.jobs.object_changes import NewestJob
from reelscribe.contracts.events import SURE_PROBABILITY
from reelscribe.errors import TranscriptNotFound

_JOBS = f"""
    select j.id, j.kind, coalesce(m.bucket, '') as bucket, coalesce(m.savepath, '') as savepath, j.options, j.state,
        j.priority, j.attempt, j.failures,
        case when j.error_message is not null then jsonb_build_object(
            'code', j.error_code, 'message', j.error_message, 'details', coalesce(j.error_details, '{{}}')
        ) end as error,
        j.model, j.language, j.language_probability, j.language_probability < {SURE_PROBABILITY} as language_uncertain,
        j.declared_seconds, j.progress_seconds,
        (
            select (j.progress_seconds - a.start_seconds)
                / nullif(extract(epoch from coalesce(a.ended_at, now()) - a.started_at), 0)::double precision
            from attempts a where a.transcription_id = j.id and a.attempt = j.attempt and j.state in ('running', 'done')
        ) as speed,
        j.complete, j.reason, j.speech_without_words,
        j.created_at, j.started_at, j.finished_at, m.removed_at as object_removed_at, m.title,
        coalesce(m.revision, 0) as revision
    from jobs j left join media m on m.id = j.media_id
"""


async def jobs_by_id(connection: Connection, ids: Sequence[int]) -> list[Job]:
    """Jobs of any kind in the order of their ids; unknown ids are left out."""
    return await _jobs(connection, "where j.id = any(%s) order by j.id", (list(ids),))


async def current_jobs(
    connection: Connection, bucket: str, savepaths: Sequence[str], options: Options | None = None
) -> list[Job]:
    """The transcriptions of these savepaths that no newer version replaces, with these options or with any."""
    wanted = "" if options is None else "and j.options_key = md5(%(options)s::jsonb::text)"
    return await _jobs(
        connection,
        f"""
        where m.bucket = %(bucket)s and m.savepath = any(%(savepaths)s) and j.kind = %(kind)s and not j.superseded
            {wanted}
        order by j.id
        """,
        {
            "kind": TRANSCRIBE,
            "bucket": bucket,
            "savepaths": list(savepaths),
            "options": None if options is None else Jsonb(options.chosen()),
        },
    )


async def newest_jobs(connection: Connection, bucket: str, savepaths: Sequence[str]) -> dict[str, NewestJob]:
    """The newest transcription of each savepath that has one."""
    found = await fetch_models(
        connection,
        NewestJob,
        """
        select distinct on (m.savepath) m.savepath, t.state, t.options, t.started_at, t.finished_at, a.etag, a.size,
            a.last_modified
        from unnest(%s::text[]) as wanted (savepath)
        join media m on m.bucket = %s and m.savepath = wanted.savepath
        join transcriptions t on t.media_id = m.id and not t.superseded
        left join attempts a on a.transcription_id = t.id and a.attempt = t.attempt
        order by m.savepath, t.id desc
        """,
        (list(savepaths), bucket),
    )
    return {job.savepath: job for job in found}


async def unfinished_ids(connection: Connection, bucket: str, prefix: str) -> list[int]:
    """Transcriptions that wait or run, of the savepaths that start with ``prefix``."""
    return await fetch_column(
        connection,
        """
        select t.id from transcriptions t join media m on m.id = t.media_id
        where t.state = any(%s) and m.bucket = %s and m.savepath like %s order by t.id
        """,
        (list(UNFINISHED), bucket, starting_with(prefix)),
    )


async def list_jobs(
    connection: Connection,
    state: State | None = None,
    after: int | None = None,
    limit: int = 100,
    bucket: str | None = None,
    kind: str = TRANSCRIBE,
    prefix: str | None = None,
) -> list[Job]:
    """The newest jobs first, of savepaths that start with ``prefix``; ``after`` is the last id of the page before."""
    conditions: Mapping[str, Any] = {
        "j.state = %(state)s": state,
        "j.id < %(after)s": after,
        "m.bucket = %(bucket)s": bucket,
        "m.savepath like %(prefix)s": starting_with(prefix) if prefix else None,
    }
    given = [condition for condition, value in conditions.items() if value is not None]
    return await _jobs(
        connection,
        f"where {' and '.join(['not j.superseded', 'j.kind = %(kind)s', *given])} order by j.id desc limit %(limit)s",
        {
            "state": state,
            "after": after,
            "limit": limit,
            "bucket": bucket,
            "kind": kind,
            "prefix": starting_with(prefix or ""),
        },
    )


async def finished_since(connection: Connection, when: datetime, id: int, limit: int) -> list[Job]:
    """Transcriptions that ended after the one with this time and id, the oldest first."""
    return await _jobs(
        connection,
        """
        where (j.finished_at, j.id) > (%s, %s) and j.kind = 'transcribe'
        order by j.finished_at, j.id limit %s
        """,
        (when, id, limit),
    )


async def newest_finished(connection: Connection, bucket: str, savepath: str) -> Job | None:
    """The finished transcription of a savepath whose transcript counts."""
    found = await _jobs(
        connection,
        """
        where m.bucket = %s and m.savepath = %s and j.kind = 'transcribe' and j.state = 'done'
        order by j.finished_at desc, j.id desc limit 1
        """,
        (bucket, savepath),
    )
    return found[0] if found else None


async def without_follow_up(connection: Connection, kind: str, follows: str, after: int, limit: int) -> list[int]:
    """Recordings whose newest job of the kind ``follows`` is done, and that no newer job of ``kind`` has followed.

    Args:
        after: the last of the call before; the ids are in order.
    """
    return await fetch_column(
        connection,
        """
        select ended.media_id from (
            select media_id, max(finished_at) as finished_at from jobs
            where kind = %(follows)s and state = 'done' and media_id > %(after)s group by media_id
        ) ended
        where not exists (
            select from jobs known where known.media_id = ended.media_id and known.kind = %(kind)s
                and not known.superseded and (known.finished_at is null or known.finished_at >= ended.finished_at)
        )
        order by ended.media_id limit %(limit)s
        """,
        {"kind": kind, "follows": follows, "after": after, "limit": limit},
    )


async def why_given_up(connection: Connection, kind: str, id: int) -> str | None:
    """Why the work of this kind that followed a job was given up; None if it was not."""
    why: str | None = await fetch_value(
        connection,
        """
        select error_message from jobs where kind = %s and state = 'failed' and not superseded
            and media_id = (select media_id from jobs where id = %s)
        """,
        (kind, id),
    )
    return why


async def now(connection: Connection) -> datetime:
    """The time of PostgreSQL's clock, by which jobs are dated."""
    time: datetime = await fetch_value(connection, "select now()")
    return time


async def analyze(connection: Connection) -> None:
    """Have PostgreSQL's planner look at the tables again."""
    await connection.execute("analyze media, jobs, procrastinate_jobs")


def not_submitted(bucket: str, savepath: str, default_bucket: str) -> TranscriptNotFound:
    """The error of a savepath that no job has."""
    argument = as_argument(savepath, bucket, default_bucket)
    return TranscriptNotFound(f"{savepath} has not been submitted; do that with: orchestrator submit {argument}")


async def _jobs(connection: Connection, condition: str, parameters: Parameters) -> list[Job]:
    return await fetch_models(connection, Job, _JOBS + condition, parameters)
