"""GET /probe: what a recording holds."""

import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from reelscribe.media.ffmpeg import FFmpeg
from reelscribe.media.inspection_child import MOST_FILES
from tests.extractor_api.conftest import Serve
from tests.extractor_api.minio_drive import Version, format_drive, write_object
from tests.extractor_api.test_hostile_files import PLAYLISTS

BEEP = ("-f", "lavfi", "-i", "sine=duration=2")


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
    assert (picture["decodable"], sound["decodable"], sound["layout"]) == (None, True, "mono")
    assert (probed["chosen_track"], probed["chosen_stream"]) == (0, 1)
    assert probed["chosen_because"] == "the only audio track"


async def test_every_track_is_listed(extractor: httpx.AsyncClient) -> None:
    probed = (await extractor.get("/probe", params={"savepath": "two_tracks.mkv"})).json()
    assert [stream["kind"] for stream in probed["streams"]] == ["video", "audio", "audio"]
    assert (probed["chosen_track"], probed["chosen_stream"]) == (0, 1)


async def test_a_recording_without_sound_has_no_chosen_track(extractor: httpx.AsyncClient) -> None:
    probed = (await extractor.get("/probe", params={"savepath": "mute.mp4"})).json()
    assert (probed["chosen_track"], probed["chosen_stream"]) == (None, None)
    assert probed["chosen_because"] == "the recording has no audio track"


async def probe(serve: Serve, ffmpeg: FFmpeg, data_path: Path, savepath: str) -> dict[str, Any]:
    client = await serve(ffmpeg=ffmpeg, data_path=data_path)
    response = await client.get("/probe", params={"savepath": savepath})
    assert response.status_code == 200, response.text
    described: dict[str, Any] = response.json()
    return described


async def test_language_title_and_layout_are_as_stored(
    serve: Serve, each_ffmpeg: FFmpeg, run_ffmpeg: Callable[..., None], tmp_path: Path
) -> None:
    (tmp_path / "videos").mkdir()
    run_ffmpeg(
        *BEEP, *("-map", "0", "-map", "0", "-c:a", "pcm_s16le", "-filter:a:1", "aformat=channel_layouts=5.1"),
        *("-metadata:s:a:0", "language=pt-BR", "-metadata:s:a:1", "title=Cinema", "-disposition:a", "0"),
        tmp_path / "videos/a.mkv",
    )  # fmt: skip
    probed = await probe(serve, each_ffmpeg, tmp_path, "a.mkv")
    first, second = probed["streams"]
    assert (first["language"], first["title"], first["layout"]) == ("pt-BR", None, None)
    assert (second["language"], second["title"], second["channels"]) == (None, "Cinema", 6)
    assert (probed["chosen_track"], probed["chosen_because"]) == (1, "the track with the most channels (6)")


@pytest.mark.parametrize("disposition", ["comment", "visual_impaired"])
async def test_another_track_than_the_default_is_chosen_with_a_reason(
    serve: Serve, local_ffmpeg: FFmpeg, run_ffmpeg: Callable[..., None], tmp_path: Path, disposition: str
) -> None:
    (tmp_path / "videos").mkdir()
    flags = ("-disposition:a:0", f"default+{disposition}", "-disposition:a:1", "0")
    run_ffmpeg(*BEEP, "-map", "0", "-map", "0", *flags, tmp_path / "videos/a.mkv")
    probed = await probe(serve, local_ffmpeg, tmp_path, "a.mkv")
    assert (probed["chosen_track"], probed["chosen_stream"]) == (1, 1)
    assert probed["chosen_because"].startswith("the only remaining track; skipped: track 0 (")


async def test_tags_that_look_like_ffmpegs_messages_are_only_tags(
    serve: Serve, each_ffmpeg: FFmpeg, run_ffmpeg: Callable[..., None], tmp_path: Path
) -> None:
    (tmp_path / "videos").mkdir()
    lies = "\n  Duration: 09:09:09..., start: 0\n  Stream #0:9: Audio: mp3, 8000 Hz, mono"
    run_ffmpeg(*BEEP, "-metadata", f"comment={lies}", "-metadata:s:a", f"comment={lies}", tmp_path / "videos/a.opus")
    probed = await probe(serve, each_ffmpeg, tmp_path, "a.opus")
    assert probed["duration"] == pytest.approx(2, abs=0.1) and len(probed["streams"]) == 1


@pytest.mark.parametrize("kind", ["ffconcat", "hls", "dash"])
async def test_a_playlist_is_refused_and_opens_no_connection(
    serve: Serve, each_ffmpeg: FFmpeg, tmp_path: Path, kind: str
) -> None:
    (tmp_path / "videos").mkdir()
    client = await serve(ffmpeg=each_ffmpeg, data_path=tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.3)
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/x.mp4"
        (tmp_path / "videos/x.mp4").write_text(PLAYLISTS[kind](url))
        response = await client.get("/probe", params={"savepath": "x.mp4"})
        assert (response.status_code, response.json()["error"]["code"]) == (422, "not_decodable")
        with pytest.raises(TimeoutError):
            listener.accept()


@pytest.mark.parametrize("inline", [True, False])
async def test_an_object_in_minios_own_layout_is_described_like_a_file(
    serve: Serve, each_ffmpeg: FFmpeg, bucket: Path, tmp_path: Path, inline: bool
) -> None:
    format_drive(tmp_path)
    (tmp_path / "videos").mkdir()
    content = (bucket / "short.mp4").read_bytes()
    write_object(tmp_path / "videos", "a.mp4", [Version(parts=[content], inline=inline)])
    stored = await probe(serve, each_ffmpeg, tmp_path, "a.mp4")
    plain = await probe(serve, each_ffmpeg, bucket.parent, "short.mp4")
    for field in ("container", "duration", "streams", "chosen_track", "size"):
        assert stored[field] == plain[field]


async def test_an_object_of_more_part_files_than_one_message_can_carry_is_described(
    serve: Serve, local_ffmpeg: FFmpeg, bucket: Path, tmp_path: Path
) -> None:
    format_drive(tmp_path)
    (tmp_path / "videos").mkdir()
    content = (bucket / "short.mp4").read_bytes()
    size = len(content) // 300
    parts = [content[start : start + size] for start in range(0, len(content), size)]
    assert len(parts) > MOST_FILES
    write_object(tmp_path / "videos", "a.mp4", [Version(parts=parts)])
    assert (await probe(serve, local_ffmpeg, tmp_path, "a.mp4"))["chosen_track"] == 0


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
