"""A kind of work: one shard of a dataset is built."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from orchestrator.database.pool import Pool
from orchestrator.exports.dataset.layout import DatasetFolder
from orchestrator.exports.dataset.plan import PlanSettings, ShardPlan
from orchestrator.exports.dataset.shard_writer import BuiltShard
from orchestrator.jobs import datasets, transitions
from orchestrator.jobs.attempts import Attempt
from reelscribe.errors import ServiceError
from reelscribe.http.access.tokens import Tokens

log = logging.getLogger(__name__)


class FolderMissing(ServiceError):
    """The folder of the dataset is not on this host; another worker may have it."""

    status, code, retryable = 409, "folder_missing", True


class PlanRemoved(ServiceError):
    """The dataset of this shard was removed."""

    status, code, retryable = 410, "plan_removed", False


class ShardBuilder:
    """Builds shards of whatever dataset.

    Args:
        extractor_url: of the extractor that makes the samples.
    """

    def __init__(self, pool: Pool, extractor_url: str, tokens: Tokens) -> None:
        self._pool = pool
        self._extractor_url = extractor_url
        self._tokens = tokens

    async def work(self, attempt: Attempt) -> None:
        """Build one shard; see :class:`orchestrator.worker.kinds.Kind`."""
        from orchestrator.exports.dataset.build import build_shard  # half a second that a worker may never need
        from reelscribe.http.peers.extractor_client import ExtractorClient

        dataset, number = attempt.options["dataset"], attempt.options["shard"]
        async with self._pool.connection() as connection:
            found = await datasets.shard_of(connection, dataset, number)
        if found is None:
            raise PlanRemoved(f"dataset {dataset} was removed, or has been planned again")
        path, split, settings, items = found
        folder = DatasetFolder.of(path)
        built_here = await asyncio.to_thread(folder.built_here)
        if built_here is None or built_here[0] != dataset:
            raise FolderMissing(
                f"{folder.root} on this host is not the folder of dataset {dataset}: mount it here under the same "
                "path, or keep this worker from shards with max_shards = 0"
            )
        shard = ShardPlan(plan=PlanSettings.model_validate(settings), number=number, split=split, items=items)

        @asynccontextmanager
        async def recorded(built: BuiltShard) -> AsyncIterator[None]:
            """It is done if this attempt still counts and its files have their names; else neither is changed."""
            async with self._pool.connection() as connection:
                await transitions.finish(connection, attempt)
                await datasets.record_shard(connection, dataset, number, *built)
                yield

        async with ExtractorClient(self._extractor_url, self._tokens) as extractor:
            built = await build_shard(shard, extractor, folder.building, recorded)
        log.info("dataset %d: shard %d: %d samples, %d failed", dataset, number, built.samples, built.failed)
