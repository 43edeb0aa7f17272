"""Moments far apart: the same pictures and times as of all, and little is decoded for them."""

import json
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import pytest

from reelscribe.media.pictures.delivery import Pictures
from reelscribe.media.pictures.packets import Cut, Entry, Moments, Packets
from reelscribe.media.pictures.source import prepare
from reelscribe.media.pictures.timing import Clock
from tests.extractor_api.conftest import Serve
from tests.extractor_api.pictures.clock import Studio
from tests.extractor_api.pictures.conftest import Sample, ask

SECONDS, FPS, GROUP = 64, 25, 50
X264 = ("-c:v", "libx264", "-preset", "ultrafast", "-x264-params")
X265 = ("-c:v", "libx265", "-preset", "ultrafast", "-x265-params")
HEVC = f"bframes=3:b-adapt=0:scenecut=0:keyint={GROUP}:min-keyint={GROUP}:log-level=none"
B_FRAMES = (*X264, f"bframes=3:b-adapt=0:scenecut=0:keyint={GROUP}")
KINDS = {
    "far.mp4": B_FRAMES,
    "far.mkv": B_FRAMES,
    "far.ts": B_FRAMES,
    "open.ts": (*X264, f"bframes=3:b-adapt=0:scenecut=0:open-gop=1:keyint={GROUP}"),
    "open.mp4": (*X264, f"bframes=3:b-adapt=0:scenecut=0:open-gop=1:keyint={GROUP}"),
    "hevc.mp4": (*X265, f"{HEVC}:open-gop=0"),
    "hevc_open.ts": (*X265, f"{HEVC}:open-gop=1"),
    "refreshed.ts": (*X264, "bframes=0:intra-refresh=1:keyint=50"),
    "far.webm": ("-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8", "-g", str(GROUP)),
    "far.mpg": ("-c:v", "mpeg2video", "-bf", "2", "-q:v", "3"),
    "far.avi": ("-c:v", "mpeg4", "-bf", "0", "-q:v", "3", "-g", str(GROUP)),
    "reordered.avi": B_FRAMES,
}
FAR = [2.0, 2.04, 30.96, 31.52, 61.96, 62.0]
"""Around key frames, in one group, and more apart than what a seek is worth."""

LATE = [41.52, 46.52, 51.52, 56.52]


def make(studio: Studio, name: str, options: Sequence[str]) -> Path:
    path = studio.folder / name
    source = f"testsrc2=s=64x48:r={FPS}:d={SECONDS}"
    studio.run("-f", "lavfi", "-i", source, "-pix_fmt", "yuv420p", *options, str(path))
    return path


@pytest.mark.parametrize("name", KINDS)
async def test_moments_far_apart_have_the_pictures_and_times_of_all(serve: Serve, studio: Studio, name: str) -> None:
    make(studio, name, KINDS[name])
    client = await serve(data_path=studio.folder.parent)
    everything, _ = await ask(client, name, "/extract-frames", fps=float(FPS), picture="png")
    found, receipt = await ask(client, name, "/extract-frames", timestamps=FAR, picture="png")
    late, _ = await ask(client, name, "/extract-frames", fps=0.2, start=LATE[0], duration=20.0, picture="png")
    early, _ = await ask(client, name, "/extract-frames", fps=FPS / GROUP, start=0.24, picture="png")
    assert receipt["without_picture"] == 0 and len(early) == SECONDS * FPS / GROUP
    assert [facts_of(sample)["asked_seconds"] for sample in late.values()] == LATE
    for key, sample in {**found, **late, **early}.items():
        assert sample.files["png"] == everything[key].files["png"]
        assert facts_of(sample) == facts_of(everything[key])


def facts_of(sample: Sample) -> dict[str, Any]:
    return {name: fact for name, fact in json.loads(sample.files["json"]).items() if name != "index"}


@pytest.mark.parametrize(("name", "seeks"), [("little.mp4", True), ("little.ts", False)])
def test_little_is_decoded_for_them(studio: Studio, name: str, seeks: bool) -> None:
    path = make(studio, name, B_FRAMES)
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        origin = Fraction(container.start_time or 0, av.time_base)
        moments = Moments(["31.52", "61.0"], Clock(Fraction(stream.time_base or 1), origin))
        packets = [*Packets(av, container, stream, moments, may_seek=seeks, everything=False)]
    entries = [packet for packet in packets if isinstance(packet, Entry)]
    assert len(entries) == 2
    assert len(packets) - len(entries) <= 3 * GROUP + 1  # the last group too, and the empty packet


