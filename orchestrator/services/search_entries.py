"""Search entries that an older version of the orchestrator made are made again, while everything else runs."""

import asyncio
import logging

from orchestrator.database.locks import AdvisoryLock
from orchestrator.database.pool import CONNECTION_ERRORS, Pool, one_line, try_lock
from orchestrator.transcripts import search_index

log = logging.getLogger(__name__)

PAUSE_SECONDS = 0.0001
"""For each segment: the work of the day comes first."""
EVERY_SECONDS = 600.0
"""How often is looked for more: a worker of the older version may still run."""
LOG_EVERY = 100_000


async def keep_current(pool: Pool) -> None:
    """Make entries of an older version again, the newest transcripts first, until cancelled."""
    while True:
        try:
            async with try_lock(pool, AdvisoryLock.SEARCH_INDEX) as alone:
                if alone:
                    await _make_again(pool)
        except CONNECTION_ERRORS as failed:
            log.warning("search: %s; segments are indexed again later", one_line(failed))
        await asyncio.sleep(EVERY_SECONDS)


async def _make_again(pool: Pool) -> None:
    made = logged = 0
    newest = search_index.NEWEST
    while True:
        async with pool.connection() as connection:
            batch = await search_index.reindex_batch(connection, newest)
        if batch is None:
            break
        newest, count = batch
        made += count
        if made == count or made - logged >= LOG_EVERY:
            logged = made
            log.info("search: segments of an older version are indexed again; %s so far", f"{made:,}")
        await asyncio.sleep(count * PAUSE_SECONDS)
    if made:
        log.info("search: %s segments were indexed again; all are found in each spelling now", f"{made:,}")
