"""Pictures look as players show them: colours, rotation, shape; and what cannot be decoded is refused, or cut."""

import asyncio
import io
import re
import struct
from itertools import islice
from pathlib import Path
from typing import Any

import av
import httpx
import numpy as np
import pytest
from numpy.typing import NDArray

from reelscribe.contracts.pictures import FramesRequest
from reelscribe.media.pictures.moments import moments, number_of_moments
from tests.extractor_api.conftest import Serve, running_ffmpeg
from tests.extractor_api.pictures.clock import Studio
from tests.extractor_api.pictures.conftest import ask, samples_of
from tests.extractor_api.pictures.test_clock import AAC, H264, PCM

GREEN = (40, 200, 40)
"""Read back as 53, 228, 47 if BT.709 is taken for BT.601."""

PQ = "colorspace=bt2020nc:color_primaries=bt2020:color_trc=smpte2084"


def colours_of(picture: bytes) -> NDArray[Any]:
    """As readers of JPEG and WebP see them, which know BT.601 alone."""
    with av.open(io.BytesIO(picture)) as container:
        frame = next(container.decode(video=0))
        matrix = None if frame.format.is_rgb else "ITU601"
        return frame.reformat(format="rgb24", src_colorspace=matrix).to_ndarray()


def make_green(studio: Studio, name: str, matrix: str, *options: str, size: str = "320x180") -> None:
    studio.run(
        *("-f", "lavfi", "-i", f"color=c=0x28C828:s={size}:r=5:d=1,format=gbrp10"),
        *("-vf", f"scale=out_color_matrix={matrix}:out_range=tv,format=yuv420p", "-qp", "4"),
        *("-c:v", "libx264", *options, str(studio.folder / name)),
    )


