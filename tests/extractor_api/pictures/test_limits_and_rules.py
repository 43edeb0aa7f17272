"""A disk that fails, limits of encoders, and the one rule by which pairs and clips choose pictures."""

import os
import pty
import threading
import tty
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import httpx
import pytest

from reelscribe.contracts.pictures import FramesRequest
from reelscribe.errors import NotReadable
from reelscribe.media.clips.picture_process import CutPart, PictureProcess
from reelscribe.media.ffmpeg import FFmpeg
from reelscribe.media.pictures import encoding
from reelscribe.media.pictures.samples import extract_samples
from reelscribe.media.pictures.source import Failed
from reelscribe.media.processes.pipe import Pipe
from reelscribe.media.stored_object import StoredObject, open_file
from reelscribe.settings.extractor import ExtractionSection
from tests.extractor_api.conftest import Serve
from tests.extractor_api.pictures.clock import Studio, number_in
from tests.extractor_api.pictures.conftest import ask
from tests.extractor_api.pictures.test_clock import H264


@contextmanager
def failing(path: Path, share: float) -> Iterator[StoredObject]:
    """An object that libav reads from a terminal: when its other end is closed, reading it is EIO, as of a bad disk."""
    ours, theirs = pty.openpty()
    tty.setraw(theirs)

    def write() -> None:
        content = path.read_bytes()
        with open(theirs, "wb") as end:
            end.write(content[: int(len(content) * share)])

    writing = threading.Thread(target=write)
    writing.start()
    try:
        with path.open("rb") as file:
            stored = open_file(file.fileno(), path.name)
            yield replace(stored, url=f"pipe:{ours}", protocols="pipe", descriptors=(ours,))
    finally:
        os.close(ours)
        writing.join()


@pytest.mark.parametrize("name", ["failing.mkv", "failing.ts", "failing.flv"])
async def test_a_disk_that_fails_makes_no_complete_tar(name: str, studio: Studio, local_ffmpeg: FFmpeg) -> None:
    path = studio.make(name, *H264, "-an", "-t", "3")
    with failing(path, 0.7) as stored:
        request = FramesRequest(savepath=path.name, fps=5.0, allow_incomplete=True)
        async with extract_samples(local_ffmpeg, stored, request, "id", ExtractionSection()) as extraction:
            tar = await extraction.head(60)
            with pytest.raises(NotReadable, match="Input/output error"):
                async for chunk in extraction.chunks():
                    tar += chunk
    assert tar and not tar.endswith(bytes(1024))


@pytest.mark.parametrize("copy", [False, True], ids=["exact", "copy"])
async def test_a_disk_that_fails_makes_no_complete_clip(copy: bool, studio: Studio, local_ffmpeg: FFmpeg) -> None:
    path, body = studio.make("failing_clip.mkv", *H264, "-an", "-t", "3"), Pipe()
    with failing(path, 0.7) as stored:
        part = CutPart(Fraction(0), Fraction(3))
        limits: dict[str, Any] = {"cpu_seconds": 60.0, "most_pixels": 1_000_000}
        pictures = PictureProcess(local_ffmpeg, stored, [part], body, picture=0, origin=None, copy=copy, **limits)
        async with pictures:
            first = await pictures.first()
            assert first and first.pts == 0
            assert await body.read_all()
            with pytest.raises(NotReadable):
                await pictures.done()
    body.close()


async def test_a_picture_that_its_format_cannot_hold_is_refused_with_the_limit(serve: Serve, studio: Studio) -> None:
    source = "color=green:s=16400x16:d=0.08:r=25"
    studio.run("-f", "lavfi", "-i", source, "-c:v", "ffv1", str(studio.folder / "wide.mkv"))
    client = await serve(data_path=studio.folder.parent)
    asked = {"savepath": "wide.mkv", "timestamps": [0.0], "picture": "webp"}
    error = (await client.post("/extract-frames", json=asked)).json()["error"]
    assert error["code"] == "unsupported_format" and "16383" in error["message"]
    for body in ({"picture": "webp", "size": 16_383}, {"picture": "png"}, {"picture": "jpeg"}):
        samples, _ = await ask(client, "wide.mkv", "/extract-frames", timestamps=[0.0], **body)
        assert len(samples) == 1


