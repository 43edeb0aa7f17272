"""When a recording begins on its own clock, as the ffmpeg that decodes its sound takes it.

FFmpeg 5.1 takes the first packet of Matroska's sound for that, newer ones and PyAV the first sample that is played:
with Opus 7 ms later. Picture and sound would be so far apart.
"""

import asyncio

from reelscribe.media.commands import REPORTED_OFFSET, Reading, Sound, packets_command
from reelscribe.media.ffmpeg import FFmpeg
from reelscribe.media.process import FFmpegProcess
from reelscribe.media.sound.frame_report import FrameReport
from reelscribe.media.stored_object import StoredObject
from reelscribe.media.structure.facts import Structure
from reelscribe.media.structure.mpeg.first_timestamp import first_timestamp

CPU_SECONDS = 30
MEASURED = ("matroska",)
"""Containers in which they differ."""


async def recording_origin(ffmpeg: FFmpeg, stored: StoredObject, structure: Structure, timeout: float) -> float | None:
    """Seconds of the container's own clock; None if that is libav's start of the recording, of any version.

    Args:
        timeout: longest wait for ffmpeg, in seconds; after that, libav's start is taken.
    """
    known = await asyncio.to_thread(first_timestamp, stored)
    if known is not None or structure.container not in MEASURED:
        return known
    try:
        async with asyncio.timeout(timeout):
            own, shifted = await asyncio.gather(
                _first_packet(ffmpeg, stored, own_clock=True), _first_packet(ffmpeg, stored, own_clock=False)
            )
    except TimeoutError:
        return None
    return None if own is None or shifted is None else own - shifted


async def _first_packet(ffmpeg: FFmpeg, stored: StoredObject, *, own_clock: bool) -> float | None:
    """The time of the first packet of sound in seconds; None if there is none."""
    command = packets_command(ffmpeg, stored, Sound(), Reading(own_clock=own_clock))
    report = FrameReport()
    async with FFmpegProcess(
        ffmpeg.sandbox, command, stored.descriptors, cpu_seconds=CPU_SECONDS, network=stored.needs_network
    ) as process:
        while chunk := await process.read():
            for packet in report.read(chunk):
                assert report.time_base
                return float((packet.duration - REPORTED_OFFSET) * report.time_base) if packet.duration else None
    return None
