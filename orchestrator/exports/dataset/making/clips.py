"""Clips: parts of videos, each with a file of its sound where that is asked for."""

import json
from collections.abc import AsyncIterator
from typing import Any

from orchestrator.exports.dataset.keys import milliseconds
from orchestrator.exports.dataset.making.loudness import wav_loudness
from orchestrator.exports.dataset.making.objects import check_object, named_bucket
from orchestrator.exports.dataset.making.sample_tar import tar_samples
from orchestrator.exports.dataset.plan import ClipsSettings, Item, PlanSettings
from orchestrator.exports.dataset.samples import RECORD, Missing, Sample
from reelscribe.contracts.clips import ClipRequest
from reelscribe.errors import ServiceError
from reelscribe.http.peers.extractor_client import ExtractorClient

SHORT_SECONDS = 0.1
"""That the last clip of a recording may lack; a shorter rest is no clip."""


INCOMPLETE = "incomplete_recording"
"""Code of a clip whose part of the recording is damaged or cut."""


async def clips(extractor: ExtractorClient, plan: PlanSettings, item: Item) -> AsyncIterator[Sample | Missing]:
    """The part that is meant; of an entire recording one clip after the other, without a rest that is too short.

    A clip that is not complete is none, and says nothing about the others.
    """
    settings = plan.of_kind
    assert isinstance(settings, ClipsSettings)
    if item.start is not None or item.duration is not None:
        yield await _clip(extractor, plan, item, item.start or 0.0, item.duration or settings.seconds, item.key)
        return
    number = 0
    while True:
        start = number * settings.seconds
        try:
            key = f"{item.key}_{milliseconds(start)}"
            sample = await _clip(extractor, plan, item, start, settings.seconds, key)
        except ServiceError as failure:
            if number and failure.code == "past_the_end":
                return
            if failure.code != INCOMPLETE:
                raise
            yield Missing(start, failure.code, failure.message)
            number += 1
            continue
        ends = sample.values["start"] + sample.values["duration"]  # a copy begins before what was asked for
        if number and ends - start < settings.seconds - SHORT_SECONDS:
            return
        yield sample
        number += 1


async def _clip(
    extractor: ExtractorClient, plan: PlanSettings, item: Item, start: float, seconds: float, key: str
) -> Sample:
    settings = plan.of_kind
    assert isinstance(settings, ClipsSettings)
    with_sound = settings.audio != "none"
    request = ClipRequest(
        savepath=item.savepath,
        bucket_name=named_bucket(plan, item),
        start=start,
        duration=seconds,
        mode=settings.mode,
        size=settings.size,
        audio=settings.audio,
        key=key if with_sound else None,
    )
    async with extractor.clip(request) as body:
        check_object(item, body.etag)
        if with_sound:
            [(_, files)] = [sample async for sample in tar_samples(body.chunks())]
            return Sample(key, files, _of_record(files))
        content = b"".join([chunk async for chunk in body.chunks()])
    assert body.receipt
    receipt = body.receipt
    values = {
        "etag": body.etag,
        "start": receipt.begins,
        "duration": receipt.seconds,
        "width": receipt.width,
        "height": receipt.height,
        "frames": receipt.frames,
    }
    return Sample(key, {"mp4": content}, values)


def _of_record(files: dict[str, bytes]) -> dict[str, Any]:
    """The values of the record of a clip, which is taken from its files."""
    values: dict[str, Any] = json.loads(files.pop(RECORD))
    values |= {"start": values["begins"], "duration": values["seconds"]}
    if "wav" in files:
        values["loudness"] = wav_loudness(files["wav"])
    return values
