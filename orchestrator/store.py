"""Reading and writing jobs and transcripts: the SQL of our tables, but for what a running attempt writes.

Functions take the connection, so that the caller says what belongs to one transaction.
"""

import re
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from psycopg import AsyncConnection
from psycopg.rows import class_row, dict_row
from psycopg.types.json import Jsonb

from orchestrator.jobs import UNFINISHED, Job, Options, Receipt, ReceiptPart, State, Transcript, as_argument
from reelscribe.contracts.events import Segment
from reelscribe.errors import MachineError, TranscriptNotFound

Connection = AsyncConnection[Any]

_JOBS = """
    select t.id, m.bucket, m.savepath, t.options, t.state, t.priority, t.attempt, t.failures,
        case when t.error_message is not null then jsonb_build_object(
            'code', t.error_code, 'message', t.error_message, 'details', coalesce(t.error_details, '{}')
        ) end as error,
        t.model, t.language, t.language_probability, t.declared_seconds, t.progress_seconds, t.complete, t.reason,
        t.created_at, t.started_at, t.finished_at
    from transcriptions t join media m on m.id = t.media_id
"""

NEWEST = """
    not exists (
        select from transcriptions n
        where n.media_id = t.media_id and n.state = 'done' and (n.finished_at, n.id) > (t.finished_at, t.id)
    )
"""
"""Of finished transcriptions ``t``: the one that counts for its savepath."""

LAST_MODIFIED = """
    coalesce(
        (
            select a.last_modified from attempts a
            where a.transcription_id = t.id and a.last_modified is not null order by a.attempt desc limit 1
        ),
        t.finished_at
    )
"""
"""Of the object of a finished transcription ``t``; where nobody told it, when the transcript was finished."""

FORGET_ERROR = "error_code = null, error_message = null, error_details = null"


async def lock(connection: Connection, ids: Sequence[int]) -> None:
    """Let nobody else write these jobs until the transaction ends; all lock in one order, so none waits for ever."""
    await connection.execute(
        "select from transcriptions where id = any(%s) order by id for no key update", (list(ids),)
    )


async def reopen(connection: Connection, ids: Sequence[int], priority: int | None = None) -> list[int]:
    """Make failed and cancelled jobs ``queued`` again, where they stopped; the ids of those that were."""
    await lock(connection, ids)
    cursor = await connection.execute(
        f"""
        update transcriptions set state = 'queued', failures = 0, priority = coalesce(%s, priority),
            finished_at = null, {FORGET_ERROR}
        where id = any(%s) and state in ('failed', 'cancelled') and not superseded
        returning id
        """,
        (priority, list(ids)),
    )
    return [row[0] for row in await cursor.fetchall()]


async def prioritize(connection: Connection, ids: Sequence[int], priority: int) -> None:
    """Give unfinished jobs this priority, in the queue too."""
    await lock(connection, ids)
    cursor = await connection.execute(
        """
        update transcriptions set priority = %(priority)s
        where id = any(%(ids)s) and state = any(%(unfinished)s) and priority <> %(priority)s
        returning queue_job
        """,
        {"priority": priority, "ids": list(ids), "unfinished": list(UNFINISHED)},
    )
    queue_jobs = [row[0] for row in await cursor.fetchall()]
    await connection.execute("update procrastinate_jobs set priority = %s where id = any(%s)", (priority, queue_jobs))


async def cancel(connection: Connection, ids: Sequence[int]) -> dict[int, int | None]:
    """Make unfinished jobs ``cancelled`` and close them to their running attempt; their ids and queue jobs."""
    await lock(connection, ids)
    cursor = await connection.execute(
        f"""
        update transcriptions set state = 'cancelled', attempt = attempt + 1, finished_at = now(), {FORGET_ERROR}
        where id = any(%s) and state = any(%s)
        returning id, queue_job
        """,
        (list(ids), list(UNFINISHED)),
    )
    return dict(await cursor.fetchall())


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


async def count_by_state(connection: Connection) -> dict[State, int]:
    """How many current jobs are in each state that occurs."""
    cursor = await connection.execute(
        "select state, sum(delta)::bigint from state_changes group by state having sum(delta) > 0 order by state"
    )
    return dict(await cursor.fetchall())


