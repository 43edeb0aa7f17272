"""Recordings whose objects are gone from the bucket.

Functions take the connection, so that the caller says what belongs to one transaction.
"""

from collections.abc import Sequence
from datetime import datetime

from orchestrator.database.sql import Connection, fetch_all, fetch_column, starting_with


async def known_between(
    connection: Connection, bucket: str, prefix: str, after: str, until: str | None
) -> dict[str, datetime | None]:
    """Savepaths with jobs, from ``after`` (exclusive) to ``until`` (inclusive; None: to the end), in the order of a
    listing; each with the time since which its object is known to be gone.
    """
    rows = await fetch_all(
        connection,
        """
        select m.savepath, m.removed_at from media m
        where m.bucket = %(bucket)s and m.savepath like %(prefix)s and m.savepath > %(after)s
            and (%(until)s::text is null or m.savepath <= %(until)s)
            and exists (select from jobs j where j.media_id = m.id)
        """,
        {"bucket": bucket, "prefix": starting_with(prefix), "after": after, "until": until},
    )
    return dict(rows)


async def known_at(connection: Connection, bucket: str, paths: Sequence[str]) -> list[str]:
    """Savepaths with jobs that are one of these paths, or in a folder that is."""
    return await fetch_column(
        connection,
        """
        select distinct m.savepath from unnest(%(paths)s::text[]) as removed (path), lateral (
            select id, savepath from media where bucket = %(bucket)s and savepath = path
            union all -- what is in a folder: the character after the slash is a zero
            select id, savepath from media
            where bucket = %(bucket)s and savepath >= (path || '/') and savepath < (path || '0')
        ) m
        where exists (select from jobs j where j.media_id = m.id)
        """,
        {"bucket": bucket, "paths": list(paths)},
    )


async def mark(connection: Connection, bucket: str, savepaths: Sequence[str]) -> int:
    """These objects are gone; how many of them were not known to be."""
    cursor = await connection.execute(
        "update media set removed_at = now() where bucket = %s and savepath = any(%s) and removed_at is null",
        (bucket, list(savepaths)),
    )
    return cursor.rowcount


async def unmark(connection: Connection, bucket: str, savepaths: Sequence[str]) -> None:
    """These objects exist."""
    await connection.execute(
        "update media set removed_at = null where bucket = %s and savepath = any(%s) and removed_at is not null",
        (bucket, list(savepaths)),
    )
