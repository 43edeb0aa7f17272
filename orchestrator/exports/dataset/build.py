"""Builds one shard. The same plan and the same objects give the same bytes, on whichever host and however often."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, aclosing, nullcontext
from pathlib import Path

from orchestrator.errors import Unavailable
from orchestrator.exports.dataset.making.clips import clips
from orchestrator.exports.dataset.making.pictures import frames, pairs
from orchestrator.exports.dataset.making.speech import speech
from orchestrator.exports.dataset.plan import DatasetKind, Item, PlanSettings, ShardPlan
from orchestrator.exports.dataset.samples import Missing, Sample, failed_row, record
from orchestrator.exports.dataset.shard_writer import BuiltShard, ShardWriter
from reelscribe.blocking_calls import call_blocking
from reelscribe.errors import PeerUnreachable, ServiceError
from reelscribe.http.peers.extractor_client import ExtractorClient

Maker = Callable[[ExtractorClient, PlanSettings, Item], AsyncIterator[Sample | Missing]]

MAKERS: dict[DatasetKind, Maker] = {"speech": speech, "pairs": pairs, "frames": frames, "clips": clips}
"""What makes the samples of an item, for each kind."""

TRIES = 3
"""Of an item whose stream breaks off."""
RETRY_SECONDS = 5.0
NOT_NOW = frozenset({"busy", "stopping", "bucket_unavailable", "no_room"})
"""Codes of the extractor that say nothing about the recording."""
NOT_THE_ITEM = frozenset(
    {
        *("unauthorized", "scope_missing", "host_not_allowed"),
        *("route_not_found", "method_not_allowed", "bad_request", "unexpected_answer"),
    }
)
"""Codes that every item would meet: the shard cannot be built until someone has put that right."""


def shard_name(number: int) -> str:
    """Of a shard while its dataset is built."""
    return f"{number:06d}"


Fence = Callable[[BuiltShard], AbstractAsyncContextManager[None]]
"""Entered with a complete shard before its files get their names, and left after that."""


async def build_shard(
    shard: ShardPlan, extractor: ExtractorClient, folder: Path, fence: Fence = lambda built: nullcontext()
) -> BuiltShard:
    """Write ``folder/NNNNNN.tar``, with its index, its counts and what gave no sample next to it.

    Args:
        fence: raises if another one builds the shard now: then no file of this name is touched.

    Raises:
        Unavailable: the extractor does not answer, or not now; nothing is written.
        NotWritten: the disk refuses it.
        ServiceError: no shard can be built, for a reason that a retry does not change.
    """
    plan = shard.plan
    with ShardWriter(folder, shard_name(shard.number), plan.kind) as writer:
        for item in shard.items:
            if item.mistake is not None:
                missing = Missing(None, item.code or "bad_row", item.mistake)
                writer.fail(failed_row(plan, shard.split, item, missing))
                continue
            mark = writer.mark()
            for number in range(1, TRIES + 1):
                try:
                    await _add(writer, shard, item, extractor)
                    break
                except ServiceError as failure:
                    writer.roll_back(mark)
                    if await _again(failure, number, extractor):
                        continue
                    missing = Missing(None, failure.code, failure.message)
                    writer.fail(failed_row(plan, shard.split, item, missing))
                    break
        built = await call_blocking(writer.complete, writer.stop)
        async with fence(built):
            await call_blocking(writer.publish)
        return built


async def _add(writer: ShardWriter, shard: ShardPlan, item: Item, extractor: ExtractorClient) -> None:
    async with aclosing(MAKERS[shard.plan.kind](extractor, shard.plan, item)) as made:  # type: ignore[type-var]
        async for sample in made:
            if isinstance(sample, Missing):
                writer.fail(failed_row(shard.plan, shard.split, item, sample))
            elif not writer.add(sample, record(shard.plan, shard.split, item, sample)):
                twice = Missing(None, "duplicate", f"the key {sample.key} is in this shard already")
                writer.fail(failed_row(shard.plan, shard.split, item, twice))


async def _again(failure: ServiceError, number: int, extractor: ExtractorClient) -> bool:
    """Whether the item is to be tried again; False: it gives no sample.

    Raises:
        Unavailable: it says nothing about the item.
        ServiceError: every item would meet it.
    """
    if failure.code in NOT_THE_ITEM or failure.code == "not_written":
        raise failure
    if isinstance(failure, PeerUnreachable) or failure.code in NOT_NOW:
        raise Unavailable(failure.message, float(failure.details.get("retry_after") or RETRY_SECONDS)) from failure
    if not failure.retryable:
        return False
    if number < TRIES:
        return True
    try:
        await extractor.health()
    except ServiceError as away:
        raise Unavailable(away.message, RETRY_SECONDS) from away
    return False
