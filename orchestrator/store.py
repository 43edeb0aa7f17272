"""Reading and writing jobs and transcripts: the SQL of our tables, but for what a running attempt writes.

Functions take the connection, so that the caller says what belongs to one transaction.
"""

import re
from collections.abc import Sequence
from typing import Any

from psycopg import AsyncConnection
from psycopg.rows import class_row, dict_row
from psycopg.types.json import Jsonb

from machine.errors import MachineError, TranscriptNotFound
from machine.wire import Segment
from orchestrator.jobs import UNFINISHED, Job, Options, Receipt, ReceiptPart, State, Transcript

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


async def add(
    connection: Connection, bucket: str, savepaths: Sequence[str], options: Options, priority: int
) -> list[int]:
    """Record wishes that do not exist yet; the ids of those that were new."""
    ordered = sorted(set(savepaths))  # two submissions lock in one order, so neither waits for the other for ever
    await connection.execute(
        "insert into media (bucket, savepath) select %s, unnest(%s::text[]) on conflict do nothing", (bucket, ordered)
    )
    cursor = await connection.execute(
        """
        insert into transcriptions (media_id, options, priority)
        select id, %s, %s from media where bucket = %s and savepath = any(%s) order by id
        on conflict (media_id, options_key) where not superseded do nothing
        returning id
        """,
        (Jsonb(options.chosen()), priority, bucket, ordered),
    )
    return [row[0] for row in await cursor.fetchall()]


async def supersede(connection: Connection, bucket: str, savepaths: Sequence[str], options: Options) -> list[int]:
    """Make room for a new version of these; the queue jobs of those that were not finished, now cancelled."""
    cursor = await connection.execute(
        """
        with old as (
            select t.id, t.state = any(%(unfinished)s) as unfinished
            from transcriptions t join media m on m.id = t.media_id
            where m.bucket = %(bucket)s and m.savepath = any(%(savepaths)s)
                and t.options_key = md5(%(options)s::jsonb::text) and not t.superseded
            order by t.id for update of t
        )
        update transcriptions t set
            superseded = true,
            attempt = attempt + 1,
            state = case when unfinished then 'cancelled' else state end,
            finished_at = coalesce(finished_at, now())
        from old where t.id = old.id
        returning case when unfinished then queue_job end
        """,
        {
            "unfinished": list(UNFINISHED),
            "bucket": bucket,
            "savepaths": list(savepaths),
            "options": Jsonb(options.chosen()),
        },
    )
    return [row[0] for row in await cursor.fetchall() if row[0] is not None]


async def reopen(connection: Connection, ids: Sequence[int], priority: int | None = None) -> list[int]:
    """Make failed and cancelled jobs ``queued`` again, where they stopped; the ids of those that were."""
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


async def cancel(connection: Connection, ids: Sequence[int]) -> dict[int, int | None]:
    """Make unfinished jobs ``cancelled`` and close them to their running attempt; their ids and queue jobs."""
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


async def list_jobs(
    connection: Connection, state: State | None = None, after: int | None = None, limit: int = 100
) -> list[Job]:
    """The newest jobs first; ``after`` is the last id of the page before."""
    return await _jobs(
        connection,
        """
        where not t.superseded and (%(state)s::text is null or t.state = %(state)s)
            and (%(after)s::bigint is null or t.id < %(after)s)
        order by t.id desc limit %(limit)s
        """,
        {"state": state, "after": after, "limit": limit},
    )


async def count_by_state(connection: Connection) -> dict[State, int]:
    """How many current jobs are in each state that occurs."""
    cursor = await connection.execute(
        "select state, count(*) from transcriptions where not superseded group by state order by state"
    )
    return dict(await cursor.fetchall())


async def failed_ids(connection: Connection) -> list[int]:
    """All current jobs that failed."""
    cursor = await connection.execute("select id from transcriptions where state = 'failed' and not superseded")
    return [row[0] for row in await cursor.fetchall()]


async def transcript(connection: Connection, bucket: str, savepath: str) -> Transcript | None:
    """The newest finished transcript of a savepath."""
    found = await _jobs(
        connection,
        "where m.bucket = %s and m.savepath = %s and t.state = 'done' order by t.finished_at desc, t.id desc limit 1",
        (bucket, savepath),
    )
    return await transcript_of(connection, found[0]) if found else None


async def transcript_of(connection: Connection, job: Job) -> Transcript:
    """The transcript of a finished job."""
    async with connection.cursor(row_factory=class_row(ReceiptPart)) as receipts:
        await receipts.execute("select * from attempts where transcription_id = %s order by attempt", (job.id,))
        parts = await receipts.fetchall()
    async with connection.cursor(row_factory=dict_row) as segments:
        await segments.execute(
            """
            select index, start_seconds as start, end_seconds as end, text, tokens, words, avg_logprob, no_speech_prob,
                compression_ratio, temperature
            from segments where transcription_id = %s order by index
            """,
            (job.id,),
        )
        words = [Segment.model_validate(row) for row in await segments.fetchall()]
    return Transcript(job=job, receipt=Receipt.of(job, parts), segments=words)


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


async def no_transcript(connection: Connection, bucket: str, savepath: str) -> MachineError:
    """Why there is no transcript of a savepath, and what to do."""
    jobs = await current_jobs(connection, bucket, [savepath])
    if not jobs:
        return not_submitted(savepath)
    job = jobs[-1]
    return TranscriptNotFound(f"{savepath} has no transcript yet: {job.situation}", job=job.id, state=job.state)


def not_submitted(savepath: str) -> TranscriptNotFound:
    """The error of a savepath that no job has."""
    return TranscriptNotFound(f"{savepath} has not been submitted; do that with: orchestrator submit {savepath}")


async def _jobs(connection: Connection, condition: str, parameters: Any) -> list[Job]:
    async with connection.cursor(row_factory=class_row(Job)) as cursor:
        await cursor.execute(_JOBS + condition, parameters)
        return await cursor.fetchall()
