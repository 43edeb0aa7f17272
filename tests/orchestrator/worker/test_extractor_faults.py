"""Faults of the extractor, through a real transcriber: each one counts, with its own reason."""

from collections.abc import Callable

import pytest

from extractor_api.handlers import ExtractAudioHandler
from reelscribe.media.audio import AudioExtraction
from tests.orchestrator.conftest import MAX_ATTEMPTS


async def before_the_answer(*arguments):
    raise KeyError("a bug")


async def within_the_body(extraction):
    yield b""
    raise KeyError("a bug")


@pytest.fixture(params=["before the answer", "within the body"])
def broken_extractor(request, monkeypatch) -> None:
    if request.param == "before the answer":
        monkeypatch.setattr(ExtractAudioHandler, "_extract", before_the_answer)
    else:
        monkeypatch.setattr(AudioExtraction, "chunks", within_the_body)


async def test_an_unknown_fault_uses_up_the_attempts_and_is_the_reason(
    broken_extractor, real_transcriber, bucket, make_video: Callable, submit, working, job_in
):
    make_video(bucket / "talk.mp4")
    async with working(real_transcriber):
        job = await job_in((await submit()).id, "failed")
    assert job.attempt == MAX_ATTEMPTS
    assert job.error.code == "internal_error"
    assert job.error.message.startswith(f"gave up after {MAX_ATTEMPTS} attempts: extractor-api failed; its log")
