"""A file of the bucket can make ffmpeg read nothing else and open no video decoder."""

import os
import socket
import subprocess
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import httpx
import pytest

from extractor_api.storage import LocalStorage
from reelscribe.media.commands import Reading, Sound, decode_command
from reelscribe.media.ffmpeg import FFmpeg
from reelscribe.settings.extractor import PathsSection
from tests.extractor_api.conftest import Serve


@pytest.fixture
async def hostile(
    serve: Serve, tmp_path: Path, each_ffmpeg: FFmpeg, bucket: Path
) -> AsyncIterator[tuple[httpx.AsyncClient, Path]]:
    """An extractor over an empty bucket, next to a ``secret.mp4`` that is a perfectly good recording."""
    (tmp_path / "videos").mkdir()
    (tmp_path / "secret.mp4").write_bytes((bucket / "short.mp4").read_bytes())
    yield await serve(ffmpeg=each_ffmpeg, data_path=tmp_path), tmp_path / "videos"


PLAYLISTS: dict[str, Callable[[str], str]] = {
    "ffconcat": lambda url: f"ffconcat version 1.0\nfile '{url}'\n",
    "hls": lambda url: f"#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\n{url}\n#EXT-X-ENDLIST\n",
    "dash": lambda url: (
        '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" '
        'mediaPresentationDuration="PT8S"><Period><AdaptationSet mimeType="audio/mp4"><Representation id="1" '
        f'bandwidth="1"><BaseURL>{url}</BaseURL></Representation></AdaptationSet></Period></MPD>'
    ),
    "sdp": lambda url: "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio 9 RTP/AVP 0\n",
    "svg": lambda url: f'<svg xmlns="http://www.w3.org/2000/svg"><image href="{url}"/></svg>',
    "script": lambda url: f"#!/bin/sh\ncat '{url}'\n",
}


@pytest.mark.parametrize("name", ["x.mp4", "x.m3u8", "x.mkv"])
@pytest.mark.parametrize("kind", list(PLAYLISTS))
async def test_a_playlist_discloses_no_byte_of_another_file(
    hostile: tuple[httpx.AsyncClient, Path], kind: str, name: str
) -> None:
    client, bucket = hostile
    for url in (f"{bucket.parent}/secret.mp4", f"file:{bucket.parent}/secret.mp4", "../secret.mp4"):
        (bucket / name).write_text(PLAYLISTS[kind](url))
        response = await client.post("/extract-audio", json={"savepath": name, "audio_format": "wav"})
        assert (response.status_code, response.json()["error"]["code"]) == (422, "not_decodable")


@pytest.mark.parametrize("kind", ["ffconcat", "hls", "dash"])
async def test_a_playlist_opens_no_connection(hostile: tuple[httpx.AsyncClient, Path], kind: str) -> None:
    client, bucket = hostile
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.3)
        (bucket / "x.mp4").write_text(PLAYLISTS[kind](f"http://127.0.0.1:{listener.getsockname()[1]}/x.mp4"))
        response = await client.post("/extract-audio", json={"savepath": "x.mp4"})
        assert response.status_code == 422
        with pytest.raises(TimeoutError):
            listener.accept()


def test_these_playlists_do_work_without_our_whitelists(tmp_path: Path, bucket: Path, each_ffmpeg: FFmpeg) -> None:
    """The control: the tests above would see a disclosure if there were one."""
    (tmp_path / "x.mp4").write_text(PLAYLISTS["ffconcat"](f"{bucket}/short.mp4"))
    command: list[str | Path] = [
        each_ffmpeg.path,
        "-v",
        "error",
        "-safe",
        "0",
        "-i",
        tmp_path / "x.mp4",
        "-vn",
        "-f",
        "wav",
        "pipe:1",
    ]
    assert len(subprocess.run(command, capture_output=True).stdout) > 100_000


def test_the_video_decoder_is_never_opened(tmp_path: Path, bucket: Path, each_ffmpeg: FFmpeg) -> None:
    report = os.open(os.devnull, os.O_WRONLY)
    with LocalStorage(PathsSection(minio_data_path=bucket.parent)).open("short.mp4") as stored:
        command = decode_command(each_ffmpeg, stored, Sound(), Reading(), report, exact=True)
        ran = subprocess.run(command, capture_output=True, pass_fds=(*stored.descriptors, report))
    os.close(report)
    assert "Codec (mpeg4) not on whitelist" in ran.stderr.decode()
    assert len(ran.stdout) > 100_000, "and the sound was still decoded"


def test_only_audio_decoders_are_allowed(each_ffmpeg: FFmpeg) -> None:
    assert {"aac", "mp3", "opus", "flac", "vorbis", "pcm_s16le"} <= set(each_ffmpeg.audio_decoders)
    assert not {"h264", "mpeg4", "vp9", "png", "subrip", "="} & set(each_ffmpeg.audio_decoders)
