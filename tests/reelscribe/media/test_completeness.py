"""When less was delivered than declared."""

import pytest

from reelscribe.media.completeness import declared_seconds, shortfall
from reelscribe.media.ffmpeg_log import FFmpegLog


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


def log_of(**facts: object) -> FFmpegLog:
    return FFmpegLog(stream_index=1, container="mov,mp4", container_seconds=70.0, **facts)  # type: ignore[arg-type]


def test_the_tracks_own_length_counts_before_the_containers() -> None:
    assert declared_seconds(log_of(), {0: 70.0, 1: 60.0}) == 60.0
    assert declared_seconds(log_of(), {}) == 70.0


def test_a_part_declares_what_is_left_after_its_start() -> None:
    assert declared_seconds(log_of(), {1: 60.0}, start=50) == 10.0
    assert declared_seconds(log_of(), {1: 60.0}, start=50, duration=3) == 3.0
    assert declared_seconds(log_of(), {1: 60.0}, start=70) == 0.0


def test_a_guess_declares_nothing() -> None:
    assert declared_seconds(log_of(estimated=True), {}) is None
