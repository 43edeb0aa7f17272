"""A damaged picture is counted, and no tar with one looks complete; the client of pairs and frames."""

import json
from dataclasses import replace

import av
import httpx
import pytest

from reelscribe.contracts.pictures import FramesRequest, PairsRequest
from reelscribe.errors import ServiceError, StreamCut
from reelscribe.http.peers.extractor_client import ExtractorClient
from reelscribe.media.ffmpeg import FFmpeg
from reelscribe.media.pictures.samples import extract_samples
from reelscribe.media.stored_object import open_file
from reelscribe.settings.extractor import ExtractionSection
from tests.extractor_api.conftest import Serve
from tests.extractor_api.pictures.clock import Studio
from tests.extractor_api.pictures.conftest import ask, samples_of
from tests.extractor_api.pictures.test_clock import AAC, H264

ONE_GROUP = (*H264[:-1], f"{H264[-1]}:scenecut=0")
DAMAGED = 59
"""Packet of a picture on which all depend until the next key frame: 62, shown after three that were stored later."""

DEPENDENT = {*range(59, 100)}


def damage(studio: Studio, source: str, name: str, kept: float = 0.5) -> None:
    """A copy of a recording, with one picture overwritten, except a share of it at its beginning."""
    path = studio.folder / source
    with av.open(str(path)) as container:
        packets = [packet for packet in container.demux(video=0) if packet.pos is not None and packet.size]
        packet = packets[DAMAGED]
        assert packet.pos is not None
        begin, end = packet.pos + int(packet.size * kept), packet.pos + packet.size
    content = bytearray(path.read_bytes())
    content[begin:end] = bytes(end - begin)
    (studio.folder / name).write_bytes(content)


@pytest.mark.parametrize("kept", [0.5, 0.0], ids=["second half", "all of it"])
async def test_a_damaged_picture_and_all_that_depend_on_it_are_counted_and_left_out(
    kept: float, serve: Serve, studio: Studio
) -> None:
    studio.make("sound.mp4", *ONE_GROUP, *AAC)
    damage(studio, "sound.mp4", "damaged.mp4", kept)
    client = await serve(data_path=studio.folder.parent)
    moments = {"fps": 25.0, "allow_incomplete": True, "picture": "png", "key": "same"}
    intact, _ = await ask(client, "sound.mp4", "/extract-frames", **moments)
    samples, receipt = await ask(client, "damaged.mp4", "/extract-frames", **moments)
    assert receipt["state"] == "incomplete" and receipt["decode_warnings"] > 0
    assert len(samples) == 150 - receipt["damaged_pictures"]
    left_out = {*range(150)} - {json.loads(sample.files["json"])["index"] for sample in samples.values()}
    assert left_out == DEPENDENT
    assert all(sample.files["png"] == intact[key].files["png"] for key, sample in samples.items())
    assert receipt["reason"] == f"{receipt['damaged_pictures']} pictures are damaged"
    depends = await client.post("/extract-frames", json={"savepath": "damaged.mp4", "timestamps": [3.6]})
    assert depends.json()["error"]["code"] == "incomplete_recording"
    bent = await client.post("/extract-frames", json={"savepath": "damaged.mp4", "timestamps": [2.4]})
    assert bent.json()["error"]["code"] == "incomplete_recording"
    before, _ = await ask(client, "damaged.mp4", "/extract-frames", fps=25.0, start=2.0, duration=0.36)
    assert len(before) == 9
    for start, count in ((2.0, 9), (2.4, 1)):  # 58 is the last intact one, and 60 is shown before the damaged one
        body = {"savepath": "damaged.mp4", "start": start, "duration": count / 25, "allow_incomplete": True}
        clip = await client.post("/extract-clip", json=body)
        kept_receipt = (await client.get(f"/extractions/{clip.headers['X-Extraction-Id']}")).json()
        assert (kept_receipt["frames"], kept_receipt["damaged_frames"] > 0) == (count, start == 2.4)


def url_of(client: httpx.AsyncClient) -> str:
    return str(client.base_url)


async def test_the_client_reads_pairs_and_frames_and_their_receipts(serve: Serve, studio: Studio) -> None:
    studio.make("client.mp4", *H264, *AAC)
    async with ExtractorClient(url_of(await serve(data_path=studio.folder.parent))) as extractor:
        async with extractor.pairs(PairsRequest(savepath="client.mp4", fps=2.0, duration=3.0)) as pairs:
            tar = b"".join([chunk async for chunk in pairs.chunks()])
        async with extractor.frames(FramesRequest(savepath="client.mp4", timestamps=[1.0])) as frames:
            pictures = b"".join([chunk async for chunk in frames.chunks()])
    assert pairs.receipt and frames.receipt
    assert (pairs.receipt.kind, pairs.receipt.samples, pairs.receipt.dropped_edges) == ("pairs", 5, 1)
    assert (frames.receipt.kind, frames.receipt.samples) == ("frames", 1)
    assert len(samples_of(tar)) == 5 and set(samples_of(pictures)["client_000001000"].files) == {"jpg", "json"}


async def test_the_client_raises_what_the_extractor_refuses_and_what_is_cut(serve: Serve, studio: Studio) -> None:
    content = studio.make("faststart.mp4", *H264, *AAC, "-movflags", "+faststart").read_bytes()
    (studio.folder / "cut.mp4").write_bytes(content[: len(content) // 2])
    async with ExtractorClient(url_of(await serve(data_path=studio.folder.parent))) as extractor:
        with pytest.raises(ServiceError) as refused:
            async with extractor.pairs(PairsRequest(savepath="none.mp4", fps=1.0)):
                pass
        assert refused.value.code == "object_not_found"
        with pytest.raises(ServiceError) as cut:
            async with extractor.frames(FramesRequest(savepath="cut.mp4", fps=2.0)) as frames:
                async for _ in frames.chunks():
                    pass
        assert cut.value.code == "incomplete_recording"


async def test_a_recording_that_could_not_be_read_to_its_end_makes_no_complete_tar(
    studio: Studio, local_ffmpeg: FFmpeg
) -> None:
    path = studio.make("lost.mkv", *H264, "-an", "-t", "1")
    failures: list[ServiceError] = []
    with path.open("rb") as file:
        stored = replace(open_file(file.fileno(), path.name), read_failure=lambda: next(iter(failures), None))
        request = FramesRequest(savepath=path.name, timestamps=[0.5, 9.0])
        async with extract_samples(local_ffmpeg, stored, request, "id", ExtractionSection()) as extraction:
            tar = await extraction.head(60)
            failures.append(StreamCut("MinIO stopped answering"))
            with pytest.raises(StreamCut):
                async for chunk in extraction.chunks():
                    tar += chunk
    assert tar and not tar.endswith(bytes(1024))
