"""Pictures, with the sound around them or without: the extractor makes them, with exact times."""

import json
from collections.abc import AsyncIterator
from typing import Any

from orchestrator.exports.dataset.making.loudness import wav_loudness
from orchestrator.exports.dataset.making.objects import check_object, named_bucket
from orchestrator.exports.dataset.making.sample_tar import tar_samples
from orchestrator.exports.dataset.plan import FramesSettings, Item, PairsSettings, PlanSettings
from orchestrator.exports.dataset.samples import Missing, Sample
from reelscribe.contracts.pictures import FramesRequest, PairsRequest, SamplesReceipt
from reelscribe.http.peers.extractor_client import ExtractorClient, SampleTar


async def pairs(extractor: ExtractorClient, plan: PlanSettings, item: Item) -> AsyncIterator[Sample | Missing]:
    """Pictures at a steady rate, each with the sound around it."""
    settings = plan.of_kind
    assert isinstance(settings, PairsSettings)
    request = PairsRequest(
        **_common(plan, item, settings),
        audio_seconds=settings.audio_seconds,
        window=settings.window,
        audio_format=settings.audio,
        sample_rate=settings.sample_rate,
        channels=settings.channels,
        edges=settings.edges,
    )
    async with extractor.pairs(request) as body:
        async for sample in _samples(body, item):
            yield sample


async def frames(extractor: ExtractorClient, plan: PlanSettings, item: Item) -> AsyncIterator[Sample | Missing]:
    """Pictures at a steady rate."""
    settings = plan.of_kind
    assert isinstance(settings, FramesSettings)
    async with extractor.frames(FramesRequest(**_common(plan, item, settings))) as body:
        async for sample in _samples(body, item):
            yield sample


def _common(plan: PlanSettings, item: Item, settings: FramesSettings) -> dict[str, Any]:
    return {
        "savepath": item.savepath,
        "bucket_name": named_bucket(plan, item),
        "fps": settings.fps,
        "start": item.start or 0.0,
        "duration": item.duration,
        "picture": settings.picture,
        "size": settings.size,
        "quality": settings.quality,
        "key": item.key,
    }


async def _samples(body: SampleTar, item: Item) -> AsyncIterator[Sample | Missing]:
    check_object(item, body.etag)
    async for key, files in tar_samples(body.chunks()):
        values = json.loads(files.pop("json"))
        values["transfer"] = values.get("transfer") or ""
        if "wav" in files:
            values["loudness"] = wav_loudness(files["wav"])
        yield Sample(key, files, values)
    assert body.receipt
    if (missing := _missing(body.receipt)) is not None:
        yield missing


def _missing(receipt: SamplesReceipt) -> Missing | None:
    """What is to be said of the moments that gave no sample."""
    lost = {"moments without a picture": receipt.without_picture}
    if not receipt.samples:
        lost["moments at an edge"] = receipt.dropped_edges
    named = ", ".join(f"{count} {what}" for what, count in lost.items() if count)
    if not named and receipt.samples:
        return None
    code = "without_picture" if receipt.samples else "no_sample"
    return Missing(None, code, named or "no moment lies in the part that is meant")