@pytest.mark.parametrize(
    ("name", "cuts"),
    [("early.mp4", True), ("early.ts", True), ("hevc.mp4", True), ("open.ts", False), ("hevc_open.ts", False)],
)
def test_the_end_of_a_group_is_left_out_if_the_next_one_depends_on_nothing_before_it(
    studio: Studio, name: str, cuts: bool
) -> None:
    path = make(studio, name, KINDS.get(name, B_FRAMES))
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        unit = Fraction(stream.time_base or 1)
        origin = Fraction(container.start_time or 0, av.time_base)
        series = {"start": "1/5", "step": str(Fraction(GROUP, FPS)), "end": None}
        moments = Moments(series, Clock(unit, origin))
        packets = [*Packets(av, container, stream, moments, may_seek=False, everything=False)]
    groups = SECONDS * FPS // GROUP
    found = [packet for packet in packets if isinstance(packet, Cut)]
    assert len(found) == (groups - 1 if cuts else 0)
    assert all(0 < cut.following - cut.needed < GROUP / FPS / unit for cut in found)
    assert (len(packets) < groups * 12 + GROUP) is cuts


def test_a_picture_that_the_decoder_discards_because_its_group_was_cut_is_decoded_again(studio: Studio) -> None:
    """Before a key frame with the flag no_output_of_prior_pics (ITU-T H.265, 7.4.7.1) not all waiting ones come out."""
    path = make(studio, "discards.mp4", KINDS["hevc.mp4"])
    content = bytearray(path.read_bytes())
    with av.open(str(path)) as container:
        for packet in container.demux(video=0):
            if packet.is_keyframe and packet.pos is not None:
                content[packet.pos + slice_of(bytes(packet)) + 2] |= 0x40
    path.write_bytes(content)
    asked = [Fraction(number * GROUP + 20 + number % 8, FPS) for number in range(8)]
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        clock = Clock(Fraction(stream.time_base or 1), Fraction(container.start_time or 0, av.time_base))
        task = {"url": str(path), "options": {}, "demuxer": None, "video_track": None, "may_seek": False}
        limits = {"decoders": ["hevc"], "max_pixels": 1 << 20}
        prepare(stream, limits)
        moments = Moments([str(moment) for moment in asked], clock)
        given = {pts for pts, _ in Pictures(av, task | limits, container, stream, moments).decoded()}
    assert {clock.tick(moment) for moment in asked} <= given


def slice_of(packet: bytes) -> int:
    """Where its first part of a picture begins."""
    place = 0
    while packet[place + 4] >> 1 & 63 > 31:
        place += 4 + int.from_bytes(packet[place : place + 4], "big")
    return place + 4


@pytest.mark.parametrize("moments", [{"fps": 2.0}, {"timestamps": [1.0, 5.0, 100.0]}], ids=["all", "far"])
async def test_a_clock_that_begins_again_ends_what_is_certain(
    serve: Serve, studio: Studio, moments: dict[str, object]
) -> None:
    one = make(studio, "one.ts", B_FRAMES)
    (studio.folder / "twice.ts").write_bytes(one.read_bytes() * 2)
    client = await serve(data_path=studio.folder.parent)
    answer = await client.post("/extract-frames", json={"savepath": "twice.ts", "allow_incomplete": True, **moments})
    receipt = (await client.get(f"/extractions/{answer.headers['X-Extraction-Id']}")).json()
    assert receipt["state"] == "incomplete" and "timestamps begin again at 64.0 s" in receipt["reason"]
    assert receipt["samples"] == (2 * SECONDS if "fps" in moments else 2)


async def test_a_moment_far_behind_the_end_of_the_sound_has_a_picture_alone(serve: Serve, studio: Studio) -> None:
    picture, sound = "testsrc2=s=64x48:r=2:d=34", "sine=r=16000:d=2"
    path = studio.folder / "quiet.mp4"
    studio.run("-f", "lavfi", "-i", picture, "-f", "lavfi", "-i", sound, *X264, "keyint=50", "-c:a", "aac", str(path))
    client = await serve(data_path=studio.folder.parent)
    none, receipt = await ask(client, path.name, timestamps=[33.0])
    assert (len(none), receipt["dropped_edges"], receipt["state"]) == (0, 1, "complete")
    [padded] = (await ask(client, path.name, timestamps=[33.0], edges="pad"))[0].values()
    assert padded.record.padded_after == padded.record.audio_samples == 8000 and not padded.sound.any()
