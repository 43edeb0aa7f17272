"""Removing what is known of a recording: its jobs of all kinds and versions, transcripts, and where results are stored.

Functions take the connection, so that the caller says what belongs to one transaction. All lock jobs before recordings,
as whatever else writes both does: no deadlock.
"""

from collections import defaultdict
from collections.abc import Sequence

from orchestrator.database.sql import Connection, fetch_all, fetch_column, fetch_one, fetch_value, starting_with
from orchestrator.errors import Superseded
from orchestrator.jobs.attempts import Attempt
from orchestrator.jobs.models import Record
from orchestrator.jobs.transitions import ATTEMPTED

LOCK_SECONDS = 10
"""How long a deletion waits for a result that is being stored."""
STORING_SECONDS = 600
"""How long storing one result may keep a deletion waiting."""


class Deleted(Record):
    """How much was removed, or would be.

    Attributes:
        savepaths: recordings of which nothing is known any more.
        jobs: of all kinds, in all versions.
        transcripts: finished ones among them, replaced versions too.
        results: objects that ``[results]`` had stored.
        edits: of texts and titles, undone ones too.
    """

    savepaths: int = 0
    jobs: int = 0
    transcripts: int = 0
    results: int = 0
    edits: int = 0

    def __add__(self, other: "Deleted") -> "Deleted":
        return Deleted(**{name: getattr(self, name) + getattr(other, name) for name in Deleted.model_fields})


_WANTED = """
    m.bucket = %(bucket)s and m.savepath like %(prefix)s
        and (%(savepaths)s::text[] is null or m.savepath = any(%(savepaths)s))
        and (%(until)s::bigint is null or m.id <= %(until)s)
"""


async def last_recording(connection: Connection) -> int:
    """The id of the newest recording; those that come later have higher ones."""
    id: int = await fetch_value(connection, "select coalesce(max(id), 0) from media")
    return id


async def count(
    connection: Connection, bucket: str, savepaths: Sequence[str] | None, prefix: str = "", until: int | None = None
) -> Deleted:
    """What is known of these savepaths, or of all that start with ``prefix``; with ``until``, only of recordings with
    ids up to it.
    """
    row = await fetch_one(
        connection,
        f"""
        with wanted as (select m.id from media m where {_WANTED})
        select (select count(*) from wanted), count(j.id),
            count(j.id) filter (where j.kind = 'transcribe' and j.state = 'done'),
            (select count(*) from stored_results where media_id in (select id from wanted)),
            (select count(*) from edits where media_id in (select id from wanted))
        from jobs j where j.media_id in (select id from wanted)
        """,
        _wanted(bucket, savepaths, prefix, until),
    )
    return Deleted(savepaths=row[0], jobs=row[1], transcripts=row[2], results=row[3], edits=row[4])


async def recordings(
    connection: Connection,
    bucket: str,
    savepaths: Sequence[str] | None,
    prefix: str,
    limit: int,
    until: int | None = None,
) -> dict[str, int]:
    """Some of these savepaths that something is known of, with the ids of their recordings; see :func:`count`."""
    rows = await fetch_all(
        connection,
        f"select m.savepath, m.id from media m where {_WANTED} order by m.id limit %(limit)s",
        {**_wanted(bucket, savepaths, prefix, until), "limit": limit},
    )
    return dict(rows)


def _wanted(bucket: str, savepaths: Sequence[str] | None, prefix: str, until: int | None) -> dict[str, object]:
    return {
        "bucket": bucket,
        "savepaths": savepaths and list(savepaths),
        "prefix": starting_with(prefix),
        "until": until,
    }


async def known(connection: Connection, bucket: str, savepaths: Sequence[str]) -> list[str]:
    """Those of these savepaths that something is known of."""
    return list(await recordings(connection, bucket, savepaths, "", len(savepaths)))


async def recording_of(connection: Connection, job: int) -> int | None:
    """The recording of a job; None if it is of none, or there is no such job."""
    id: int | None = await fetch_value(connection, "select media_id from jobs where id = %s", (job,))
    return id


async def lock(connection: Connection, media_ids: Sequence[int]) -> list[int] | None:
    """Keep all others from adding jobs to these recordings, and from writing those that they have, until the
    transaction ends; the ids of their jobs. None if one was added meanwhile: try again, in a new transaction.

    Raises:
        psycopg.errors.LockNotAvailable: a result is being stored for longer than ``LOCK_SECONDS``.
    """
    await connection.execute(f"set local lock_timeout = '{LOCK_SECONDS}s'")
    jobs = "select id from jobs where media_id = any(%s) order by id"
    locked = await fetch_column(connection, f"{jobs} for update", (list(media_ids),))
    await connection.execute("select from media where id = any(%s) order by id for update", (list(media_ids),))
    now = await fetch_column(connection, jobs, (list(media_ids),))
    return locked if now == locked else None


async def queue_entries(connection: Connection, jobs: Sequence[int]) -> list[int]:
    """The rows of the queue that these jobs still have."""
    return await fetch_column(
        connection,
        "select id from procrastinate_jobs where id = any(select queue_job from jobs where id = any(%s))",
        (list(jobs),),
    )