@pytest.mark.parametrize("picture", ["jpeg", "webp", "png"])
@pytest.mark.parametrize(("matrix", "tagged"), [("bt709", True), ("smpte170m", True), ("bt709", False)])
async def test_green_is_read_back_as_green(
    serve: Serve, studio: Studio, picture: str, matrix: str, tagged: bool
) -> None:
    name = f"green-{matrix}-{tagged}.mp4"
    make_green(
        studio, name, matrix, *(("-colorspace", matrix) if tagged else ()), size="320x180" if tagged else "1280x720"
    )
    client = await serve(data_path=studio.folder.parent)
    for size in (None, 64, 65):
        samples, _ = await ask(client, name, "/extract-frames", timestamps=[0.5], picture=picture, size=size)
        (sample,) = samples.values()
        shades = colours_of(sample.files["jpg" if picture == "jpeg" else picture])
        assert np.abs(shades[shades.shape[0] // 2, shades.shape[1] // 2].astype(int) - GREEN).max() <= 4


async def test_hdr_is_converted_and_said(serve: Serve, studio: Studio) -> None:
    # PQ 0.5 is 92 cd/m2 (ITU-R BT.2100), which is 0.45 of the white of BT.2408, 203 cd/m2: 183 of 255.
    studio.run(
        *("-f", "lavfi", "-i", "color=c=0x808080:s=320x180:r=5:d=1,format=gbrp10"),
        *("-vf", f"scale=out_color_matrix=bt2020:out_range=tv,format=yuv420p10le,setparams={PQ}"),
        *("-c:v", "libx264", str(studio.folder / "hdr.mp4")),
    )
    client = await serve(data_path=studio.folder.parent)
    samples, _ = await ask(client, "hdr.mp4", "/extract-frames", timestamps=[0.5], picture="png")
    (sample,) = samples.values()
    assert b'"transfer":"smpte2084","tone_mapped":true' in sample.files["json"]
    assert np.abs(colours_of(sample.files["png"])[90, 160].astype(int) - 183).max() <= 6


@pytest.mark.parametrize("turn", [90, 180, 270])
async def test_a_turned_picture_is_upright(serve: Serve, studio: Studio, turn: int) -> None:
    source = studio.make("upright.mp4", *H264, "-an", "-t", "1")
    name, reference = f"turned{turn}.mp4", studio.folder / f"reference{turn}.png"
    studio.run("-i", str(source), "-c", "copy", "-metadata:s:v", f"rotate={turn}", str(studio.folder / name))
    studio.run("-i", str(studio.folder / name), "-frames:v", "1", str(reference))  # ffmpeg turns it, as players do
    client = await serve(data_path=studio.folder.parent)
    samples, _ = await ask(client, name, "/extract-frames", timestamps=[0.0], picture="png")
    (sample,) = samples.values()
    expected, found = colours_of(reference.read_bytes()), colours_of(sample.files["png"])
    assert found.shape == expected.shape
    assert np.abs(found.astype(int) - expected).mean() < 4


def with_exif(jpeg: bytes, orientation: int) -> bytes:
    """The picture with an EXIF block (JEITA CP-3451) of one entry, as cameras write it."""
    entry = struct.pack("<HHHIHH", 1, 0x0112, 3, 1, orientation, 0)
    block = b"Exif\0\0II*\0" + struct.pack("<I", 8) + entry + bytes(4)
    return jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(block) + 2) + block + jpeg[2:]


async def test_motion_jpeg_of_a_camera_held_upright_is_upright(serve: Serve, studio: Studio) -> None:
    stored = studio.folder / "stored.jpg"
    corner = "drawbox=w=32:h=32:color=white:t=fill"
    studio.run("-f", "lavfi", "-i", "color=black:s=128x64", "-frames:v", "1", "-vf", corner, str(stored))
    stored.write_bytes(with_exif(stored.read_bytes(), orientation=6))
    studio.run("-loop", "1", "-i", str(stored), "-t", "1", "-c", "copy", str(studio.folder / "camera.avi"))
    client = await serve(data_path=studio.folder.parent)
    samples, _ = await ask(client, "camera.avi", "/extract-frames", timestamps=[0.0], picture="png")
    (sample,) = samples.values()
    shades = colours_of(sample.files["png"])
    assert shades.shape[:2] == (128, 64)
    assert shades[16, 48].min() > 200 and shades[16, 16].max() < 50, "the corner is at the right"


async def test_pixels_are_square_and_a_picture_is_never_enlarged(serve: Serve, studio: Studio) -> None:
    studio.make("anamorphic.mp4", *H264, "-an", "-t", "1", "-vf", "setsar=2")
    client = await serve(data_path=studio.folder.parent)
    for size, shape in ((None, (640, 180)), (320, (320, 90)), (4000, (640, 180))):
        samples, _ = await ask(client, "anamorphic.mp4", "/extract-frames", timestamps=[0.0], size=size)
        (sample,) = samples.values()
        assert f'"width":{shape[0]},"height":{shape[1]},' in sample.files["json"].decode()


async def test_flac_holds_the_samples_of_the_wav(serve: Serve, studio: Studio) -> None:
    studio.make("sound.mov", *H264, *PCM)
    client = await serve(data_path=studio.folder.parent)
    wav, _ = await ask(client, "sound.mov", timestamps=[2.0])
    flac, _ = await ask(client, "sound.mov", timestamps=[2.0], audio_format="flac", picture="none")
    (sample,) = flac.values()
    assert set(sample.files) == {"flac", "json"} and sample.record.video_pts is None
    with av.open(io.BytesIO(sample.files["flac"])) as container:
        decoded = np.concatenate([frame.to_ndarray().reshape(-1) for frame in container.decode(audio=0)])
    assert (decoded == wav["sound_000002000"].sound).all()


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"fps": 1.0, "timestamps": [1.0]}, "bad_request"),
        ({"timestamps": [1.0, 1.0001]}, "bad_request"),
        ({"timestamps": [1.0], "start": 1.0}, "bad_request"),
        ({"fps": 1.0, "picture": "none", "audio_format": "none"}, "bad_request"),
        ({"fps": 1.0, "key": "a.b"}, "bad_request"),
        ({"fps": 100.0, "duration": 1000.0}, "bad_request"),
        ({"fps": 1.0, "start": 100.0}, "past_the_end"),
        ({"fps": 1.0, "video_track": 1}, "no_video_track"),
        ({"fps": 1.0, "track": 1}, "no_audio_track"),
    ],
)
async def test_what_cannot_be_done_is_refused(serve: Serve, studio: Studio, body: dict[str, object], code: str) -> None:
    studio.make("refused.mp4", *H264, *AAC)
    client = await serve(data_path=studio.folder.parent, max_samples=1000)
    answer = await client.post("/extract-pairs", json={"savepath": "refused.mp4", **body})
    assert answer.json()["error"]["code"] == code, answer.text
    assert answer.status_code in (400, 422)


