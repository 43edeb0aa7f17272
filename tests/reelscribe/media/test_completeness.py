"""When what was delivered is not what was declared."""

import pytest

from reelscribe.media.completeness import declared_seconds, excess, shortfall
from reelscribe.media.structure.facts import AudioTrack, Structure


@pytest.mark.parametrize(
    ("declared", "delivered", "damaged", "words"),
    [
        (60.0, 60.0, 0.0, None),
        (60.0, 59.6, 0.0, None),  # within half a second
        (3600.0, 3585.0, 0.0, None),  # within half a percent
        (3600.0, 3500.0, 0.0, "cut"),
        (60.0, 29.5, 0.0, "cut"),
        (60.0, 54.0, 6.0, "6.0 s are damaged"),
        (60.0, 24.0, 6.0, "cut"),  # damaged and cut
        (10.0, 60.0, 0.0, None),  # more than declared is no loss
        (None, 60.0, 0.0, None),  # nothing declared, nothing to miss
        (None, 50.0, 10.0, "damaged"),
    ],
)
def test_shortfall(declared: float | None, delivered: float, damaged: float, words: str | None) -> None:
    sentence = shortfall(declared, delivered, damaged)
    assert (sentence is None) == (words is None)
    assert words is None or (words in str(sentence) and f"{delivered:.1f}" in str(sentence))


@pytest.mark.parametrize(
    ("declared", "delivered", "added", "suspicious"),
    [
        (20.0, 20.3, 15.0, False),
        (5.0, 20.0, 0.0, False),  # joined recordings, of which the header knows the first
        (5.0, 20.0, 15.0, True),
        (None, 20.0, 15.0, False),
    ],
)
def test_more_than_declared_is_suspicious_if_silence_was_added(
    declared: float | None, delivered: float, added: float, suspicious: bool
) -> None:
    assert bool(excess(declared, delivered, added)) is suspicious


SOUND = AudioTrack(1, 60.0)


def test_the_tracks_own_length_counts_and_that_of_a_longer_picture_does_not() -> None:
    assert declared_seconds(Structure("mp4", (SOUND,), 70.0), SOUND) == 60.0
    assert declared_seconds(Structure("asf", (AudioTrack(1),), 70.0), AudioTrack(1)) is None


def test_the_containers_length_counts_for_a_file_that_is_known_to_be_cut() -> None:
    assert declared_seconds(Structure("asf", None, 70.0, "the last packet is cut"), None) == 70.0


def test_a_part_declares_what_is_left_after_its_start() -> None:
    structure = Structure("mp4", (SOUND,), 70.0)
    assert declared_seconds(structure, SOUND, start=50) == 10.0
    assert declared_seconds(structure, SOUND, start=50, duration=3) == 3.0
    assert declared_seconds(structure, SOUND, start=70) == 0.0