async def stored_results(
    connection: Connection, media_ids: Sequence[int], kind: str | None = None
) -> dict[str, list[str]]:
    """The names of the objects that ``[results]`` has stored of these recordings and of no others, by bucket; with
    ``kind``, only those of this kind of work.
    """
    rows = await fetch_all(
        connection,
        """
        select distinct bucket, name from stored_results s
        where media_id = any(%(media)s) and (%(kind)s::text is null or kind = %(kind)s) and not exists (
            select from stored_results o
            where o.bucket = s.bucket and o.name = s.name and not o.media_id = any(%(media)s)
        ) order by name
        """,
        {"media": list(media_ids), "kind": kind},
    )
    by_bucket: dict[str, list[str]] = defaultdict(list)
    for bucket, name in rows:
        by_bucket[bucket].append(name)
    return by_bucket


async def remove(connection: Connection, media_ids: Sequence[int]) -> Deleted:
    """Remove all that is known of these recordings, which are locked, and whose stored results are gone."""
    ids = (list(media_ids),)
    results = await connection.execute("delete from stored_results where media_id = any(%s)", ids)
    await connection.execute(
        """
        delete from webhook_deliveries where job_id in (select id from jobs where media_id = any(%s))
            and state <> 'pending'
        """,
        ids,
    )
    transcripts = await fetch_value(
        connection,
        """
        with gone as (delete from jobs where media_id = any(%s) returning kind, state)
        select array[count(*), count(*) filter (where kind = 'transcribe' and state = 'done')] from gone
        """,
        ids,
    )
    edits = await connection.execute("delete from edits where media_id = any(%s)", ids)
    media = await connection.execute("delete from media where id = any(%s)", ids)
    return Deleted(
        savepaths=media.rowcount,
        jobs=transcripts[0],
        transcripts=transcripts[1],
        results=results.rowcount,
        edits=edits.rowcount,
    )


async def failed_with(connection: Connection, id: int, code: str) -> bool:
    """Whether this job has failed so; until the transaction ends, no one retries it."""
    statement = "select from jobs where id = %s and state = 'failed' and error_code = %s for update"
    return await fetch_one(connection, statement, (id, code)) is not None


async def remove_job(connection: Connection, id: int, media_id: int | None) -> Deleted:
    """Remove one job that is not done; its recording too, which is locked, if nothing else is known of it."""
    jobs = await connection.execute("delete from jobs where id = %s and state <> 'done'", (id,))
    media = await connection.execute(
        """
        delete from media m where m.id = %(media)s
            and not exists (select from jobs where media_id = %(media)s)
            and not exists (select from stored_results where media_id = %(media)s)
        """,
        {"media": media_id},
    )
    return Deleted(savepaths=media.rowcount, jobs=jobs.rowcount)


async def note_result(connection: Connection, media_id: int, bucket: str, name: str, kind: str) -> None:
    """A result of this kind of work is about to be stored as this object; nothing is noted of a recording that was
    forgotten.
    """
    await connection.execute(
        """
        insert into stored_results (media_id, bucket, name, kind)
        select id, %s, %s, %s from media where id = %s for key share
        on conflict (media_id, bucket, name) do update
            set stored_at = now(), kind = excluded.kind, made_of = null
        """,
        (bucket, name, kind, media_id),
    )


async def noted_results(connection: Connection, media_id: int, bucket: str) -> set[str]:
    """The names of the objects of a recording that are stored there, or about to be."""
    statement = "select name from stored_results where media_id = %s and bucket = %s"
    return set(await fetch_column(connection, statement, (media_id, bucket)))


async def note_made(connection: Connection, media_id: int, bucket: str, name: str, made_of: str) -> None:
    """This object is stored, and was made of that."""
    await connection.execute(
        "update stored_results set made_of = %s, stored_at = now() where media_id = %s and bucket = %s and name = %s",
        (made_of, media_id, bucket, name),
    )


async def made(connection: Connection, media_id: int) -> dict[tuple[str, str], str]:
    """Of what the objects of a recording were made, by bucket and name."""
    rows = await fetch_all(
        connection,
        "select bucket, name, made_of from stored_results where media_id = %s and made_of is not null",
        (media_id,),
    )
    return {(bucket, name): made_of for bucket, name, made_of in rows}


async def forget_results(connection: Connection, media_id: int, bucket: str, names: Sequence[str]) -> None:
    """These objects of a recording are removed."""
    await connection.execute(
        "delete from stored_results where media_id = %s and bucket = %s and name = any(%s)",
        (media_id, bucket, list(names)),
    )


async def hold_recording(connection: Connection, attempt: Attempt) -> None:
    """Keep deletions waiting until the transaction ends, while this attempt changes something outside the database.

    Raises:
        Superseded: the recording was forgotten, or the attempt is over.
    """
    await allow_storing(connection)
    await connection.execute("select from media where id = %s for key share", (attempt.media_id,))
    current = await fetch_value(
        connection,
        "select true from jobs where id = %s and attempt = %s and queue_job = %s and state = any(%s)",
        (attempt.id, attempt.number, attempt.queue_job, list(ATTEMPTED)),
    )
    if not current:
        raise Superseded(f"{attempt.savepath}: its result is no longer to be stored")


async def allow_storing(connection: Connection) -> None:
    """Let the transaction wait for as long as a bucket may take to store or remove objects."""
    await connection.execute(f"set local idle_in_transaction_session_timeout = '{STORING_SECONDS}s'")
