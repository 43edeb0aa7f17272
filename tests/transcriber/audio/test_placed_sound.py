"""A track as stored, as the extractor copies it, becomes samples at the times of its recording."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from extractor_api.probe import probe
from reelscribe.contracts.extractor import ExtractAudioRequest, ExtractionReceipt
from reelscribe.errors import NotDecodable
from reelscribe.media.audio import extract_audio
from reelscribe.media.commands import source_encoding
from reelscribe.media.ffmpeg import FFmpeg
from reelscribe.media.stored_object import open_file
from reelscribe.settings.extractor import ExtractionSection
from transcriber.audio.decoding import check_length, sample_stream
from transcriber.audio.placed_sound import BLOCK_SAMPLES
from transcriber.jobs.sources import _LocalExtraction

RATE = 16_000
EVERY_SECONDS = 4
BEEPS = f"aevalsrc='0.5*sin(2*PI*500*t)*lt(mod(t,{EVERY_SECONDS}),0.5)':s=44100:d=20"
"""20 s with a beep every four seconds, from the first one on."""
PICTURE = "testsrc=size=64x36:rate=5:duration=24"
LATE_SECONDS = 3
TOLERATED_SECONDS = 0.035
"""More than a frame of AAC, which a copied part may begin with half decoded."""

Recordings = dict[str, Path]


class Samples(NamedTuple):
    blocks: list[np.ndarray]
    decoded: int
    damaged: int
    receipt: ExtractionReceipt

    @property
    def seconds(self) -> float:
        return sum(map(len, self.blocks)) / RATE

    @property
    def beeps(self) -> list[float]:
        """When a beep begins, in seconds."""
        samples = np.concatenate(self.blocks)
        loud = np.abs(samples[: len(samples) // 80 * 80]).reshape(-1, 80).max(axis=1) > 0.2
        begins = [int(at) for at in np.flatnonzero(loud) if not loud[max(0, at - 40) : at].any()]
        return [at * 80 / RATE for at in begins]


@pytest.fixture(scope="session")
def recordings(tmp_path_factory: pytest.TempPathFactory, run_ffmpeg: Callable[..., None]) -> Recordings:
    folder = tmp_path_factory.mktemp("beeps")
    aac = folder / "beeps.mp4"
    run_ffmpeg("-f", "lavfi", "-i", BEEPS, "-c:a", "aac", aac)
    for name in ("beeps.mkv", "beeps.ts"):
        run_ffmpeg("-i", aac, "-c", "copy", folder / name)
    for name in ("late.mp4", "late.mkv", "late.ts"):
        late = (
            "-f",
            "lavfi",
            "-i",
            PICTURE,
            "-itsoffset",
            str(LATE_SECONDS),
            "-i",
            str(aac),
            "-map",
            "0:v",
            "-map",
            "1:a",
        )
        run_ffmpeg(*late, "-c:v", "mpeg2video" if name == "late.ts" else "mpeg4", "-c:a", "copy", folder / name)
    hole = r"setts=ts=PTS+30/TB*gte(PTS*TB\,10)"
    run_ffmpeg("-i", aac, "-c", "copy", "-bsf:a", hole, folder / "hole.mkv")
    for name, seconds in (("scratch.mkv", 10.2), ("damage.mkv", 13)):
        noise = rf"noise=amount=if(between(pts*tb\,10\,{seconds})\,1\,0)"
        run_ffmpeg("-i", folder / "beeps.mkv", "-c", "copy", "-bsf:a", noise, folder / name)
    run_ffmpeg("-i", aac, "-c:a", "libvorbis", folder / "beeps.ogg")
    for name in ("ts", "ogg"):
        (folder / f"restart.{name}").write_bytes((folder / f"beeps.{name}").read_bytes() * 2)
    return {path.name: path for path in folder.iterdir()}


@pytest.fixture
def samples_of(recordings: Recordings, local_ffmpeg: FFmpeg) -> Callable[..., object]:
    """Extract and decode; a dictionary has the blocks and what was counted."""

    async def decode(name: str, start: float = 0.0) -> Samples:
        limits = ExtractionSection()
        with recordings[name].open("rb") as file:
            stored = open_file(file.fileno(), name, origin="test", etag="etag1")
            encoding = source_encoding(await probe(local_ffmpeg, stored, 30), None)
            request = ExtractAudioRequest(savepath=name, audio_format="source", start=start)
            async with extract_audio(local_ffmpeg, stored, request, encoding, "id", limits) as extraction:
                audio = _LocalExtraction(extraction, await extraction.head(30))
                _, stream = sample_stream(audio, "source", start)
                async with stream:
                    blocks = [block async for block in stream.blocks()]
        assert audio.receipt
        return Samples(blocks, stream.decoded, stream.damaged, audio.receipt)

    return decode


def beeps(first: float, last: float, shift: float = 0.0) -> list[float]:
    """Of the recording from ``first`` on, whose sound is ``shift`` late, until it ends at ``last``."""
    return [at + shift - first for at in range(0, 40, EVERY_SECONDS) if first <= at + shift < last]


@pytest.mark.parametrize("start", [0.0, 5.3, 11.9])
@pytest.mark.parametrize("name", ["beeps.mp4", "beeps.mkv", "beeps.ts"])
async def test_sound_keeps_its_times_from_any_start(samples_of: Callable, name: str, start: float) -> None:
    found = await samples_of(name, start)
    assert found.beeps == pytest.approx(beeps(start, 20), abs=TOLERATED_SECONDS)
    assert found.seconds == pytest.approx(20 - start, abs=0.1)


@pytest.mark.parametrize("start", [0.0, 1.5, 12.2])
@pytest.mark.parametrize("name", ["late.mp4", "late.mkv", "late.ts"])
async def test_sound_that_begins_late_is_late(samples_of: Callable, name: str, start: float) -> None:
    found = await samples_of(name, start)
    assert found.beeps == pytest.approx(beeps(start, 23, LATE_SECONDS), abs=TOLERATED_SECONDS)
    assert found.receipt.begins == pytest.approx(max(start, LATE_SECONDS), abs=0.05)
    check_length(found.receipt, "source", found.decoded)


async def test_a_hole_is_silent_and_comes_in_blocks(samples_of: Callable) -> None:
    found = await samples_of("hole.mkv")
    assert found.beeps == pytest.approx([0, 4, 8, 42, 46], abs=TOLERATED_SECONDS)
    assert max(map(len, found.blocks)) <= 2 * BLOCK_SAMPLES
    assert found.receipt.delivered_seconds == pytest.approx(20, abs=0.1), "sound without the hole"
    check_length(found.receipt, "source", found.decoded)


@pytest.mark.parametrize("name", ["restart.ts", "restart.ogg"])
async def test_sound_continues_when_timestamps_begin_again(samples_of: Callable, name: str) -> None:
    found = await samples_of(name)
    assert found.beeps == pytest.approx(beeps(0, 40), abs=0.1)
    check_length(found.receipt, "source", found.decoded)


async def test_a_few_packets_that_cannot_be_decoded_are_silent(samples_of: Callable) -> None:
    found = await samples_of("scratch.mkv")
    assert found.damaged > 0
    assert [at for at in found.beeps if at > 11] == pytest.approx([12, 16], abs=TOLERATED_SECONDS)
    check_length(found.receipt, "source", found.decoded, found.damaged)


async def test_seconds_that_cannot_be_decoded_are_no_transcript(samples_of: Callable) -> None:
    found = await samples_of("damage.mkv")
    with pytest.raises(NotDecodable, match=r"\d+ packets of damage.mkv cannot be decoded"):
        check_length(found.receipt, "source", found.decoded, found.damaged)
