"""The moments that a request asks for, as exact fractions of a second."""

from collections.abc import Iterator
from fractions import Fraction
from itertools import count, takewhile
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
    start, step = decimal(request.start), 1 / decimal(request.fps)
    unending = (Moment(index, start + index * step) for index in count())
    end = None if request.duration is None else start + decimal(request.duration)
    yield from unending if end is None else takewhile(lambda moment: moment.seconds < end, unending)


def part_end(request: SamplesRequest) -> Fraction | None:
    """When the last of them is, or a little later; None if they have no end."""
    if request.timestamps is not None:
        return decimal(max(request.timestamps))
    return None if request.duration is None else decimal(request.start) + decimal(request.duration)
