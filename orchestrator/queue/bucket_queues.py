"""Sub-queues of buckets: where jobs wait that some worker skips, because its transcribers cannot read their bucket.

Which buckets these are each worker knows by itself: another one, with other transcribers, may read them. A sub-queue is
therefore only a place, which the others take from as from any other. It is made when jobs are moved there
(:mod:`orchestrator.queue.backlog`), and it is gone when it is empty again.
"""

from collections.abc import Collection, Sequence

from orchestrator.database.sql import Connection, fetch_column
from orchestrator.queue.order import FORWARD, ORDER


def bucket_queue(kind: str, bucket: str) -> str:
    """Name of the sub-queue of a bucket, for work of this kind."""
    return f"{kind}/bucket/{bucket}"


BUCKET_QUEUE = "task_name || '/bucket/' || bucket"
"""SQL for its name, of a row of the queue; null if that has no bucket."""

_NAME = "kind || '/bucket/' || bucket"


async def bucket_queues(connection: Connection, kinds: Sequence[str]) -> list[str]:
    """Those that exist, of these kinds."""
    return await fetch_column(connection, f"select {_NAME} from bucket_queues where kind = any(%s)", (list(kinds),))


async def make(connection: Connection, names: Collection[str]) -> None:
    """Make those of these names that do not exist."""
    split = [name.split("/", 2) for name in names]
    await connection.execute(
        """
        insert into bucket_queues (kind, bucket) select * from unnest(%s::text[], %s::text[]) on conflict do nothing
        """,
        ([kind for kind, *_ in split], [bucket for *_, bucket in split]),
    )


async def remove_empty(connection: Connection, kinds: Sequence[str], needed: Collection[str]) -> None:
    """Remove those from which no entry is left, and none can come back; not those that are ``needed``."""
    # In the order of the queue, for which there is an index: PostgreSQL expects so many in each sub-queue that it would
    # read the whole table to find one.
    await connection.execute(
        f"""
        delete from bucket_queues where kind = any(%(kinds)s) and {_NAME} <> all(%(needed)s::text[]) and not exists (
            select from unnest(array[{_NAME}, kind || '/{FORWARD}']) as sub_queue (name)
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