async def test_pictures_over_the_limit_and_of_other_codecs_are_refused(serve: Serve, studio: Studio) -> None:
    studio.make("large.mp4", *H264, *AAC)
    studio.make("odd.avi", "-c:v", "zmbv", "-pix_fmt", "bgr0", "-an", "-t", "1")
    studio.make("sound_only.m4a", "-vn", *AAC)
    client = await serve(data_path=studio.folder.parent, max_picture_pixels=320 * 180 - 1)
    for name, code in (
        ("large.mp4", "not_decodable"),
        ("odd.avi", "not_decodable"),
        ("sound_only.m4a", "no_video_track"),
    ):
        answer = await client.post("/extract-frames", json={"savepath": name, "fps": 1.0})
        assert (answer.status_code, answer.json()["error"]["code"]) == (422, code)


async def test_a_tar_over_the_limit_is_cut(serve: Serve, studio: Studio) -> None:
    studio.make("bytes.mp4", *H264, *AAC)
    client = await serve(data_path=studio.folder.parent, max_tar_bytes=100_000)
    await assert_cut(client, "bytes.mp4", "bad_request")


async def test_a_file_cut_in_half_makes_no_complete_tar(serve: Serve, studio: Studio) -> None:
    content = studio.make("intact.mp4", *H264, *AAC, "-movflags", "+faststart").read_bytes()
    (studio.folder / "half.mp4").write_bytes(content[: len(content) // 2])
    client = await serve(data_path=studio.folder.parent)
    await assert_cut(client, "half.mp4", "incomplete_recording", "/extract-pairs")
    await assert_cut(client, "half.mp4", "incomplete_recording", "/extract-frames")
    samples, receipt = await ask(client, "half.mp4", "/extract-frames", fps=2.0, allow_incomplete=True)
    assert 4 <= len(samples) <= 8
    assert receipt["state"] == "incomplete" and re.search("declared|breaks off", receipt["reason"])


async def assert_cut(client: httpx.AsyncClient, name: str, code: str, route: str = "/extract-pairs") -> None:
    """The body ends without its last chunk, and without end blocks; the receipt says why."""
    body = bytearray()
    async with client.stream("POST", route, json={"savepath": name, "fps": 4.0}) as answer:
        assert answer.status_code == 200
        with pytest.raises(httpx.RemoteProtocolError):
            async for chunk in answer.aiter_raw():
                body += chunk
    assert not body.endswith(bytes(1024))
    receipt = (await client.get(f"/extractions/{answer.headers['X-Extraction-Id']}")).json()
    assert (receipt["state"], receipt["error"]["code"]) == ("failed", code)


async def test_nonsense_in_the_pictures_is_an_error_or_a_cut_tar(serve: Serve, studio: Studio) -> None:
    content = bytearray(studio.make("good.ts", *H264, *AAC).read_bytes())
    rng = np.random.default_rng(1)
    client = await serve(data_path=studio.folder.parent)
    for share in (0.001, 0.05):
        broken = np.frombuffer(bytes(content), np.uint8).copy()
        broken[rng.random(len(broken)) < share] ^= 0x55
        (studio.folder / "nonsense.ts").write_bytes(broken.tobytes())
        for route in ("/extract-pairs", "/extract-frames"):
            async with client.stream("POST", route, json={"savepath": "nonsense.ts", "fps": 5.0}) as answer:
                if answer.status_code == 200:
                    tar = await tar_of(answer)
                    assert tar is None or samples_of(tar)
                else:
                    assert answer.status_code == 422


async def test_a_recording_of_which_only_the_last_picture_can_be_decoded_is_not_a_complete_tar_of_nothing(
    serve: Serve, studio: Studio
) -> None:
    intact, broken = studio.make("intact.mkv", *H264, "-bf", "0", "-g", "1", "-an"), studio.folder / "broken.mkv"
    with av.open(str(intact)) as source, av.open(str(broken), "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        *all_but_the_last, last = [packet for packet in source.demux(video=0) if packet.size]
        for packet in all_but_the_last:
            nonsense = av.Packet(b"\xff" * packet.size)
            nonsense.pts, nonsense.dts, nonsense.time_base = packet.pts, packet.dts, packet.time_base
            nonsense.stream, nonsense.is_keyframe = stream, True
            target.mux(nonsense)
        last.stream = stream
        target.mux(last)
    client = await serve(data_path=studio.folder.parent)
    for route in ("/extract-frames", "/extract-pairs"):
        answer = await client.post(route, json={"savepath": broken.name, "fps": 5.0})
        assert (answer.status_code, answer.json()["error"]["code"]) == (422, "not_decodable")


async def tar_of(answer: httpx.Response) -> bytes | None:
    """The tar; None if it is cut, and then without end blocks."""
    body = bytearray()
    try:
        async for chunk in answer.aiter_raw():
            body += chunk
    except httpx.RemoteProtocolError:
        assert not body.endswith(bytes(1024))
        return None
    return bytes(body)


async def test_a_client_that_leaves_ends_the_decoding(serve: Serve, studio: Studio) -> None:
    studio.make("left.mp4", *H264, *AAC)
    client = await serve(data_path=studio.folder.parent)
    async with client.stream("POST", "/extract-pairs", json={"savepath": "left.mp4", "fps": 100.0}) as answer:
        await anext(answer.aiter_raw())
    service = client.service  # type: ignore[attr-defined]
    async with asyncio.timeout(60):
        while service.decoder_slots.running or running_ffmpeg():
            await asyncio.sleep(0.05)


async def test_a_long_request_leaves_a_slot_for_a_short_one_and_all_for_audio(serve: Serve, studio: Studio) -> None:
    studio.make("busy.mp4", *H264, *AAC)
    client = await serve(data_path=studio.folder.parent, max_decoders=1, queue_length=0)
    async with client.stream(
        "POST", "/extract-pairs", json={"savepath": "busy.mp4", "fps": 100.0, "audio_seconds": 4.0}
    ) as long:
        chunks = long.aiter_raw()  # to drop it would close the connection
        await anext(chunks)
        refused = await client.post("/extract-pairs", json={"savepath": "busy.mp4", "fps": 1.0})
        assert refused.json()["error"]["code"] == "busy"
        samples, _ = await ask(client, "busy.mp4", timestamps=[1.0])
        assert len(samples) == 1
        assert (await client.post("/extract-audio", json={"savepath": "busy.mp4"})).status_code == 200


def test_the_routes_of_audio_open_no_decoder_of_pictures(studio: Studio) -> None:
    from reelscribe.media.ffmpeg import locate
    from reelscribe.media.pictures.decoders import PICTURE_DECODERS

    assert not set(locate(None).input_options("file")["codec_whitelist"].split(",")) & set(PICTURE_DECODERS)
    assert Path(studio.folder).exists()


@pytest.mark.parametrize(
    ("asked", "seconds"),
    [
        ({"fps": 23.976, "start": 0.1}, 10.0),
        ({"fps": 10.0}, 1.0),
        ({"fps": 0.3, "start": 2.0, "duration": 7.7}, 1.0),
        ({"fps": 1.0, "start": 2.0}, 1.0),
        ({"timestamps": [3.0, 1.0]}, 1.0),
    ],
)
def test_the_number_of_moments_is_known_without_counting_them(asked: dict[str, Any], seconds: float) -> None:
    request = FramesRequest(savepath="a.mp4", **asked)
    there = list(islice(moments(request), 1000))
    if request.fps is not None and request.duration is None:
        there = [moment for moment in there if moment.seconds < seconds]
    assert number_of_moments(request, seconds) == len(there)
    assert number_of_moments(FramesRequest(savepath="a.mp4", fps=120.0, duration=1e7), 1.0) == 1_200_000_000


async def test_a_moment_may_be_as_late_as_a_request_can_say(serve: Serve, studio: Studio) -> None:
    studio.make("early.mp4", *H264, *AAC)
    client = await serve(data_path=studio.folder.parent)
    samples, receipt = await ask(client, "early.mp4", timestamps=[1.0, 1e7])
    assert (len(samples), receipt["without_picture"]) == (1, 1)
