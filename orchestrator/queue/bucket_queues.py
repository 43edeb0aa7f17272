"""Sub-queues of buckets: where jobs wait that some worker skips, because its transcribers cannot read their bucket.

Which buckets these are each worker knows by itself: another one, with other transcribers, may read them. A sub-queue is
therefore only a place, which the others take from as from any other. It is made when jobs are moved there
(:mod:`orchestrator.queue.backlog`), and it is gone when it is empty again.
"""

from collections.abc import Collection, Sequence

from orchestrator.database.sql import Connection, fetch_all
from orchestrator.queue.order import FORWARD, ORDER


def bucket_jobs(kind: str, bucket: str) -> str:
    """What names the jobs of a bucket, for work of this kind."""
    return f"{kind}/bucket/{bucket}"


BUCKET_JOBS = "task_name || '/bucket/' || bucket"
"""The same as SQL, of a row of the queue; null if that has no bucket."""

SUB_QUEUE = "kind || '/b' || id"
"""SQL for the name of a sub-queue, of a row of ``bucket_queues``. It has a number, as that of a rule has: procrastinate
notifies a channel with this name of cancelled jobs, and PostgreSQL lets that have 63 bytes.
"""

_JOBS = "kind || '/bucket/' || bucket"


async def bucket_queues(connection: Connection, kinds: Sequence[str]) -> dict[str, str]:
    """Those that exist, of these kinds, by :func:`bucket_jobs`."""
    found = f"select {_JOBS}, {SUB_QUEUE} from bucket_queues where kind = any(%s)"
    return dict(await fetch_all(connection, found, (list(kinds),)))


async def make(connection: Connection, jobs: Collection[str]) -> None:
    """Make those for these jobs (:func:`bucket_jobs`) that do not exist."""
    split = [name.split("/", 2) for name in jobs]
    await connection.execute(
        """
        insert into bucket_queues (kind, bucket) select * from unnest(%s::text[], %s::text[]) as new (kind, bucket)
        where not exists (select from bucket_queues old where (old.kind, old.bucket) = (new.kind, new.bucket))
        on conflict do nothing
        """,
        ([kind for kind, *_ in split], [bucket for *_, bucket in split]),
    )


async def remove_empty(connection: Connection, kinds: Sequence[str], needed: Collection[str]) -> None:
    """Remove those from which no entry is left, and none can come back; not those that are ``needed``.

    Args:
        needed: for these jobs (:func:`bucket_jobs`).
    """
    # In the order of the queue, for which there is an index: PostgreSQL expects so many in each sub-queue that it would
    # read the whole table to find one.
    await connection.execute(
        f"""
        delete from bucket_queues where kind = any(%(kinds)s) and {_JOBS} <> all(%(needed)s::text[]) and not exists (
            select from unnest(array[{SUB_QUEUE}, kind || '/{FORWARD}']) as sub_queue (name)
            where (
                select true from procrastinate_jobs where queue_name = sub_queue.name and status = 'todo'
                order by {ORDER} limit 1
            ) or sub_queue.name in (
                select queue_name from procrastinate_jobs where status = 'doing' and worker_id is not null
            )
        )
        """,
        {"kinds": list(kinds), "needed": list(needed)},
    )
