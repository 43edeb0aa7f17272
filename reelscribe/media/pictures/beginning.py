"""Where a recording begins on its own clock, the same for its pictures and its sound.

FFmpeg 5.1 takes the first packet of Matroska's sound for that, newer ones and PyAV the first sample that is played:
with Opus 7 ms later, with AAC of FFmpeg 7 and newer 21 ms. So the sound takes it from the process that decodes the
pictures, and leaves out what comes before it.
"""

from fractions import Fraction

from reelscribe.media.stored_object import StoredObject
from reelscribe.media.structure.facts import Structure
from reelscribe.media.structure.mpeg.first_timestamp import CLOCK_HZ, first_timestamp

VAGUE = ("matroska",)
"""Containers of which versions of FFmpeg disagree."""


def stored_beginning(stored: StoredObject) -> str | None:
    """Seconds of the container's own clock, as a fraction; None if that is libav's start of the recording."""
    seconds = first_timestamp(stored)
    return None if seconds is None else str(Fraction(round(seconds * CLOCK_HZ), CLOCK_HZ))


def beginning_of_sound(structure: Structure, of_pictures: Fraction | None) -> float | None:
    """What the sound has to take, if the pictures begin at ``of_pictures``; None for what it takes on its own."""
    return None if of_pictures is None or structure.container not in VAGUE else float(of_pictures)
