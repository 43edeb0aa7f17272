"""What a player gets through both services: exactly the stored bytes, and nothing that runs when it has left."""

import asyncio
from pathlib import Path

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orchestrator.api import media as routes
from orchestrator.media.media import Media
from reelscribe.http.access.tokens import Tokens
from tests.contract import assert_head_is_get_without_its_body
from tests.extractor_api.conftest import running_ffmpeg
from tests.orchestrator.conftest import BUCKET
from tests.orchestrator.media.conftest import HUGE_BYTES, Playing
from tests.waiting import eventually

SEEN = "/media/talks/seen.mp4/file"
SOUND = "/media/talks/sound.mkv/audio"


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(first=st.integers(0, 200_000), last=st.integers(0, 200_000) | st.none())
async def test_each_range_is_that_slice_of_the_stored_object(
    playing: Playing, media_bucket: Path, first: int, last: int | None
) -> None:
    content = (media_bucket / "talks/seen.mp4").read_bytes()
    answer = await playing.client.get(SEEN, headers={"Range": f"bytes={first}-{'' if last is None else last}"})
    expected = content[first : None if last is None else last + 1]
    if (last is not None and last < first) or expected == content:
        assert (answer.status_code, answer.content) == (200, content)
    elif not expected:
        assert (answer.status_code, answer.headers["Content-Range"]) == (416, f"bytes */{len(content)}")
        assert answer.json()["error"]["code"] == "range_not_satisfiable"
    else:
        assert (answer.status_code, answer.content) == (206, expected)
        assert answer.headers["Content-Range"] == f"bytes {first}-{first + len(expected) - 1}/{len(content)}"


async def test_the_end_of_an_object_its_head_and_its_etag(playing: Playing, media_bucket: Path) -> None:
    content, client = (media_bucket / "talks/seen.mp4").read_bytes(), playing.client
    await assert_head_is_get_without_its_body(client, SEEN)
    end = await client.get(SEEN, headers={"Range": "bytes=-100"})
    assert (end.status_code, end.content) == (206, content[-100:])
    head = await client.head(SEEN)
    assert head.headers["Content-Length"] == str(len(content)) and head.headers["ETag"] == end.headers["ETag"]
    known = await client.get(SEEN, headers={"If-None-Match": end.headers["ETag"]})
    assert (known.status_code, known.content) == (304, b"")
    other = await client.get(SEEN, headers={"Range": "bytes=0-9", "If-Range": '"another"'})
    assert (other.status_code, other.content) == (200, content)


async def test_a_stored_page_is_no_page_of_ours(playing: Playing) -> None:
    answer = await playing.client.get("/media/page.mp4/file")
    assert answer.headers["Content-Type"] == "application/octet-stream"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'")


@pytest.mark.parametrize("route", [SEEN, SOUND, "/api/media/talks/seen.mp4", "/api/media/talks/seen.mp4/peaks"])
async def test_nothing_is_played_without_a_token(playing: Playing, route: str) -> None:
    playing.orchestrator.access.tokens = Tokens(("first",))
    assert (await playing.client.get(route)).status_code == 401
    assert (await playing.client.head(route)).status_code == 401


@pytest.mark.parametrize("route", ["/media/none.mp4/file", "/media/none.mp4/audio", "/api/media/none.mp4"])
async def test_what_is_not_there_is_404(playing: Playing, route: str) -> None:
    answer = await playing.client.get(route)
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "object_not_found")


@pytest.mark.parametrize("savepath", ["a" * 1025, "%00", "..%2Fa.mp4", "a%2F"])
async def test_what_cannot_be_an_object_is_refused(playing: Playing, savepath: str) -> None:
    for path in (f"/media/{savepath}/file", f"/media/{savepath}/audio", f"/api/media/{savepath}"):
        answer = await playing.client.get(path)
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, "bad_request"), path


async def test_a_player_that_leaves_ends_the_reading_on_the_extractor_immediately(playing: Playing) -> None:
    extractor = playing.extractor
    for _ in range(3):
        async with playing.client.stream("GET", "/media/huge.bin/file", headers={"Range": "bytes=10-"}) as answer:
            await anext(answer.aiter_raw())
            assert extractor.download_slots.running == 1 and len(playing.orchestrator.players) == 1
        await eventually(lambda: not extractor.download_slots.running and not extractor.running)
        await eventually(lambda: not playing.orchestrator.players)


