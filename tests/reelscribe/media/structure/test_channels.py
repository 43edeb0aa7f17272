"""Channels have a speaker layout, or they are microphones: as ffmpeg sees it too, where it says "unknown"."""

import pytest

from tests.reelscribe.media.structure.conftest import Make, Read
from tests.reelscribe.media.structure.test_table import CASES

SURROUND = ("-af", "pan=5.1|FL=c0|FR=c0|FC=c0|LFE=c0|BL=c0|BR=c0")


@pytest.mark.parametrize(
    ("name", "codec", "microphones"),
    [
        ("a.wav", "pcm_s16le", False),
        ("a.w64", "pcm_s16le", False),
        ("a.avi", "pcm_s16le", False),
        ("a.mov", "pcm_s16le", False),
        ("a.caf", "pcm_s16le", False),
        ("a.aiff", "pcm_s16be", False),
        ("a.flac", "flac", False),
        ("a.mkv", "flac", False),
        ("a.au", "pcm_s16be", True),
        ("a.mkv", "pcm_s16le", True),
    ],
)
def test_a_layout_is_found_in_containers_that_have_one(
    name: str, codec: str, microphones: bool, make: Make, structure: Read
) -> None:
    [track] = structure(make(name, *SURROUND, "-c:a", codec)).audio or ()
    assert (track.channels, track.microphones) == (6, microphones)


def test_six_channels_without_a_mask_are_microphones(structure: Read) -> None:
    [track] = structure(CASES / "12-6-channels-voice-on-4.wav").audio or ()
    assert (track.channels, track.microphones) == (6, True)
