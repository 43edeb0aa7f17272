"""What ingest has found on the web: one row for each recording of a source; and the sources that are left alone.

Functions take the connection, so that the caller says what belongs to one transaction.
"""

from datetime import datetime
from typing import Literal, NamedTuple

from pydantic import BaseModel

from orchestrator.database.sql import Connection, fetch_all, fetch_column, fetch_models, fetch_one

State = Literal["unfinished", "storing", "stored", "gone", "failed"]
"""``storing``: it has a savepath, and may be there already; ``gone`` is for good; all else is tried again."""


UNKNOWN = "address"
"""The extractor of addresses at which nothing has been found yet."""


class VideoKey(NamedTuple):
    """Names a recording of the web: ``video_id`` is unique among those of ``extractor``."""

    extractor: str
    video_id: str


class Ingested(BaseModel):
    """A row."""

    extractor: str
    video_id: str
    url: str
    title: str | None
    bucket: str
    savepath: str | None
    state: State
    reason: str | None
    message: str | None
    bytes: int | None
    attempts: int
    found_at: datetime
    changed_at: datetime

    @property
    def key(self) -> VideoKey:
        """What names it."""
        return VideoKey(self.extractor, self.video_id)


_COLUMNS = (
    "extractor, video_id, url, title, bucket, savepath, state, reason, message, bytes, attempts, found_at, changed_at"
)


async def by_key(connection: Connection, key: VideoKey) -> Ingested | None:
    """The row of a recording."""
    statement = f"select {_COLUMNS} from ingested where extractor = %s and video_id = %s"
    return next(iter(await fetch_models(connection, Ingested, statement, key)), None)


async def by_address(connection: Connection, asked: str) -> Ingested | None:
    """The recording that was the complete answer to this address."""
    statement = f"select {_COLUMNS} from ingested where asked = %s"
    return next(iter(await fetch_models(connection, Ingested, statement, (asked,))), None)


async def newest(connection: Connection, most: int) -> list[Ingested]:
    """Rows, the last changed first."""
    statement = f"select {_COLUMNS} from ingested order by changed_at desc, video_id limit %s"
    return await fetch_models(connection, Ingested, statement, (most,))


async def note_attempt(
    connection: Connection, key: VideoKey, asked: str | None, url: str, title: str | None, bucket: str
) -> None:
    """A download of it begins, or continues."""
    await _release(connection, key, asked)
    await connection.execute(
        """
        insert into ingested (extractor, video_id, asked, url, title, bucket, state, attempts)
        values (%s, %s, %s, %s, %s, %s, 'unfinished', 1)
        on conflict (extractor, video_id) do update set
            asked = coalesce(excluded.asked, ingested.asked), url = excluded.url, title = excluded.title,
            bucket = excluded.bucket, savepath = null, state = 'unfinished', reason = null, message = null,
            attempts = ingested.attempts + 1, changed_at = now()
        """,
        (*key, asked, url, title, bucket),
    )


async def note_storing(connection: Connection, key: VideoKey, savepath: str, size: int | None) -> None:
    """It is complete, and will be an object of this savepath in a moment."""
    await connection.execute(
        "update ingested set state = 'storing', savepath = %s, bytes = %s, changed_at = now()"
        " where extractor = %s and video_id = %s",
        (savepath, size, *key),
    )


async def note_stored(connection: Connection, key: VideoKey, message: str | None) -> None:
    """It is in the bucket, and submitted."""
    await connection.execute(
        "update ingested set state = 'stored', reason = null, message = %s, changed_at = now()"
        " where extractor = %s and video_id = %s",
        (message, *key),
    )


async def note_failure(
    connection: Connection,
    key: VideoKey,
    asked: str | None,
    url: str,
    bucket: str,
    state: Literal["gone", "failed"],
    reason: str,
    message: str,
) -> None:
    """It cannot be had: for good, or not now."""
    await _release(connection, key, asked)
    await connection.execute(
        """
        insert into ingested (extractor, video_id, asked, url, bucket, state, reason, message, attempts)
        values (%s, %s, %s, %s, %s, %s, %s, %s, 1)
        on conflict (extractor, video_id) do update set
            asked = coalesce(excluded.asked, ingested.asked), state = excluded.state, reason = excluded.reason,
            message = excluded.message, changed_at = now()
        """,
        (*key, asked, url, bucket, state, reason, message),
    )


async def _release(connection: Connection, key: VideoKey, asked: str | None) -> None:
    """The address is that of another recording by now, or of one that was not known."""
    await connection.execute(
        "delete from ingested where asked = %s and extractor = %s and (extractor, video_id) <> (%s, %s)",
        (asked, UNKNOWN, *key),
    )
    await connection.execute(
        "update ingested set asked = null where asked = %s and (extractor, video_id) <> (%s, %s)", (asked, *key)
    )


async def pause(connection: Connection, source: str, seconds: float, message: str) -> datetime:
    """Leave a source alone, at least for so long; until when."""
    [until] = await fetch_one(
        connection,
        """
        insert into ingest_pauses (source, until, message) values (%s, now() + make_interval(secs => %s), %s)
        on conflict (source) do update set
            until = greatest(ingest_pauses.until, excluded.until), message = excluded.message
        returning until
        """,
        (source, seconds, message),
    )
    found: datetime = until
    return found


async def pauses(connection: Connection) -> dict[str, tuple[datetime, str]]:
    """The sources that are left alone now: until when, and why."""
    rows = await fetch_all(connection, "select source, until, message from ingest_pauses where until > now()")
    return {source: (until, message) for source, until, message in rows}


async def end_pauses(connection: Connection) -> list[str]:
    """Ask all sources again; those that were left alone."""
    return await fetch_column(connection, "delete from ingest_pauses returning source")
