"""What goes wrong with clips and previews elsewhere: seeks, turned pictures, colours, tracks, damage and limits."""

import asyncio
import io
import json
import subprocess
import tarfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import httpx
import numpy as np
import psutil
import pytest
from pydantic import ValidationError

from extractor_api.clip import key_of
from reelscribe.contracts.clips import ClipRequest
from reelscribe.errors import NoVideoTrack, RemoteError, ServiceError, StreamCut
from reelscribe.http.peers.extractor_client import ExtractorClient
from reelscribe.media.clips.clip import extract_clip
from reelscribe.media.ffmpeg import FFmpeg
from reelscribe.media.inspection import InspectedStream
from reelscribe.media.picture_choice import choose_picture
from reelscribe.media.pictures.tar import header
from reelscribe.media.stored_object import open_file
from reelscribe.settings.extractor import ExtractionSection
from tests.extractor_api.clips import clock
from tests.extractor_api.clips.clock import AAC, H264, KINDS, TAGS, make, played
from tests.extractor_api.clips.test_clip import clip, receipt
from tests.extractor_api.conftest import Serve


@pytest.fixture(scope="session")
def odd_bucket(clock_bucket: Path, making_ffmpeg: FFmpeg, run_ffmpeg: Callable[..., None]) -> Path:
    """The same folder with recordings of which something is special."""
    folder, mp4 = clock_bucket, clock_bucket / "clock.mp4"
    run_ffmpeg("-i", mp4, "-c", "copy", "-metadata:s:v", "rotate=90", "-movflags", "+faststart", folder / "turned.mp4")
    two = ("-i", folder / "clock.mkv", "-i", folder / "clock.mpg", "-filter:v:0", "scale=32:18,drawbox=t=fill")
    run_ffmpeg(*two, "-map", "1:v", "-map", "0:v", "-map", "0:a", "-c:v", "mpeg4", "-c:a", "copy",
               "-disposition:v:0", "0", "-disposition:v:1", "0", folder / "two.mkv")  # fmt: skip
    run_ffmpeg("-ss", "0.3", "-i", mp4, "-c", "copy", folder / "trimmed.mp4")
    run_ffmpeg("-i", mp4, "-c", "copy", "-an", folder / "reordered.avi")
    run_ffmpeg("-i", mp4, "-map", "0:a", "-c", "copy", folder / "sound.mp4")
    run_ffmpeg("-i", mp4, "-t", "1", "-c:v", "qtrle", "-an", folder / "animation.mov")
    run_ffmpeg("-i", mp4, "-t", "2", "-c:v", "libvpx", "-deadline", "realtime", "-cpu-used", "8", "-c:a", "libvorbis",
               folder / "vp8.webm")  # fmt: skip
    hdr = "setparams=colorspace=bt2020nc:color_primaries=bt2020:color_trc=smpte2084:range=tv"
    make(folder, making_ffmpeg.path, "hdr.mp4", *H264, "-t", "1", *AAC, filters=hdr, pixels="yuv420p10le")
    unknown = "setparams=colorspace=unknown:color_primaries=unknown:color_trc=unknown"
    make(folder, making_ffmpeg.path, "untagged.mp4", *H264, "-t", "1", *AAC, filters=unknown, matrix="bt601")
    slides = f"select='eq(n,0)+eq(n,70)+eq(n,110)',{TAGS}"
    make(folder, making_ffmpeg.path, "slides.mp4", *H264, *AAC, "-fps_mode", "vfr", filters=slides)
    make(folder, making_ffmpeg.path, "slides.mkv", *H264, "-bf", "0", *AAC, "-fps_mode", "vfr", filters=slides)
    late = ("-bsf:v", "setts=pts=PTS+0.4/TB:dts=DTS+0.4/TB")
    run_ffmpeg("-i", folder / "clock.mkv", "-c", "copy", *late, folder / "late.mkv")
    for name, offset in (("plain.ts", "0"), ("wraps.ts", "95440")):
        run_ffmpeg("-i", folder / "clock.ts", "-c", "copy", "-output_ts_offset", offset, folder / name)
    content = bytearray(mp4.read_bytes())
    with av.open(str(mp4)) as video:
        keys = [packet for packet in video.demux(video.streams.video[0]) if packet.is_keyframe and packet.size]
        at, size = keys[2].pos, keys[2].size
    content[at + size // 4 : at + size * 3 // 4] = np.random.default_rng(1).bytes(size * 3 // 4 - size // 4)
    (folder / "damaged.mp4").write_bytes(content)
    return folder


@pytest.fixture
async def odd(serve: Serve, odd_bucket: Path) -> httpx.AsyncClient:
    return await serve(data_path=odd_bucket.parent)


async def refused(client: httpx.AsyncClient, route: str, **body: object) -> tuple[int, str]:
    response = await client.post(route, json=body)
    return response.status_code, response.json()["error"]["code"]


@pytest.mark.parametrize("start", [0.9, 4.13, 6.8])
@pytest.mark.parametrize("name", ["clock.ts", "clock.mpg"])
async def test_a_seek_that_lands_behind_its_target_is_noticed(
    name: str, start: float, clips: httpx.AsyncClient, clock_bucket: Path
) -> None:
    source = clock_bucket / name
    target = start + clock.origin(source)
    with av.open(str(source)) as video:
        [stream] = video.streams.video
        video.seek(round(target / stream.time_base), stream=stream)
        landed = next((frame.pts * stream.time_base for frame in video.decode(stream)), None)
    assert landed is None or landed > target or name == "clock.mpg", "the trap is there"
    response = await clip(clips, name, start=start, duration=0.2)
    assert played(response.content)[0].number == clock.at(source, target)
    copied = await clip(clips, name, start=start, duration=0.2, mode="copy")
    begins = float(copied.headers["X-Begins-Seconds"]) + clock.origin(source) + 1e-6
    assert played(copied.content)[0].number == clock.at(source, begins) <= clock.at(source, target)


@pytest.mark.parametrize("mode", ["exact", "copy"])
async def test_timestamps_that_begin_again_at_their_limit_are_one_clock(mode: str, odd: httpx.AsyncClient) -> None:
    video = await clip(odd, "wraps.ts", start=4.13, duration=0.2, mode=mode)
    plain = await clip(odd, "plain.ts", start=4.13, duration=0.2, mode=mode)
    assert [shown.number for shown in played(video.content)] == [shown.number for shown in played(plain.content)]


async def test_a_clip_that_ends_with_the_recording_says_so(clips: httpx.AsyncClient) -> None:
    kept = await receipt(clips, await clip(clips, "clock.mp4", start=7.5, duration=2.0))
    assert (kept["state"], kept["seconds"], kept["frames"]) == ("complete", 0.5, 13)
    assert kept["remarks"] == ["the recording ends 1.500 s before the requested part does"]


@pytest.mark.parametrize("name", [*KINDS, "half.mp4"])
async def test_no_mode_makes_a_clip_of_what_comes_after_the_end(
    name: str, clips: httpx.AsyncClient, clock_bucket: Path
) -> None:
    source = clock_bucket / name
    end = float(played(source)[-1].seconds) - clock.origin(source) + 1 / clock.FPS
    for start in (end + 0.001, 9, 6993):
        for mode in ("exact", "copy"):
            part: dict[str, Any] = {"savepath": name, "start": start, "duration": 1, "mode": mode}
            assert await refused(clips, "/extract-clip", **part) == (422, "past_the_end"), part
    refusal = {"savepath": name, "start": 9, "duration": 1, "mode": "copy", "audio": "wav"}
    assert await refused(clips, "/extract-clip", **refusal) == (422, "past_the_end")


@pytest.mark.parametrize("name", KINDS)
async def test_a_copy_may_begin_with_the_last_picture(name: str, clips: httpx.AsyncClient) -> None:
    response = await clip(clips, name, start=clock.SECONDS - 0.03, duration=1, mode="copy")
    assert played(response.content)[-1].number == clock.FPS * clock.SECONDS - 1


async def test_a_slide_is_shown_from_the_start_on_although_it_appeared_before(odd: httpx.AsyncClient) -> None:
    pictures = played((await clip(odd, "slides.mp4", start=3.0, duration=2.0)).content)
    assert [(float(shown.seconds), shown.number) for shown in pictures] == [(0.0, 70), (pytest.approx(1.4), 110)]


async def test_a_copy_of_a_slide_is_complete_although_no_length_of_it_is_stored(odd: httpx.AsyncClient) -> None:
    kept = await receipt(odd, await clip(odd, "slides.mkv", start=1.0, duration=1.0, mode="copy"))
    assert (kept["state"], kept["begins"], kept["seconds"], kept["frames"]) == ("complete", 0.0, 2.0, 1)
    assert kept["remarks"] == []


async def test_a_picture_that_begins_late_keeps_its_time(odd: httpx.AsyncClient) -> None:
    response = await clip(odd, "late.mkv", start=0.0, duration=1.0)
    assert (float(played(response.content)[0].seconds), played(response.content)[0].number) == (pytest.approx(0.4), 0)
    assert (await receipt(odd, response))["remarks"] == ["the picture begins 0.400 s after the clip"]


async def test_a_turned_recording_is_turned_in_an_exact_clip_and_keeps_its_matrix_in_a_copy(
    odd: httpx.AsyncClient, odd_bucket: Path, making_ffmpeg: FFmpeg
) -> None:
    exact = await clip(odd, "turned.mp4", duration=0.1)
    copied = await clip(odd, "turned.mp4", duration=0.1, mode="copy")
    by_ffmpeg = pictures(odd_bucket / "turned.mp4", making_ffmpeg, 83)
    assert by_ffmpeg.shape == (clock.WIDTH, clock.HEIGHT, 3)
    assert np.abs(pictures(exact.content, making_ffmpeg, 0) - by_ffmpeg).mean() < 3
    assert np.abs(pictures(copied.content, making_ffmpeg, 33) - by_ffmpeg).mean() < 3


def pictures(video: bytes | Path, ffmpeg: FFmpeg, number: int) -> "np.ndarray[tuple[int, ...], np.dtype[np.int64]]":
    """One picture as ffmpeg shows it."""
    data = video if isinstance(video, bytes) else video.read_bytes()
    command = [str(ffmpeg.path), "-loglevel", "error", "-i", "pipe:0", "-vf", f"select=eq(n\\,{number})"]
    command += ["-frames:v", "1", "-pix_fmt", "rgb24", "-f", "rawvideo", "pipe:1"]
    raw = subprocess.run(command, input=data, capture_output=True, check=True).stdout
    turned = len(raw) == clock.WIDTH * clock.HEIGHT * 3
    assert turned
    with_shape = np.frombuffer(raw, np.uint8).reshape(clock.WIDTH, clock.HEIGHT, 3)
    return with_shape.astype(int)


@pytest.mark.parametrize("name", ["clock.mp4", "untagged.mp4"])
@pytest.mark.parametrize("size", [None, 80])
async def test_the_colours_of_a_clip_are_those_of_the_recording(
    name: str, size: int | None, odd: httpx.AsyncClient, making_ffmpeg: FFmpeg
) -> None:
    response = await clip(odd, name, start=0.5, duration=0.2, size=size)
    command = [str(making_ffmpeg.path), "-loglevel", "error", "-i", "pipe:0", "-frames:v", "1", "-pix_fmt", "rgb24"]
    raw = subprocess.run([*command, "-f", "rawvideo", "-"], input=response.content, capture_output=True).stdout
    with av.open(io.BytesIO(response.content)) as video:
        frame = next(video.decode(video=0))
        assert (int(frame.colorspace), int(frame.color_range)) == (1, 1)
        width, height = frame.width, frame.height
    assert (width, height) == ((80, 44) if size else (160, 90))
    green = np.frombuffer(raw, np.uint8).reshape(height, width, 3)[height * 3 // 4, width // 2].astype(int)
    assert np.abs(green - clock.GREEN).max() <= 6, green


async def test_hdr_is_tone_mapped_and_said(odd: httpx.AsyncClient) -> None:
    response = await clip(odd, "hdr.mp4", start=0.2, duration=0.2)
    assert (await receipt(odd, response))["remarks"] == ["HDR (PQ) was tone-mapped to BT.709"]
    assert played(response.content)[0].number == 5


async def test_the_larger_of_two_pictures_is_taken_or_the_requested_one(odd: httpx.AsyncClient) -> None:
    response = await clip(odd, "two.mkv", duration=0.2)
    kept = await receipt(odd, response)
    assert (kept["video_track"], kept["width"]) == (1, 160)
    assert kept["video_track_choice"] == "the video track with the most pixels (160x90)"
    assert (await receipt(odd, await clip(odd, "two.mkv", duration=0.2, video_track=0)))["width"] == 32
    assert await refused(odd, "/extract-clip", savepath="two.mkv", duration=1, video_track=2) == (422, "no_video_track")


async def test_what_has_no_picture_or_none_that_may_be_decoded_is_refused(odd: httpx.AsyncClient) -> None:
    for route, more in (("/extract-clip", {"duration": 1}), ("/extract-preview", {})):
        assert await refused(odd, route, savepath="sound.mp4", **more) == (422, "no_video_track")
        assert await refused(odd, route, savepath="animation.mov", **more) == (422, "not_decodable")
        assert await refused(odd, route, savepath="pictures.rgb", **more) == (422, "not_decodable")


async def test_what_mp4_cannot_hold_is_not_copied_but_encoded(odd: httpx.AsyncClient) -> None:
    vp8 = {"savepath": "vp8.webm", "start": 0.5, "duration": 0.5}
    assert await refused(odd, "/extract-clip", mode="copy", **vp8) == (400, "unsupported_format")
    assert played((await clip(odd, **vp8)).content)[0].number == 12  # type: ignore[arg-type]


async def test_avi_with_b_frames_loses_no_picture_and_is_not_copied(odd: httpx.AsyncClient) -> None:
    """Its pictures come two late, as those of pairs do: AVI holds no times of pictures."""
    middle = played((await clip(odd, "reordered.avi", start=2.0, duration=1.0)).content)
    end = played((await clip(odd, "reordered.avi", start=7.0, duration=2.0)).content)
    assert [shown.number for shown in middle] == list(range(48, 73))
    assert [shown.number for shown in end] == list(range(173, 200))
    copy = {"savepath": "reordered.avi", "duration": 1.0, "mode": "copy"}
    assert await refused(odd, "/extract-clip", **copy) == (422, "not_decodable")


async def test_pictures_that_are_damaged_are_not_delivered_as_if_they_were_not(odd: httpx.AsyncClient) -> None:
    """Of a damaged key frame, all pictures up to the next one are: also of a part that begins after it."""
    part: dict[str, Any] = {"savepath": "damaged.mp4", "start": 4.5, "duration": 1}
    async with ExtractorClient(str(odd.base_url)) as client, client.clip(ClipRequest(**part)) as arriving:
        with pytest.raises(RemoteError) as refusal:
            async for _ in arriving.chunks():
                pass
    assert refusal.value.code == "incomplete_recording"
    assert (await odd.get(f"/extractions/{arriving.extraction_id}")).json()["state"] == "failed"
    kept = await receipt(odd, await clip(odd, **part, allow_incomplete=True))
    assert kept["state"] == "incomplete" and kept["damaged_frames"] > 0  # type: ignore[operator]
    before = await receipt(odd, await clip(odd, "damaged.mp4", start=2.5, duration=1))
    assert (before["state"], before["damaged_frames"]) == ("complete", 0)


@pytest.mark.parametrize("mode", ["exact", "copy"])
async def test_a_clip_of_a_cut_recording_is_refused_or_cut(mode: str, clips: httpx.AsyncClient) -> None:
    part = {"savepath": "half.mp4", "start": 2.5, "duration": 4, "mode": mode}
    with pytest.raises((httpx.RemoteProtocolError, AssertionError), match=r"incomplete|peer closed"):
        await clip(clips, **part)  # type: ignore[arg-type]
    kept = await receipt(clips, await clip(clips, **part, allow_incomplete=True))  # type: ignore[arg-type]
    assert kept["state"] == "incomplete"
    whole = await receipt(clips, await clip(clips, "half.mp4", start=1.0, duration=1.0, mode=mode))
    assert whole["state"] == "complete"


async def test_pictures_that_are_too_large_are_not_decoded(serve: Serve, clock_bucket: Path) -> None:
    small = await serve(data_path=clock_bucket.parent, max_picture_pixels=10_000)
    assert await refused(small, "/extract-clip", savepath="clock.mp4", duration=1) == (422, "not_decodable")
    assert await refused(small, "/extract-preview", savepath="clock.mkv") == (422, "not_decodable")


async def test_a_clip_whose_decoder_is_killed_does_not_look_complete(serve: Serve, clock_bucket: Path) -> None:
    extractor = await serve(data_path=clock_bucket.parent)

    async def ask() -> int:
        return (await extractor.post("/extract-clip", json={"savepath": "clock.mkv", "duration": 8})).status_code

    answers: list[Any] = []
    while 200 in answers or not answers:  # on a busy host it may be done before it is found
        asking = asyncio.create_task(ask())
        while not (found := decoders()) and not asking.done():
            await asyncio.sleep(0.005)
        for decoder in found:
            with suppress(psutil.NoSuchProcess):
                decoder.kill()
        try:
            answers = [await asking]
        except httpx.RemoteProtocolError:  # it had begun
            answers = [0]
    assert answers in ([0], [500])
    assert not decoders()


def decoders() -> list[psutil.Process]:
    return [child for child in psutil.Process().children(recursive=True) if is_decoder(child)]


def is_decoder(process: psutil.Process) -> bool:
    with suppress(psutil.NoSuchProcess):
        return process.status() != psutil.STATUS_ZOMBIE and "pictures/child.py" in " ".join(process.cmdline())
    return False


def test_a_key_has_no_dot_whatever_the_savepath() -> None:
    assert key_of("a/-b.c ü.mp4", 12.3456) == "-b_c___000012346"
    assert key_of("x" * 200 + ".mp4", 0.0) == "x" * 80 + "_000000000"


def test_a_tar_has_room_for_the_longest_key() -> None:
    longest = ClipRequest(savepath="a.mp4", duration=1.0, audio="flac", key="k" * 95).key
    assert len(header(f"{longest}.flac", 1)) == 512
    with pytest.raises(ValidationError):
        ClipRequest(savepath="a.mp4", duration=1.0, audio="flac", key="k" * 96)


async def test_a_copy_of_a_trimmed_recording_begins_before_it_and_its_sound_with_it(odd: httpx.AsyncClient) -> None:
    answer = await odd.post(
        "/extract-clip", json={"savepath": "trimmed.mp4", "duration": 1.0, "mode": "copy", "audio": "wav", "key": "a"}
    )
    assert answer.status_code == 200, answer.text
    with tarfile.open(fileobj=io.BytesIO(answer.content)) as tar:
        file = tar.extractfile("a.json")
        assert file
        record = json.load(file)
    assert record["begins"] < 0 and record["audio_start_sample"] == 0
    assert record["audio_samples"] == record["sample_rate"]


async def test_a_copy_that_could_not_be_read_to_its_end_is_not_complete(odd_bucket: Path, local_ffmpeg: FFmpeg) -> None:
    failures: list[ServiceError] = []
    request = ClipRequest(savepath="clock.mkv", duration=1.0, mode="copy")
    with (odd_bucket / "clock.mkv").open("rb") as file:
        stored = replace(open_file(file.fileno(), "clock.mkv"), read_failure=lambda: next(iter(failures), None))
        async with extract_clip(local_ffmpeg, stored, request, "id", ExtractionSection()) as copied:
            failures.append(StreamCut("MinIO stopped answering"))
            with pytest.raises(StreamCut):
                await copied.head(60)
                async for _ in copied.chunks():
                    pass


def test_the_picture_of_a_cover_is_not_a_video() -> None:
    usual = {
        **{"codec": "h264", "decodable": None, "language": None, "title": None, "default": False, "forced": False},
        **{"dispositions": (), "start": None, "duration": None, "sample_rate": None, "channels": None, "layout": None},
    }
    cover, small, large = (
        InspectedStream.model_validate(
            {**usual, "index": index, "kind": "video", "width": width, "height": width} | more
        )
        for index, width, more in ((0, 3000, {"cover": True, "default": True}), (1, 100, {}), (2, 200, {}))
    )
    assert choose_picture([cover, small, large], None).track == 1
    assert choose_picture([cover, small], 0).stream is small
    with pytest.raises(NoVideoTrack):
        choose_picture([cover], None)


async def test_clips_and_previews_wait_for_slots_of_pictures_and_waveforms_do_not(
    serve: Serve, clock_bucket: Path
) -> None:
    client = await serve(data_path=clock_bucket.parent, max_decoders=1, queue_length=0)
    slots = client.service.decoder_slots  # type: ignore[attr-defined]
    with slots.claim(interactive=True) as one, slots.claim(interactive=True) as another:
        await one.wait(interactive=True)
        await another.wait(interactive=True)
        for route, body in (("/extract-clip", {"duration": 1}), ("/extract-preview", {})):
            assert (await refused(client, route, savepath="clock.mp4", **body))[1] == "busy"
        assert (await client.post("/peaks", json={"savepath": "clock.mp4"})).status_code == 200
