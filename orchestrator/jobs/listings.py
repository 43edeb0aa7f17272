"""When the buckets were last listed.

Functions take the connection, so that the caller says what belongs to one transaction.
"""

from orchestrator.database.sql import Connection, fetch_value


async def seconds_since_listing(connection: Connection, bucket: str) -> float | None:
    """How long ago a listing of the bucket ended; None if there was none. Negative if the clock was set back since."""
    seconds: float | None = await fetch_value(
        connection, "select extract(epoch from now() - finished_at)::float from listings where bucket = %s", (bucket,)
    )
    return seconds


async def note_listing(connection: Connection, bucket: str) -> None:
    """A listing of the bucket has just ended."""
    await connection.execute(
        "insert into listings (bucket) values (%s) on conflict (bucket) do update set finished_at = now()", (bucket,)
    )
