"""What kinds of work that follow transcriptions have in common: when they are made, and what older ones have left."""

import logging
from collections.abc import Collection, Mapping
from functools import partial
from typing import Protocol

from orchestrator.database.pool import Pool
from orchestrator.exports.pending_results import without_result
from orchestrator.jobs import deletion, transitions
from orchestrator.jobs.attempts import Attempt
from orchestrator.jobs.models import TRANSCRIBE
from orchestrator.queue.entries import QueueEntries
from reelscribe.blocking_calls import call_blocking
from reelscribe.errors import PeerRefused

log = logging.getLogger(__name__)

PRIORITY = 1000
"""Transcripts are stored before more is transcribed; it takes a moment."""


class Removing(Protocol):
    """Where results are stored; see :mod:`orchestrator.exports.result_bucket`."""

    def remove(self, bucket: str, names: list[str]) -> None:
        """Remove objects, of whichever bucket; blocks."""


async def follow_transcriptions(pool: Pool, queue: QueueEntries, kind: str, priority: int) -> None:
    """From now on, do this work after each transcription, whichever worker makes it; and for those made before."""
    async with pool.connection() as connection:
        await transitions.follow(connection, kind, TRANSCRIBE, priority)
    last = 0
    while True:
        async with pool.connection() as connection:
            media = await without_result(connection, kind, last)
            await queue.put(connection, await transitions.catch_up(connection, kind, media, priority))
        if not media:
            return
        last = media[-1]


async def remove_all_but(pool: Pool, bucket: Removing, attempt: Attempt, stored: Mapping[str, Collection[str]]) -> None:
    """Remove what this kind of work has stored of the recording under other names: it is of an older version.

    Args:
        stored: the names that are right now, by bucket.

    Raises:
        Superseded: the recording was forgotten, or the attempt is over.
        PeerUnreachable: the bucket does not answer.
    """
    assert attempt.media_id is not None
    async with pool.connection() as connection:
        others = await deletion.stored_results(connection, [attempt.media_id], attempt.kind)
        for name_of_bucket, names in others.items():
            old = [name for name in names if name not in stored.get(name_of_bucket, ())]
            if not old:
                continue
            await deletion.hold_recording(connection, attempt)
            try:
                await call_blocking(partial(bucket.remove, name_of_bucket, old))
            except PeerRefused as refused:
                log.warning("%s: results of an older version stay: %s", attempt.savepath, refused.message)
            else:
                await deletion.forget_results(connection, attempt.media_id, name_of_bucket, old)
