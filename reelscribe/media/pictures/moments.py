"""The moments that a request asks for, as exact fractions of a second."""

from collections.abc import Iterator
from fractions import Fraction
from itertools import count
from math import isfinite
from typing import NamedTuple

from reelscribe.contracts.exact import decimal
from reelscribe.contracts.pictures import FramesRequest, PairsRequest

SamplesRequest = FramesRequest | PairsRequest


class Moment(NamedTuple):
    """One moment: its number in the request, and its time in seconds."""

    number: int
    seconds: Fraction


def moments(request: SamplesRequest) -> Iterator[Moment]:
    """In the order of time; with ``fps`` and no ``duration`` they have no end.

    Each is computed from ``start``, not from the one before, so that nothing adds up.
    """
    if request.timestamps is not None:
        asked = [Moment(index, decimal(seconds)) for index, seconds in enumerate(request.timestamps)]
        yield from sorted(asked, key=lambda moment: moment.seconds)
        return
    assert request.fps is not None
    start, step, end = decimal(request.start), 1 / decimal(request.fps), part_end(request)
    numbers = count() if end is None else range(_number_before(request, end))
    for index in numbers:
        yield Moment(index, start + index * step)


def number_of_moments(request: SamplesRequest, seconds: float) -> int:
    """How many there will be in a recording of that length; computed, because to count them might take minutes."""
    if request.timestamps is not None:
        return len(request.timestamps)
    end = part_end(request)
    if end is None:
        end = Fraction(seconds if isfinite(seconds) else 0)
    return _number_before(request, end)


def _number_before(request: SamplesRequest, end: Fraction) -> int:
    assert request.fps is not None
    return max(0, ((end - decimal(request.start)) * decimal(request.fps)).__ceil__())


def part_end(request: SamplesRequest) -> Fraction | None:
    """When the last of them is, or a little later; None if they have no end."""
    if request.timestamps is not None:
        return decimal(max(request.timestamps))
    return None if request.duration is None else decimal(request.start) + decimal(request.duration)
