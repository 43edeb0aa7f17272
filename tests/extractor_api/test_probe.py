"""GET /probe: what a recording holds."""

import httpx
import pytest


async def test_a_probe_has_length_container_streams_and_the_objects_own_facts(extractor: httpx.AsyncClient) -> None:
    response = await extractor.get("/probe", params={"savepath": "talk/audio_shorter.mp4"})
    assert response.status_code == 200
    probed = response.json()
    assert probed["savepath"] == "talk/audio_shorter.mp4" and probed["etag"] and probed["last_modified"]
    assert probed["size"] > 10_000 and "mp4" in probed["container"]
    assert probed["duration"] == pytest.approx(20, abs=0.1)
    picture, sound = probed["streams"]
    assert (picture["kind"], picture["codec"], picture["sample_rate"]) == ("video", "mpeg4", None)
    assert (sound["kind"], sound["codec"], sound["sample_rate"], sound["channels"]) == ("audio", "aac", 16000, 1)
    assert sound["duration"] == pytest.approx(7.5, abs=0.1) and sound["default"]


async def test_every_track_is_listed(extractor: httpx.AsyncClient) -> None:
    probed = (await extractor.get("/probe", params={"savepath": "two_tracks.mkv"})).json()
    assert [stream["kind"] for stream in probed["streams"]] == ["video", "audio", "audio"]


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        ("", 400, "bad_request"),
        ("savepath=a&savepath=b", 400, "bad_request"),
        ("savepath=short.mp4&speed=2", 400, "bad_request"),
        ("savepath=..%2Fsecret.mp4", 400, "bad_request"),
        ("savepath=%FF", 400, "bad_request"),
        ("savepath=nothing.mp4", 404, "object_not_found"),
        ("savepath=text.mp4", 422, "not_decodable"),
    ],
)
async def test_what_cannot_be_probed(extractor: httpx.AsyncClient, query: str, status: int, code: str) -> None:
    response = await extractor.get(f"/probe?{query}")
    assert (response.status_code, response.json()["error"]["code"]) == (status, code)
