"""Waveforms are made once by the extractor, and kept until the recording changes or is forgotten."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from orchestrator.jobs.models import Job
from orchestrator.jobs.peaks import Waveform
from tests.orchestrator.media.conftest import Playing

SAVEPATH = "talks/sound.mkv"
URL = f"/api/media/{SAVEPATH}/peaks"

Sql = Callable[..., Awaitable[list[Any]]]


def made(playing: Playing) -> int:
    value = playing.extractor.registry.get_sample_value("reelscribe_extractions_total", {"state": "complete"})
    return int(value or 0)


async def test_it_is_made_once_and_reduced_to_what_is_asked_for(
    playing: Playing, submit: Callable[..., Awaitable[Job]], sql: Sql
) -> None:
    await submit(SAVEPATH)
    first, *_ = await asyncio.gather(*(playing.client.get(URL) for _ in range(3)))
    assert made(playing) == 1
    few = (await playing.client.get(URL, params={"points": 10})).json()
    fine = (await playing.client.get(URL, params={"points": 4096})).json()
    assert made(playing) == 1 and await sql("select count(*) from peaks") == [(1,)]
    assert (first.json()["points"], few["points"], fine["points"]) == (1000, 10, 4096)
    assert few["seconds"] == pytest.approx(7.5, abs=0.1) and few["reason"] is None
    assert min(fine["min"]) == min(few["min"]) < -100 and max(fine["max"]) == max(few["max"]) > 100
    assert fine["min"][: 4096 // 16] and few["min"][0] == min(fine["min"][: 4096 // 10])
    known = await playing.client.get(URL, headers={"If-None-Match": first.headers["ETag"]})
    assert known.status_code == 304
    other = await playing.client.get(URL, params={"points": 10}, headers={"If-None-Match": first.headers["ETag"]})
    assert other.status_code == 200


async def test_it_is_made_again_of_another_object_and_forgotten_with_the_recording(
    playing: Playing, submit: Callable[..., Awaitable[Job]], sql: Sql, media_bucket: Path
) -> None:
    path = media_bucket / "changing.mkv"
    path.write_bytes((media_bucket / SAVEPATH).read_bytes())
    await submit(path.name)
    first = (await playing.client.get("/api/media/changing.mkv/peaks")).json()
    path.write_bytes((media_bucket / "bare.mp3").read_bytes())
    second = (await playing.client.get("/api/media/changing.mkv/peaks")).json()
    assert first["etag"] != second["etag"] and made(playing) == 2
    assert await sql("select etag from peaks") == [(second["etag"],)]
    assert (await playing.client.delete("/api/transcripts/changing.mkv")).status_code == 200
    assert await sql("select count(*) from peaks") == [(0,)]
    path.unlink()


async def test_it_is_answered_but_not_kept_of_what_was_never_submitted(playing: Playing, sql: Sql) -> None:
    assert (await playing.client.get(URL)).status_code == 200
    assert await sql("select count(*) from peaks") == [(0,)]


async def test_a_recording_without_sound_has_none(playing: Playing) -> None:
    answer = await playing.client.get("/api/media/talks/mute.mp4/peaks")
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "no_audio_track")


@pytest.mark.parametrize("points", [0, 4097, "many"])
async def test_more_points_than_there_are_kept_are_refused(playing: Playing, points: object) -> None:
    assert (await playing.client.get(URL, params={"points": str(points)})).status_code == 400


def test_a_short_sound_has_fewer_points() -> None:
    short = Waveform("e", 0.1, [-3, -2, -1], [1, 2, 3], None)
    assert short.reduced(10) == ([-3, -2, -1], [1, 2, 3])
    assert short.reduced(2) == ([-3, -2], [1, 3])
    assert Waveform("e", 0.0, [], [], None).reduced(5) == ([], [])