async def test_a_paused_player_occupies_nothing_and_gets_the_rest_when_it_reads_again(
    playing: Playing, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(routes, "IDLE_SECONDS", 0.2)
    async with playing.client.stream("GET", "/media/huge.bin/file", headers={"Range": "bytes=7-"}) as answer:
        pieces = answer.aiter_raw()
        received = len(await anext(pieces))
        await eventually(lambda: not playing.extractor.download_slots.running)
        assert len(playing.orchestrator.players) == 1
        async for piece in pieces:
            received += len(piece)
    assert received == HUGE_BYTES - 7


async def test_a_paused_player_gets_nothing_of_another_object(
    playing: Playing, media_bucket: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(routes, "IDLE_SECONDS", 0.2)
    path = media_bucket / "replaced.bin"
    for changed, size in ((path, HUGE_BYTES), (media_bucket / "new.bin", HUGE_BYTES)):
        with changed.open("wb") as file:
            file.truncate(size)
    received = 0
    with pytest.raises(httpx.RemoteProtocolError):
        async with playing.client.stream("GET", "/media/replaced.bin/file") as answer:
            pieces = answer.aiter_raw()
            received = len(await anext(pieces))
            await eventually(lambda: not playing.extractor.download_slots.running)
            (media_bucket / "new.bin").replace(path)
            async for piece in pieces:
                received += len(piece)
    assert 0 < received < HUGE_BYTES
    path.unlink()


async def test_a_player_that_is_paused_for_long_is_cut(playing: Playing, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(routes, "IDLE_SECONDS", 0.1)
    monkeypatch.setattr(routes, "PAUSED_SECONDS", 0.1)
    async with playing.client.stream("GET", "/media/huge.bin/file") as answer:
        await anext(answer.aiter_raw())
        await eventually(lambda: not playing.orchestrator.players)


async def test_more_players_than_can_be_served_are_refused(playing: Playing, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(routes, "MOST_PLAYERS", 1)
    async with playing.client.stream("GET", "/media/huge.bin/file"):
        refused = await playing.client.get(SEEN)
        assert (refused.status_code, refused.json()["error"]["code"]) == (503, "busy")


async def test_audio_is_made_once_and_can_be_had_by_ranges(playing: Playing) -> None:
    answers = await asyncio.gather(*(playing.client.get(SOUND, headers={"Range": "bytes=5-99"}) for _ in range(3)))
    complete = await playing.client.get(SOUND)
    assert complete.headers["Content-Type"] == "audio/mpeg" and b"Info" in complete.content[:500]
    for answer in answers:
        assert (answer.status_code, answer.content) == (206, complete.content[5:100])
        assert answer.headers["ETag"] == complete.headers["ETag"]
    assert _extractions(playing) == 1
    known = await playing.client.get(SOUND, headers={"If-None-Match": complete.headers["ETag"]})
    assert known.status_code in (200, 304)


async def test_audio_that_the_extractor_keeps_no_longer_is_made_again_and_is_the_same(playing: Playing) -> None:
    before = await playing.client.get(SOUND)
    playing.extractor.results.close()
    part = {"Range": "bytes=1000-", "If-Range": before.headers["ETag"]}
    after = await playing.client.get(SOUND, headers=part)
    assert (after.status_code, after.content) == (206, before.content[1000:])
    assert _extractions(playing) == 2


async def test_a_client_that_leaves_while_audio_is_made_ends_ffmpeg(playing: Playing) -> None:
    request = asyncio.create_task(playing.client.get("/media/long.mka/audio"))
    await eventually(lambda: bool(running_ffmpeg()))
    request.cancel()
    await eventually(lambda: not running_ffmpeg() and not playing.extractor.running)


async def test_the_sound_is_of_the_object_that_is_there_now(playing: Playing, media_bucket: Path) -> None:
    path = media_bucket / "changing.mkv"
    path.write_bytes((media_bucket / "talks/sound.mkv").read_bytes())
    first = await playing.client.get("/media/changing.mkv/audio")
    path.write_bytes((media_bucket / "bare.mp3").read_bytes())
    second = await playing.client.get("/media/changing.mkv/audio")
    assert first.headers["ETag"] != second.headers["ETag"] and _extractions(playing) == 2
    path.unlink()
    assert (await playing.client.get("/media/changing.mkv/audio")).status_code == 404


async def test_a_recording_without_sound_has_no_audio(playing: Playing) -> None:
    answer = await playing.client.get("/media/talks/mute.mp4/audio")
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "no_audio_track")


async def test_an_extractor_that_is_away_is_named(playing: Playing) -> None:
    await playing.orchestrator.media.close()
    playing.orchestrator.media = Media(playing.orchestrator.pool, "http://127.0.0.1:9", Tokens(), BUCKET)
    answer = await playing.client.get(SEEN)
    assert (answer.status_code, answer.json()["error"]["code"]) == (502, "peer_unreachable")


def _extractions(playing: Playing) -> int:
    """How often sound was extracted."""
    value = playing.extractor.registry.get_sample_value("reelscribe_extractions_total", {"state": "complete"})
    return int(value or 0)