async def transcript(connection: Connection, bucket: str, savepath: str) -> Transcript | None:
    """The newest finished transcript of a savepath."""
    found = await newest_finished(connection, bucket, savepath)
    return await transcript_of(connection, found) if found else None


async def newest_finished(connection: Connection, bucket: str, savepath: str) -> Job | None:
    """The finished job of a savepath whose transcript counts."""
    found = await _jobs(
        connection,
        "where m.bucket = %s and m.savepath = %s and t.state = 'done' order by t.finished_at desc, t.id desc limit 1",
        (bucket, savepath),
    )
    return found[0] if found else None


async def transcript_of(connection: Connection, job: Job) -> Transcript:
    """The transcript of a finished job."""
    about = await about_transcript(connection, job)
    return about.model_copy(update={"segments": await segments(connection, job.id)})


async def about_transcript(connection: Connection, job: Job) -> Transcript:
    """The transcript of a finished job without its segments, which may be many."""
    async with connection.cursor(row_factory=class_row(ReceiptPart)) as receipts:
        await receipts.execute("select * from attempts where transcription_id = %s order by attempt", (job.id,))
        parts = await receipts.fetchall()
    return Transcript(job=job, receipt=Receipt.of(job, parts), segments=[])


async def segments(connection: Connection, id: int, after: int = -1, limit: int | None = None) -> list[Segment]:
    """Segments of a transcription in order; ``after`` is the last index of the part before."""
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(
            """
            select index, start_seconds as start, end_seconds as end, text, tokens, words, avg_logprob, no_speech_prob,
                compression_ratio, temperature, language
            from segments where transcription_id = %s and index > %s order by index limit %s
            """,
            (id, after, limit),
        )
        return [Segment.model_validate(row) for row in await cursor.fetchall()]


_FINISHED = """
    from media m
    where m.bucket = %(bucket)s and m.savepath like %(prefix)s
        and (%(savepaths)s::text[] is null or m.savepath = any(%(savepaths)s))
        and exists (select from transcriptions t where t.media_id = m.id and t.state = 'done')
"""


async def finished_savepaths(
    connection: Connection,
    bucket: str,
    prefix: str = "",
    savepaths: list[str] | None = None,
    after: str = "",
    limit: int = 1000,
) -> list[str]:
    """Savepaths (of these, or of all) that have a transcript, in order; ``after`` is the last of the page before."""
    cursor = await connection.execute(
        f"select m.savepath {_FINISHED} and m.savepath ~>~ %(after)s order by m.savepath using ~<~ limit %(limit)s",
        {
            "bucket": bucket,
            "prefix": starting_with(prefix),
            "savepaths": savepaths,
            "after": after,
            "limit": limit,
        },
    )
    return [row[0] for row in await cursor.fetchall()]


async def count_finished(
    connection: Connection, bucket: str, prefix: str = "", savepaths: list[str] | None = None
) -> int:
    """How many there are."""
    cursor = await connection.execute(
        f"select count(*) {_FINISHED}",
        {"bucket": bucket, "prefix": starting_with(prefix), "savepaths": savepaths},
    )
    row = await cursor.fetchone()
    return row[0] if row else 0


def starting_with(prefix: str) -> str:
    """The pattern of SQL's ``like`` for what starts with this."""
    return re.sub(r"([%_\\])", r"\\\1", prefix) + "%"


async def no_transcript(connection: Connection, bucket: str, savepath: str, default_bucket: str) -> MachineError:
    """Why there is no transcript of a savepath, and what to do."""
    jobs = await current_jobs(connection, bucket, [savepath])
    if not jobs:
        return not_submitted(bucket, savepath, default_bucket)
    job = jobs[-1]
    situation = job.situation(default_bucket)
    return TranscriptNotFound(f"{savepath} has no transcript yet: {situation}", job=job.id, state=job.state)


def not_submitted(bucket: str, savepath: str, default_bucket: str) -> TranscriptNotFound:
    """The error of a savepath that no job has."""
    argument = as_argument(savepath, bucket, default_bucket)
    return TranscriptNotFound(f"{savepath} has not been submitted; do that with: orchestrator submit {argument}")


async def _jobs(connection: Connection, condition: str, parameters: Any) -> list[Job]:
    async with connection.cursor(row_factory=class_row(Job)) as cursor:
        await cursor.execute(_JOBS + condition, parameters)
        return await cursor.fetchall()
