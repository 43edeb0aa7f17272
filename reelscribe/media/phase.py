"""Channels that cancel each other: a microphone wired in reverse, or one voice recorded as left minus right.

Their mono mix is silence although each of them is loud.
"""

from contextlib import suppress

from reelscribe.media.commands import Reading, Sound, decode_command
from reelscribe.media.ffmpeg import FFmpeg
from reelscribe.media.pipe import Pipe
from reelscribe.media.process import FFmpegProcess
from reelscribe.media.stored_object import StoredObject
from reelscribe.media.wav import SAMPLE_BYTES

QUIET = 100
"""Highest sample (of 32767) of a mix that may be silence: -50 dB, above what codecs leave of channels that cancel."""

CANCELLED_RATIO = 30
"""A channel that is so much louder than the mix has been cancelled."""

CHECKED_SECONDS = 10.0
CHECK_CPU_SECONDS = 60.0
STRIDE = 7


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
        report, peak, left = Pipe(), 0, self._bytes
        only = Sound(sound.stream, sound.sample_rates, sound.channels, channel=0)
        command = decode_command(ffmpeg, stored, only, reading, report.writing, exact=True)
        try:
            async with FFmpegProcess(
                ffmpeg.sandbox,
                command,
                stored.descriptors,
                cpu_seconds=CHECK_CPU_SECONDS,
                network=stored.needs_network,
                report=report,
            ) as process:
                while left > 0 and (chunk := await process.read()):
                    report.read_now()
                    left -= len(chunk)
                    peak = max(peak, _peak(chunk[: len(chunk) // SAMPLE_BYTES * SAMPLE_BYTES]))
        finally:
            with suppress(OSError):
                report.close()
        return peak >= QUIET and peak > CANCELLED_RATIO * self._peak


def _peak(samples: bytes) -> int:
    looked_at = memoryview(samples).cast("h")[::STRIDE]
    return max(max(looked_at), -min(looked_at)) if len(looked_at) else 0
