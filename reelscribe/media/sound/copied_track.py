"""One track as it is stored, copied into a container of its own without decoding."""

from collections.abc import AsyncGenerator
from contextlib import aclosing

from reelscribe.contracts.extractor import ExtractAudioRequest
from reelscribe.media.commands import REPORTED_OFFSET, Encoding, Reading, Sound, copy_command, packets_command
from reelscribe.media.ffmpeg import FFmpeg
from reelscribe.media.processes.pipe import Pipe
from reelscribe.media.processes.process import FFmpegProcess
from reelscribe.media.processes.sandbox import killed_by
from reelscribe.media.sound.frame_report import FrameReport
from reelscribe.media.sound.timeline import LONGEST_GAP_SECONDS, TOLERATED_SECONDS
from reelscribe.media.stored_object import StoredObject
from reelscribe.media.structure.mpeg.first_timestamp import CYCLE_SECONDS

SHORTEST_SECONDS = 1e-6
LONGEST_PACKET_SECONDS = 1.0
"""A packet of unknown length lasts until the next one, if that follows so soon; else there is a hole behind it."""

REPORT_WAIT_BYTES = 1 << 20
"""The body waits for the first line of the report until there is so much of it."""


class CopiedTrack:
    """Copies a part of a track; read it with :meth:`chunks`.

    Attributes:
        begins: time of the first packet in the recording, in seconds; None before it.
        seconds: length of the packets; one whose length is not stored lasts until the next one, and the last of them as
            long as the one before.
        silence: seconds of the part without packets: before the first one, and where timestamps leave a hole.
        exit_code, errors, messages: of ffmpeg.

    Args:
        ffmpeg: the binary.
        stored: the object to read.
        sound: the track.
        reading: how to read it.
        origin: timestamp of the recording's beginning, in seconds, if timestamps do not count from it.
        cpu_seconds: after which the kernel ends ffmpeg.
    """

    def __init__(
        self,
        ffmpeg: FFmpeg,
        stored: StoredObject,
        sound: Sound,
        reading: Reading,
        *,
        origin: float | None,
        cpu_seconds: float,
    ) -> None:
        self.begins: float | None = None
        self.seconds = 0.0
        self.silence = 0.0
        self.exit_code = 0
        self.errors = 0
        self.messages: list[str] = []
        self._ffmpeg = ffmpeg
        self._stored = stored
        self._sound = sound
        self._reading = reading
        self._origin = origin
        self._cpu_seconds = cpu_seconds
        self._end: float | None = None
        self._open = False
        self._usual = SHORTEST_SECONDS

    async def chunks(
        self, request: ExtractAudioRequest, encoding: Encoding, output: int | None = None
    ) -> AsyncGenerator[bytes, None]:
        """The bytes; none if they are written to the descriptor ``output``. Closing the iterator ends ffmpeg.

        ``begins`` is known when the first bytes come. An ffmpeg that fails before is tried once more, as when decoding.
        """
        yielded = False
        for _ in range(2):
            async with aclosing(self._copy(request, encoding, output)) as chunks:
                async for chunk in chunks:
                    yielded = True
                    yield chunk
            if yielded or self.begins is not None or not self.exit_code or killed_by(self.exit_code):
                return

    async def _copy(
        self, request: ExtractAudioRequest, encoding: Encoding, output: int | None
    ) -> AsyncGenerator[bytes, None]:
        url = "pipe:1" if output is None else f"file:/proc/self/fd/{output}"
        report, pipe = FrameReport(), Pipe()
        lead = 0.0 if self._origin is None else await self._lead(self._origin)
        part = _after(lead, request)
        zero = lead + part.start
        command = copy_command(
            self._ffmpeg, self._stored, self._sound, part, self._reading, encoding, url, pipe.writing
        )
        try:
            async with FFmpegProcess(
                self._ffmpeg.sandbox,
                command,
                (*self._stored.descriptors, *(() if output is None else (output,))),
                cpu_seconds=self._cpu_seconds,
                network=self._stored.needs_network,
                may_write=output is not None,
                reports=[pipe],
            ) as process:
                while output is not None and (packets := await pipe.read()):
                    self._count(report, packets, zero, request.start)
                waiting = b""
                while chunk := await process.read():
                    self._count(report, pipe.read_now(), zero, request.start)
                    waiting += chunk
                    if self.begins is not None or len(waiting) > REPORT_WAIT_BYTES:
                        yield waiting
                        waiting = b""
                self._count(report, await pipe.read_all(), zero, request.start)
                self.seconds += self._usual if self._open else 0.0
                if waiting:
                    yield waiting
                self.exit_code = await process.wait()
                self.errors, self.messages = process.messages.errors, list(process.messages.last)
        finally:
            pipe.close()

    async def _lead(self, origin: float) -> float:
        """Seconds from the recording's beginning to what ffmpeg takes for it if it reads this track alone."""
        reading = Reading(None, self._reading.search, own_clock=True)
        report = FrameReport()
        async with FFmpegProcess(
            self._ffmpeg.sandbox,
            packets_command(self._ffmpeg, self._stored, self._sound, reading),
            self._stored.descriptors,
            cpu_seconds=self._cpu_seconds,
            network=self._stored.needs_network,
        ) as process:
            while chunk := await process.read():
                for frame in report.read(chunk):
                    if frame.duration and report.time_base:
                        lead = float((frame.duration - REPORTED_OFFSET) * report.time_base) - origin
                        lead %= CYCLE_SECONDS
                        return lead if lead <= LONGEST_GAP_SECONDS else 0.0
            await process.wait()
        return 0.0

    def _count(self, report: FrameReport, data: bytes, zero: float, start: float) -> None:
        for packet in report.read(data):
            assert report.time_base
            begins, length = zero + float(packet.pts * report.time_base), float(packet.duration * report.time_base)
            if self.begins is None or self._end is None:
                self.begins = self._end = begins
                self.silence += max(0.0, begins - start)
            difference = begins - self._end
            if self._open:
                self._usual = difference if 0 < difference <= LONGEST_PACKET_SECONDS else self._usual
                self.seconds += self._usual
                difference -= self._usual
            self._open = not packet.duration and packet.size > 0
            if abs(difference) <= TOLERATED_SECONDS:
                self.seconds += difference  # the container rounds durations
            elif 0 < difference <= LONGEST_GAP_SECONDS:
                self.silence += difference
            self.seconds += length
            self._end = begins + length


def _after(lead: float, request: ExtractAudioRequest) -> ExtractAudioRequest:
    """The requested part of a track whose clock begins ``lead`` seconds after the recording."""
    start = max(0.0, request.start - lead)
    duration = request.duration
    if duration:
        duration = max(duration - max(0.0, lead - request.start), SHORTEST_SECONDS)
    return request.model_copy(update={"start": start, "duration": duration})
