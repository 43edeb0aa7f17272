"""Exact numbers: what a request asks for is computed in fractions, and rounded once."""

from fractions import Fraction

HALF = Fraction(1, 2)
MILLISECONDS = 1000


def decimal(number: float) -> Fraction:
    """A number as it was written: 0.1 is a tenth, and 23.976 is 2997/125."""
    return Fraction(repr(number))


def half_up(number: Fraction) -> int:
    """The nearest integer; of two, the larger."""
    return (number + HALF).__floor__()


def milliseconds(seconds: Fraction) -> int:
    """The nearest millisecond, by which samples are named."""
    return half_up(seconds * MILLISECONDS)
