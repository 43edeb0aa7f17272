"""How a browser plays a recording: what the table says, and what the route answers for real recordings."""

from pathlib import Path

import pytest

from orchestrator.api.routes import API
from orchestrator.media.browsers import Playback, playback
from orchestrator.transcripts import addresses
from orchestrator.transcripts.addresses import ROUTES, recording_path
from reelscribe.contracts.extractor import ProbedStream, ProbeResult
from tests.orchestrator.media.conftest import Playing

MP4, MKV = "mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm"


def probed(container: str, *codecs: str, duration: float | None = 10.0, chosen: int = 0) -> ProbeResult:
    """A recording of these streams; ``video:h264`` is a picture, all others are sound."""
    streams = []
    for index, codec in enumerate(codecs):
        kind, _, name = codec.rpartition(":")
        nothing = dict.fromkeys(("language", "title", "duration", "sample_rate", "channels", "layout"))
        described = {"index": index, "kind": kind or "audio", "codec": name, "decodable": True, "default": False}
        streams.append(ProbedStream.model_validate({**nothing, **described}))
    sound = [stream.index for stream in streams if stream.kind == "audio"]
    return ProbeResult.model_validate(
        {
            **{"savepath": "a", "bucket_name": "b", "size": 9, "last_modified": "2026-01-01T00:00:00Z", "etag": "e"},
            **{"container": container, "duration": duration, "streams": streams},
            "chosen_track": chosen if sound else None,
            "chosen_stream": sound[chosen] if sound else None,
            "chosen_because": "it is the only one" if sound else "there is no sound",
        },
        strict=False,
    )


@pytest.mark.parametrize(
    ("recording", "playable", "as_stored", "why"),
    [
        (probed(MP4, "video:h264", "aac"), "video", True, "h264 and aac"),
        (probed(MKV, "video:h264", "aac"), "video", True, "h264 and aac"),
        (probed(MKV, "video:vp9", "opus"), "video", True, "vp9 and opus"),
        (probed(MP4, "video:av1", "opus"), "video", True, "av1 and opus"),
        (probed(MP4, "video:mjpeg", "video:h264", "aac"), "video", True, "h264 and aac"),
        (probed(MP4, "aac"), "audio", True, "(aac)"),
        (probed("mp3", "video:mjpeg", "mp3"), "audio", True, "its sound is played"),
        (probed("ogg", "video:theora", "vorbis"), "audio", True, "do not show theora"),
        (probed(MP4, "video:hevc", "aac"), "audio", True, "do not show hevc"),
        (probed("wav", "pcm_s24le"), "audio", True, "(pcm_s24le)"),
        (probed("wav", "adpcm_ms"), "audio", False, "the sound is adpcm_ms"),
        (probed(MP4, "alac"), "audio", False, "the sound is alac"),
        (probed(MKV, "video:h264", "ac3"), "audio", False, "the sound is ac3"),
        (probed("avi", "video:h264", "mp3"), "audio", False, "the container is avi"),
        (probed("mpegts", "video:h264", "aac"), "audio", False, "the container is mpegts"),
        (probed("mp3", "mp3", duration=None), "audio", False, "states no length"),
        (probed(MKV, "video:vp8", "opus", duration=None), "audio", False, "states no length"),
        (probed(MKV, "video:h264", "aac", "aac", chosen=1), "audio", False, "number 2 is transcribed"),
        (probed(MP4, "video:h264"), "video", True, "no sound"),
        (probed("avi", "video:mpeg4"), "none", False, "there is no sound; the container is avi"),
        (probed(MP4, "video:mpeg4"), "none", False, "there is no sound; browsers do not play its picture"),
    ],
)
def test_the_table_says_what_is_played_and_why(
    recording: ProbeResult, playable: str, as_stored: bool, why: str
) -> None:
    played = playback(recording)
    assert played[:2] == (playable, as_stored)
    assert why in played.why
    assert isinstance(played, Playback)


@pytest.mark.parametrize(
    ("savepath", "playable", "route"),
    [
        ("talks/seen.mp4", "video", "file"),
        ("talks/mute.mp4", "video", "file"),
        ("talks/sound.mkv", "audio", "audio"),
        ("talks/old.avi", "audio", "audio"),
        ("bare.mp3", "audio", "audio"),
    ],
)
async def test_a_recording_is_answered_with_what_plays_it(
    playing: Playing, savepath: str, playable: str, route: str
) -> None:
    answer = await playing.client.get(f"/api/media/{savepath}")
    described = answer.json()
    assert (described["playable"], described["url"]) == (playable, f"/media/{savepath}/{route}")
    assert described["audio_url"] == (None if "mute" in savepath else f"/media/{savepath}/audio")
    played = await playing.client.get(described["url"], headers={"Range": "bytes=0-9"})
    assert played.status_code == 206
    known = await playing.client.get(f"/api/media/{savepath}", headers={"If-None-Match": answer.headers["ETag"]})
    assert (known.status_code, known.content) == (304, b"")


async def test_what_is_no_recording_is_refused(playing: Playing) -> None:
    answer = await playing.client.get("/api/media/page.mp4")
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "not_decodable")
    assert (await playing.client.get("/api/media/a%00b")).status_code == 400


@pytest.mark.parametrize(
    ("savepath", "route", "path"),
    [
        ("talks/a.mp4", None, "/media/talks/a.mp4"),
        ("talks/a.mp4", "file", "/media/talks/a.mp4/file"),
        ("talks/file", None, "/media/talks%2Ffile"),
        ("talks/about", None, "/media/talks%2Fabout"),
        ("talks/file", "file", "/media/talks/file/file"),
        ("audio", None, "/media/audio"),
        ("50 %?#.mp4", "audio", "/media/50%20%25%3F%23.mp4/audio"),
    ],
)
def test_a_path_leads_to_its_recording(savepath: str, route: str | None, path: str) -> None:
    assert recording_path("/media/", savepath, route) == path


def test_all_last_parts_of_paths_that_are_routes_are_known_to_links_and_to_the_page() -> None:
    below = [operation.path.partition("{savepath}/")[2] for operation in API.operations]
    assert {route for route in below if route} == set(ROUTES)
    script = (Path(addresses.__file__).parents[1] / "page/static/api.js").read_text()
    assert f"({'|'.join(ROUTES)})$/" in script


async def test_a_recording_that_is_called_like_a_route_has_its_own_answers(playing: Playing) -> None:
    answer = await playing.client.get(recording_path("/api/media/", "talks/peaks"))
    assert answer.json()["error"]["message"] == "there is no object talks/peaks in bucket videos"
    answer = await playing.client.get(recording_path("/media/", "talks/audio", "file"))
    assert answer.json()["error"]["message"] == "there is no object talks/audio in bucket videos"
