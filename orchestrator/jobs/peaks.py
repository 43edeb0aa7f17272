"""The waveforms of recordings, as they are kept."""

import sys
from array import array
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from orchestrator.database.sql import Connection, fetch_one


class Waveform(NamedTuple):
    """The envelope of a recording's sound.

    Attributes:
        etag: of the object.
        seconds: length of the sound; point ``i`` of ``n`` is of the samples from ``i / n`` of it on.
        low, high: the lowest and the highest sample, from -32768 to 32767.
        reason: why it is not of all that the recording declares; None if it is.
    """

    etag: str
    seconds: float
    low: Sequence[int]
    high: Sequence[int]
    reason: str | None

    def reduced(self, points: int) -> tuple[list[int], list[int]]:
        """The lowest and the highest samples of so many stretches, or of as many as there are."""
        available = len(self.low)
        edges = (
            [number * available // points for number in range(points + 1)]
            if points < available
            else range(available + 1)
        )
        stretches = list(pairwise(edges))
        return [min(self.low[a:b]) for a, b in stretches], [max(self.high[a:b]) for a, b in stretches]


async def kept_waveform(connection: Connection, bucket: str, savepath: str, etag: str) -> Waveform | None:
    """That of this very object; None if none is kept."""
    row = await fetch_one(
        connection,
        """
        select p.seconds, p.low, p.high, p.reason from peaks p join media m on m.id = p.media_id
        where m.bucket = %s and m.savepath = %s and p.etag = %s
        """,
        (bucket, savepath, etag),
    )
    return row and Waveform(etag, row[0], _samples(row[1]), _samples(row[2]), row[3])


async def keep_waveform(connection: Connection, bucket: str, savepath: str, waveform: Waveform) -> None:
    """Keep it in place of an older one; nothing is kept of a recording that was never submitted."""
    await connection.execute(
        """
        insert into peaks (media_id, etag, seconds, low, high, reason)
        select id, %s, %s, %s, %s, %s from media where bucket = %s and savepath = %s for key share
        on conflict (media_id) do update set etag = excluded.etag, seconds = excluded.seconds, low = excluded.low,
            high = excluded.high, reason = excluded.reason, made_at = now()
        """,
        (
            *(waveform.etag, waveform.seconds, _bytes(waveform.low), _bytes(waveform.high), waveform.reason),
            *(bucket, savepath),
        ),
    )


def _bytes(samples: Sequence[int]) -> bytes:
    stored = array("h", samples)
    if sys.byteorder == "big":
        stored.byteswap()
    return stored.tobytes()


def _samples(stored: bytes) -> Sequence[int]:
    samples = array("h", bytes(stored))
    if sys.byteorder == "big":
        samples.byteswap()
    return samples
