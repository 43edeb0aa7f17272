"""Channels that cancel each other in a mono mix are noticed."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from reelscribe.media.commands import Sound
from reelscribe.media.ffmpeg import FFmpeg
from reelscribe.media.sound.phase import CHECKED_SECONDS, QUIET, PhaseCheck
from tests.reelscribe.media.decoding import decoded, opened

MONO = Sound(sample_rates=(16_000,), channels=1)
TONE = "0.3*sin(2*PI*440*t)"

Make = Callable[..., Path]


@pytest.fixture
def make(tmp_path: Path, run_ffmpeg: Callable[..., None]) -> Make:
    def make(expression: str, name: str = "a.wav", *options: str) -> Path:
        run_ffmpeg("-f", "lavfi", "-i", f"aevalsrc='{expression}':s=16000:d=3", *options, tmp_path / name)
        return tmp_path / name

    return make


@pytest.mark.parametrize(
    ("name", "options"), [("a.wav", ()), ("a.mp3", ("-b:a", "128k")), ("a.flac", ()), ("a.m4a", ("-b:a", "128k"))]
)
async def test_of_channels_that_cancel_the_first_is_taken(
    local_ffmpeg: FFmpeg, make: Make, name: str, options: tuple[str, ...]
) -> None:
    async with opened(make(f"{TONE}|-{TONE}", name, *options)) as stored:
        track, samples = await decoded(local_ffmpeg, stored, sound=MONO)
    assert track.phase_cancelled
    assert np.abs(samples).max() == pytest.approx(0.3 * 32_768, rel=0.1)
    assert len(samples) == pytest.approx(48_000, abs=3_000)


@pytest.mark.parametrize(
    "expression",
    [f"{TONE}|{TONE}", f"{TONE}|0", f"{TONE}|-0.5*{TONE}", "0|0", TONE],
    ids=["alike", "one is silent", "one is softer", "both are silent", "mono"],
)
async def test_other_channels_are_mixed(local_ffmpeg: FFmpeg, make: Make, expression: str) -> None:
    async with opened(make(expression)) as stored:
        track, _ = await decoded(local_ffmpeg, stored, sound=MONO)
    assert not track.phase_cancelled


async def test_channels_that_are_all_kept_are_not_looked_at(local_ffmpeg: FFmpeg, make: Make) -> None:
    async with opened(make(f"{TONE}|-{TONE}")) as stored:
        track, samples = await decoded(local_ffmpeg, stored)
    assert (track.phase_cancelled, track.channels, len(samples)) == (False, 2, 96_000)


async def test_channels_that_cancel_only_at_first_are_mixed(local_ffmpeg: FFmpeg, make: Make) -> None:
    """Silence at the beginning is common; sound within the first seconds decides."""
    async with opened(make(f"{TONE}|if(lt(t,2),-{TONE},{TONE})")) as stored:
        track, _ = await decoded(local_ffmpeg, stored, sound=MONO)
    assert not track.phase_cancelled


def test_it_is_undecided_until_something_is_loud_or_time_has_passed() -> None:
    check = PhaseCheck()
    assert check.undecided(None)
    check.add(bytes(2 * 16_000))
    assert (check.quiet, check.undecided(16_000)) == (True, True)
    check.add(bytes(round(CHECKED_SECONDS) * 2 * 16_000))
    assert (check.quiet, check.undecided(16_000)) == (True, False)


@pytest.mark.parametrize("size", [1, 3, 1000])
def test_a_loud_sample_decides_whatever_the_chunks(size: int) -> None:
    check = PhaseCheck()
    loud = np.full(2_000, -QUIET, np.int16).tobytes()
    for at in range(0, len(loud), size):
        check.add(loud[at : at + size])
    assert (check.quiet, check.undecided(16_000)) == (False, False)
