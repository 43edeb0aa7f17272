"""When the pictures of a recording are shown, for the programs that decode them; it imports nothing of ours."""

from fractions import Fraction

CYCLE = Fraction(1 << 33, 90_000)
"""Seconds after which the timestamps of MPEG streams begin again."""

MILLISECOND = Fraction(1, 1000)
NEAR = Fraction(1, 2_000_000)
"""Half a unit of the last digit with which times are named here: who asks for the time of a picture gets that one."""


def beginning(start: int | None, time_base: int, origin: str | None) -> Fraction:
    """Where a recording begins, in seconds of the timestamps that libav gives.

    Args:
        start: libav's own opinion, in units of ``1 / time_base``.
        origin: what is known better, as a fraction; null if nothing is.
    """
    first = Fraction(start or 0, time_base)
    if origin is None:
        return first
    return Fraction(origin) - CYCLE * round((Fraction(origin) - first) / CYCLE)  # libav counts on, or begins below 0


class Clock:
    """The timestamps of a picture stream.

    A container whose timestamps are in milliseconds (Matroska, FLV) has rounded them, so the picture of 2/3 s has 667:
    there a moment counts for the nearest millisecond.

    Args:
        unit: of its timestamps, in seconds.
        origin: where the recording begins, in seconds of that clock.
    """

    def __init__(self, unit: Fraction, origin: Fraction) -> None:
        self.unit, self.origin = unit, origin
        self.near = unit / 2 if unit == MILLISECOND else NEAR

    def seconds(self, pts: int) -> Fraction:
        """The time of a timestamp in the recording."""
        return pts * self.unit - self.origin

    def tick(self, seconds: Fraction) -> int:
        """The last timestamp that the picture which is shown at a time may have."""
        return ((seconds + self.origin + self.near) / self.unit).__floor__()
