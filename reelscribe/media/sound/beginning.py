"""When a recording begins on its container's own clock, if ffmpeg cannot know that without decoding pictures.

libav learns the first timestamp of H.264 from its decoder alone, unless the container stores decoding times, as MP4
does. Decoders of pictures stay closed to sound; without them, a recording whose sound is late would begin with it.
"""

import asyncio
import re
from fractions import Fraction

from reelscribe.media.commands import REPORTED_OFFSET, Reading, first_packets_command
from reelscribe.media.ffmpeg import FFmpeg
from reelscribe.media.inspection import Search
from reelscribe.media.processes.pipe import Pipe
from reelscribe.media.processes.process import FFmpegProcess
from reelscribe.media.stored_object import StoredObject
from reelscribe.media.structure.bounded import Bytes
from reelscribe.media.structure.facts import Structure
from reelscribe.media.structure.matroska_beginning import begins_with_pictures

WTV = bytes.fromhex("b7d800203749da11a64e0007e95ead8d")
"""The first bytes of recordings of Windows Media Center (libavformat/wtvdec.c)."""

_BASE = re.compile(rb"^#tb (\d+): (\d+/\d+)$", re.MULTILINE)
_PACKET = re.compile(rb"^(\d+), +-?\d+, +-?\d+, +(\d+),", re.MULTILINE)


async def beginning_with_pictures(
    ffmpeg: FFmpeg, stored: StoredObject, structure: Structure, search: Search, *, cpu_seconds: float
) -> float | None:
    """The first timestamp in seconds; None if ffmpeg's own idea of the beginning is right.

    Args:
        ffmpeg, stored, structure: of the extraction.
        search: how far ffmpeg must look for streams.
        cpu_seconds: after which the kernel ends ffmpeg.
    """
    if structure.container == "matroska":
        return await asyncio.to_thread(begins_with_pictures, Bytes(stored))
    if structure.container != "nut" and await asyncio.to_thread(stored.read, 0, len(WTV)) != WTV:
        return None
    pictures, pipe = b"", Pipe()
    try:
        command = first_packets_command(ffmpeg, stored, Reading(None, search, own_clock=True), pipe.writing)
        async with FFmpegProcess(
            ffmpeg.sandbox,
            command,
            stored.descriptors,
            cpu_seconds=cpu_seconds,
            network=stored.needs_network,
            reports=[pipe],
        ) as process:
            while chunk := await process.read():
                pictures += chunk
            first, of_sound = _first(pictures), _first(await pipe.read_all())
    finally:
        pipe.close()
    return None if first is None or (of_sound is not None and of_sound <= first) else first


def _first(report: bytes) -> float | None:
    """The earliest timestamp of the streams in a report, in seconds; None if they have none."""
    bases = {stream: Fraction(base.decode()) for stream, base in _BASE.findall(report)}
    packets = [(stream, int(stamp)) for stream, stamp in _PACKET.findall(report)]
    times = (float((stamp - REPORTED_OFFSET) * bases[stream]) for stream, stamp in packets if stamp)
    return min(times, default=None)