def test_a_picture_file_over_the_limit_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    import av

    monkeypatch.setattr(encoding, "MOST_PICTURE_BYTES", 100)
    task = {"picture_format": "png", "quality": 90, "size": None}
    stream = type("Stream", (), {"sample_aspect_ratio": None})
    with pytest.raises(Failed) as refused:
        encoding.Encoder(av, stream, task).encode(av.VideoFrame(64, 48, "yuv420p"))
    assert (refused.value.reason, refused.value.details[:3]) == ("too_many_bytes", ("png", 64, 48))


async def test_each_picture_of_rounded_timestamps_is_found_by_its_own_time(serve: Serve, studio: Studio) -> None:
    """Matroska has 67 for the picture of 2/30 s."""
    studio.make(
        "thirty.mkv", *H264, "-an", "-vf", "settb=1/30,setpts=N", "-enc_time_base", "1:30", "-fps_mode", "passthrough"
    )
    client = await serve(data_path=studio.folder.parent)
    frames, _ = await ask(client, "thirty.mkv", "/extract-frames", fps=30.0, duration=0.7)
    numbers = [number_in(sample.files["jpg"]) for sample in frames.values()]
    clips = [
        await client.post("/extract-clip", json={"savepath": "thirty.mkv", "start": number / 30, "duration": 0.1})
        for number in (2, 5)
    ]
    assert len(set(numbers)) == len(numbers) == 21
    first = [(await client.get(f"/extractions/{clip.headers['X-Extraction-Id']}")).json() for clip in clips]
    assert [receipt["frames"] for receipt in first] == [3, 3] and not any(receipt["remarks"] for receipt in first)


async def test_a_moment_shortly_before_a_picture_shows_the_one_before_it(serve: Serve, studio: Studio) -> None:
    studio.make("coarse.avi", "-c:v", "mpeg4", "-bf", "0", "-q:v", "3", "-an", "-t", "2")  # a timestamp a picture
    client = await serve(data_path=studio.folder.parent)
    frames, _ = await ask(client, "coarse.avi", "/extract-frames", timestamps=[1.03, 1.039, 1.04])
    assert [number_in(sample.files["jpg"]) for sample in frames.values()] == [25, 25, 26]
    body = {"savepath": "coarse.avi", "format": "webp", "moments": [1.03], "seconds": 0.2, "fps": 5}
    preview = await client.post("/extract-preview", json=body)
    receipt = (await client.get(f"/extractions/{preview.headers['X-Extraction-Id']}")).json()
    assert receipt["moments"] == [{"start": 1.03, "seconds": 0.2, "frames": 1}]
    clip = await client.post("/extract-clip", json={"savepath": "coarse.avi", "start": 1.03, "duration": 0.07})
    assert clip.status_code == 200
    frames_of_clip = (await client.get(f"/extractions/{clip.headers['X-Extraction-Id']}")).json()["frames"]
    assert frames_of_clip == 2  # 25, which is shown at 1.03, and 26


async def test_a_clock_that_falls_back_by_two_seconds_is_another_one_for_clips_too(
    serve: Serve, studio: Studio, caplog: pytest.LogCaptureFixture
) -> None:
    one = studio.make("two_seconds.ts", *H264, "-an", "-t", "2")
    (studio.folder / "joined.ts").write_bytes(one.read_bytes() * 2)
    client = await serve(data_path=studio.folder.parent)
    with suppress(httpx.RemoteProtocolError):  # if it had begun
        clip = await client.post("/extract-clip", json={"savepath": "joined.ts", "duration": 4.0})
        assert clip.status_code == 422
    assert "its timestamps begin again after 2.0 s" in caplog.text
