"""One track as it is stored, copied into a container of its own without decoding."""

from collections.abc import AsyncGenerator

from reelscribe.contracts.extractor import ExtractAudioRequest
from reelscribe.media.commands import Encoding, Reading, Sound, copy_command
from reelscribe.media.ffmpeg import FFmpeg
from reelscribe.media.frame_report import FrameReport
from reelscribe.media.pipe import Pipe
from reelscribe.media.process import FFmpegProcess
from reelscribe.media.stored_object import StoredObject


class CopiedTrack:
    """Copies a part of a track; read it with :meth:`chunks`.

    Attributes:
        begins: time of the first packet in the recording, in seconds; None before it.
        seconds: length of the packets.
        exit_code, errors, messages: of ffmpeg.
    """

    def __init__(
        self, ffmpeg: FFmpeg, stored: StoredObject, sound: Sound, reading: Reading, *, cpu_seconds: float
    ) -> None:
        self.begins: float | None = None
        self.seconds = 0.0
        self.exit_code = 0
        self.errors = 0
        self.messages: list[str] = []
        self._ffmpeg = ffmpeg
        self._stored = stored
        self._sound = sound
        self._reading = reading
        self._cpu_seconds = cpu_seconds

    async def chunks(
        self, request: ExtractAudioRequest, encoding: Encoding, output: int | None = None
    ) -> AsyncGenerator[bytes, None]:
        """The bytes; none if they are written to the descriptor ``output``. Closing the iterator ends ffmpeg."""
        url = "pipe:1" if output is None else f"file:/proc/self/fd/{output}"
        report, pipe = FrameReport(), Pipe()
        command = copy_command(
            self._ffmpeg, self._stored, self._sound, request, self._reading, encoding, url, pipe.writing
        )
        try:
            async with FFmpegProcess(
                self._ffmpeg.sandbox,
                command,
                (*self._stored.descriptors, *(() if output is None else (output,))),
                cpu_seconds=self._cpu_seconds,
                network=self._stored.needs_network,
                may_write=output is not None,
                report=pipe,
            ) as process:
                while output is not None and (packets := await pipe.read()):
                    self._count(report, packets, request.start)
                while chunk := await process.read():
                    self._count(report, pipe.read_now(), request.start)
                    yield chunk
                self._count(report, await pipe.read_all(), request.start)
                self.exit_code = await process.wait()
                self.errors, self.messages = process.messages.errors, list(process.messages.last)
        finally:
            pipe.close()

    def _count(self, report: FrameReport, data: bytes, start: float) -> None:
        for packet in report.read(data):
            assert report.time_base
            if self.begins is None:
                self.begins = start + float(packet.pts * report.time_base)
            self.seconds += float(packet.duration * report.time_base)
