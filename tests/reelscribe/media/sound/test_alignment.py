"""Where a sought part begins, found by the grid on which frames begin."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import accumulate

import pytest

from reelscribe.media.sound.alignment import Stretch, shift
from reelscribe.media.sound.frame_report import Frame

RATE = 44_100


def stretch(sizes: Sequence[int], begins: int = 0, *, speed: float = 1.0, rate: int = RATE) -> Stretch:
    """Frames of these sizes that follow each other; their timestamps are rounded to milliseconds."""
    places = accumulate(sizes[:-1], initial=begins)
    rounded = [round(round(place * speed / rate * 1000) * rate / 1000) for place in places]
    return Stretch(rate, tuple(Frame(pts, size, 2 * size, False) for pts, size in zip(rounded, sizes, strict=True)))


@pytest.mark.parametrize("number", range(100, 130))
def test_a_rounded_timestamp_says_which_frame_is_meant(number: int) -> None:
    begins = 441 + 1024 * number
    sought = stretch([1024] * 40, begins)
    assert round(shift(stretch([1024] * 200, 441), sought) * RATE) == begins - sought.frames[0].pts


@pytest.mark.parametrize("begins", range(64_000, 66_048, 64))
def test_frames_of_several_sizes_are_on_the_grid_of_their_common_divisor(begins: int) -> None:
    sizes = [128, 576, *[1024] * 20, 576, 128, 128, 576, *[1024] * 150]
    sought = stretch([1024] * 10 + [576, 128] + [1024] * 30, begins)
    assert round(shift(stretch(sizes), sought) * RATE) == begins - sought.frames[0].pts


def test_a_first_frame_that_is_shortened_is_not_on_the_grid_but_its_end_is() -> None:
    beginning = stretch([648, *[960] * 200], 336, rate=48_000)
    sought = stretch([648, *[960] * 40], 336 + 648 + 9600 - 648, rate=48_000)
    assert sought.frames[0].pts + shift(beginning, sought) * 48_000 == 336 + 9600


@pytest.mark.parametrize("number", range(100, 130))
def test_what_a_decoder_needs_to_begin_with_is_counted_where_it_is_left_out(number: int) -> None:
    begins = 1024 * (number - 1)
    beginning = replace(stretch([1024] * 200, -1024, rate=48_000), exact_origin=True)
    sought = replace(stretch([1024] * 40, begins, rate=48_000), exact_origin=True)
    placed = sought.frames[0].pts + round(shift(beginning, sought) * 48_000)
    assert placed == beginning.frames[0].pts + 1024 * number


def test_frames_elsewhere_are_left_where_their_timestamps_say() -> None:
    assert shift(stretch([1024] * 200), stretch([1024] * 40, 1024 * 100 + 500)) == 0.0


def test_frames_of_many_sizes_are_on_no_grid() -> None:
    assert not stretch([940, *[941] * 40, 940, *[941] * 40]).is_on_grid
    assert all(stretch([size] * 40).is_on_grid for size in (64, 480, 1024))


@pytest.mark.parametrize("speed", [1.0, 0.9999, 1.01])
def test_rounding_and_a_faster_clock_are_no_slow_clock(speed: float) -> None:
    assert not stretch([1024] * 215, speed=speed).falls_behind


@pytest.mark.parametrize("speed", [0.99, 0.999])
def test_a_slow_clock_falls_behind_the_samples(speed: float) -> None:
    assert stretch([1024] * 215, speed=speed).falls_behind
