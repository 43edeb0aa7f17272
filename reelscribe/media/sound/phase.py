"""Channels that cancel each other: a microphone wired in reverse, or one voice recorded as left minus right.

Their mono mix is silence although each of them is loud.
"""

from contextlib import suppress
from dataclasses import replace

from reelscribe.media.commands import Reading, Sound, decode_command
from reelscribe.media.ffmpeg import FFmpeg
from reelscribe.media.processes.pipe import Pipe
from reelscribe.media.processes.process import FFmpegProcess
from reelscribe.media.sound.wav import SAMPLE_BYTES
from reelscribe.media.stored_object import StoredObject

QUIET = 100
"""Highest sample (of 32767) of a mix that may be silence: -50 dB, above what codecs leave of channels that cancel."""

CANCELLED_RATIO = 30
"""A channel that is so much louder than the mix has been cancelled."""

CHECKED_SECONDS = 10.0
CHECK_CPU_SECONDS = 60.0
STRIDE = 7

LONG_QUIET_SECONDS = 30.0
"""So long a quiet stretch, later in the mix, is checked too: for a remark, as the sound before it has been sent."""

BLOCK_BYTES = 1 << 15
PROBES = 64
"""Samples of a block that are looked at to find it."""


class PhaseCheck:
    """Listens to the beginning of a mono mix."""

    def __init__(self) -> None:
        self._peak = 0
        self._bytes = 0
        self._rest = b""

    def add(self, chunk: bytes) -> None:
        """Take in samples of the mix."""
        data = self._rest + chunk
        even = len(data) // SAMPLE_BYTES * SAMPLE_BYTES
        self._rest = data[even:]
        self._bytes += even
        self._peak = max(self._peak, _peak(data[:even]))

    @property
    def quiet(self) -> bool:
        """Whether nothing has been loud yet."""
        return self._peak < QUIET

    def undecided(self, sample_rate: int | None) -> bool:
        """Whether more of the mix is needed; its sample rate may not be known yet."""
        return self.quiet and (not sample_rate or self._bytes < CHECKED_SECONDS * SAMPLE_BYTES * sample_rate)

    async def cancels(self, ffmpeg: FFmpeg, stored: StoredObject, sound: Sound, reading: Reading) -> bool:
        """Whether the first channel, decoded by itself, is much louder than the mix."""
        peak = await _decoded_peak(ffmpeg, stored, _first_channel(sound), reading, self._bytes)
        return _is_cancelled(self._peak, peak)


class LongestQuiet:
    """The longest quiet stretch of a mono mix, found by a few samples of each chunk.

    Attributes:
        start, length: in samples.
    """

    def __init__(self) -> None:
        self.start = 0
        self.length = 0
        self._begun: int | None = None
        self._bytes = 0

    def add(self, chunk: bytes) -> None:
        """Take in samples of the mix."""
        for at in range(0, len(chunk), BLOCK_BYTES):
            self._add(chunk[at : at + BLOCK_BYTES])

    def _add(self, chunk: bytes) -> None:
        first = self._bytes % SAMPLE_BYTES
        whole = (len(chunk) - first) // SAMPLE_BYTES
        samples = memoryview(chunk)[first : first + whole * SAMPLE_BYTES].cast("h")
        probes = samples[:: max(1, whole // PROBES)]
        if whole and max(probes) < QUIET and min(probes) > -QUIET:
            begun = self._begun = self._bytes // SAMPLE_BYTES if self._begun is None else self._begun
            end = (self._bytes + len(chunk)) // SAMPLE_BYTES
            if end - begun > self.length:
                self.start, self.length = begun, end - begun
        else:
            self._begun = None
        self._bytes += len(chunk)


async def cancels_later(
    ffmpeg: FFmpeg, stored: StoredObject, sound: Sound, reading: Reading, start: float, sample_rate: int
) -> bool:
    """Whether the channels cancel each other in the mix from ``start`` on, in seconds of the recording."""
    there = replace(reading, seek=start or None)
    size = int(CHECKED_SECONDS * sample_rate) * SAMPLE_BYTES
    peak = await _decoded_peak(ffmpeg, stored, _first_channel(sound), there, size)
    return peak >= QUIET and _is_cancelled(await _decoded_peak(ffmpeg, stored, sound, there, size), peak)


def _first_channel(sound: Sound) -> Sound:
    return Sound(sound.stream, sound.sample_rates, sound.channels, channel=0)


def _is_cancelled(mix: int, channel: int) -> bool:
    return mix < QUIET <= channel and channel > CANCELLED_RATIO * mix


async def _decoded_peak(ffmpeg: FFmpeg, stored: StoredObject, sound: Sound, reading: Reading, size: int) -> int:
    """The highest of about ``size`` bytes of samples."""
    report, peak = Pipe(), 0
    command = decode_command(ffmpeg, stored, sound, reading, report.writing, exact=True)
    try:
        async with FFmpegProcess(
            ffmpeg.sandbox,
            command,
            stored.descriptors,
            cpu_seconds=CHECK_CPU_SECONDS,
            network=stored.needs_network,
            reports=[report],
        ) as process:
            while size > 0 and (chunk := await process.read()):
                report.read_now()
                size -= len(chunk)
                peak = max(peak, _peak(chunk[: len(chunk) // SAMPLE_BYTES * SAMPLE_BYTES]))
            if size > 0:
                await report.read_all()
                await process.wait()
    finally:
        with suppress(OSError):
            report.close()
    return peak


def _peak(samples: bytes) -> int:
    looked_at = memoryview(samples).cast("h")[::STRIDE]
    return max(max(looked_at), -min(looked_at)) if len(looked_at) else 0
