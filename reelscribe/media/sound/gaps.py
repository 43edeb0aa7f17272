"""Whether silence that was added is a hole of the recording, or takes the place of sound that is damaged.

And whether there is more sound than could be decoded.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, Sequence
from typing import NamedTuple

from reelscribe.errors import InternalError
from reelscribe.media.commands import REPORTED_OFFSET, Reading, Sound, packets_command
from reelscribe.media.ffmpeg import FFmpeg
from reelscribe.media.processes.process import FFmpegProcess
from reelscribe.media.processes.sandbox import killed_by
from reelscribe.media.sound.frame_report import FrameReport
from reelscribe.media.sound.timeline import LONGEST_GAP_SECONDS, RESTART_SECONDS, Gap
from reelscribe.media.stored_object import StoredObject
from reelscribe.media.structure.continuity import is_continuous
from reelscribe.media.structure.facts import Structure

log = logging.getLogger(__name__)

HARMLESS_SECONDS = 0.5
"""So little added silence is not looked into: reading all packets again takes time."""

CLOCKLESS = ("flac", "mp3", "aac", "ac3", "eac3", "dts", "truehd", "mp2", "wav", "tta", "wavpack", "ape", "tak")
"""Frames without timestamps, one after the other: they have no holes, only damage."""

EMPTY_BYTES = {"amr_nb": 6, "amr_wb": 6}
"""Size of the largest packet that holds no speech, by codec: AMR's SID, which describes noise (RFC 4867, 3.6 and 4.3).
Speech has 13 bytes and more."""

TOLERATED_SECONDS = 0.005
NEAR_SECONDS = 0.2


class _Packet(NamedTuple):
    seconds: float
    clock: int
    sounds: bool
    corrupt: bool


async def damaged_seconds(
    ffmpeg: FFmpeg,
    stored: StoredObject,
    structure: Structure,
    sound: Sound,
    reading: Reading,
    gaps: Sequence[Gap],
    sample_rate: int,
    *,
    cpu_seconds: float,
) -> float:
    """How much of the silence in ``gaps`` takes the place of sound that is damaged or lost.

    A hole of the recording has no packets; sound that cannot be decoded has. Packets that were lost leave a broken
    chain of container units, or are marked by the demuxer.
    """
    total = sum(gap.samples for gap in gaps) / sample_rate
    if total <= HARMLESS_SECONDS:
        return 0.0
    if structure.container in CLOCKLESS or not await asyncio.to_thread(is_continuous, stored, structure.container):
        return total
    packets = [packet async for packet in _packets(ffmpeg, stored, sound, reading, cpu_seconds)]
    damaged = sum(gap.samples for gap in gaps if _is_damage(gap, packets, sample_rate))
    return damaged / sample_rate


async def undecoded_seconds(
    ffmpeg: FFmpeg,
    stored: StoredObject,
    structure: Structure,
    sound: Sound,
    reading: Reading,
    frames: tuple[int, int],
    restarts: int,
    sample_rate: int,
    *,
    cpu_seconds: float,
) -> tuple[float, float]:
    """How much of the recording before its first frame, and after its last, has packets that could not be decoded.

    Args:
        ffmpeg, stored, structure, sound, reading, cpu_seconds: of the extraction.
        frames: timestamps of the beginning of the first frame and of the end of the last, in samples.
        restarts: how often timestamps had begun again before the last.
        sample_rate: Hz.
    """
    if structure.container in CLOCKLESS:
        return 0.0, 0.0
    first, last = (pts / sample_rate for pts in frames)
    packets = [packet async for packet in _packets(ffmpeg, stored, sound, reading, cpu_seconds) if packet.sounds]
    before = max((first - packet.seconds for packet in packets if packet.clock == 0), default=0.0)
    after = 0.0
    for clock in range(restarts, max((packet.clock for packet in packets), default=0) + 1):
        times = [packet.seconds for packet in packets if packet.clock == clock]
        begins = last if clock == restarts else min(times, default=0.0)
        after += max(0.0, max(times, default=0.0) - begins)
    return before if before > HARMLESS_SECONDS else 0.0, after if after > HARMLESS_SECONDS else 0.0


def _is_damage(gap: Gap, packets: Sequence[_Packet], sample_rate: int) -> bool:
    start, end = gap.before / sample_rate, gap.after / sample_rate
    for packet in packets:
        if packet.clock != gap.restarts:
            continue
        inside = start + TOLERATED_SECONDS < packet.seconds < end - TOLERATED_SECONDS
        if inside and packet.sounds:
            return True
        if packet.corrupt and start - NEAR_SECONDS < packet.seconds < end + NEAR_SECONDS:
            return True
    return False


async def _packets(
    ffmpeg: FFmpeg, stored: StoredObject, sound: Sound, reading: Reading, cpu_seconds: float
) -> AsyncGenerator[_Packet, None]:
    report, clock, last = FrameReport(), 0, None
    async with FFmpegProcess(
        ffmpeg.sandbox,
        packets_command(ffmpeg, stored, sound, reading),
        stored.descriptors,
        cpu_seconds=cpu_seconds,
        network=stored.needs_network,
    ) as process:
        while chunk := await process.read():
            for frame in report.read(chunk):
                if not frame.duration or not report.time_base:
                    continue
                seconds = float((frame.duration - REPORTED_OFFSET) * report.time_base)
                if last is not None and not -RESTART_SECONDS <= seconds - last <= LONGEST_GAP_SECONDS:
                    clock += 1
                last = seconds
                sounds = frame.size > EMPTY_BYTES.get(report.codec or "", 1)
                yield _Packet(seconds, clock, sounds, frame.corrupt)
        exit_code = await process.wait()
        if killed_by(exit_code) or (exit_code and last is None):
            log.error("%s: ffmpeg exited with %d: %s", stored.savepath, exit_code, " | ".join(process.messages.last))
            raise InternalError(f"{stored.savepath}: ffmpeg could not look for damage; try again")
