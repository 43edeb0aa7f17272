"""Encoding 16-bit samples to mp3 or flac with a second ffmpeg, while the first one decodes."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

from reelscribe.media.ffmpeg import FFmpeg
from reelscribe.media.processes.pipe import Feed
from reelscribe.media.processes.process import FFmpegProcess, StandardInput


class Encoder:
    """One run of the encoder.

    Args:
        ffmpeg: the binary.
        command: from :func:`reelscribe.media.commands.encode_command`.
        cpu_seconds: after which the kernel ends it.
        output: descriptor of the file that it writes; None if it writes to its standard output.
        channels: pipes that it reads besides the WAV.

    Attributes:
        exit_code, messages: of ffmpeg.
    """

    def __init__(
        self,
        ffmpeg: FFmpeg,
        command: Sequence[str],
        *,
        cpu_seconds: float,
        output: int | None = None,
        channels: Sequence[StandardInput] = (),
    ) -> None:
        self.exit_code = 0
        self.messages: list[str] = []
        self._ffmpeg = ffmpeg
        self._command = command
        self._cpu_seconds = cpu_seconds
        self._output = output
        self._channels = channels

    async def encode(self, wav: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
        """The encoded bytes, if they are not written to a file. What ``wav`` raises is raised at their end."""
        feed = Feed()
        feeding = asyncio.create_task(_write(feed, wav))  # first, so that decoder and encoder start side by side
        try:
            async with FFmpegProcess(
                self._ffmpeg.sandbox,
                self._command,
                () if self._output is None else (self._output,),
                cpu_seconds=self._cpu_seconds,
                may_write=self._output is not None,
                feed=feed,
                channels=self._channels,
            ) as process:
                while chunk := await process.read():
                    yield chunk
                await feeding
                self.exit_code = await process.wait()
                self.messages = list(process.messages.last)
        finally:
            feeding.cancel()
            await asyncio.gather(feeding, return_exceptions=True)
            feed.close()


async def _write(feed: Feed, wav: AsyncGenerator[bytes, None]) -> None:
    try:
        async with aclosing(wav) as chunks:
            async for chunk in chunks:
                await feed.write(chunk)
    except BrokenPipeError:
        pass  # its exit code says why
    finally:
        feed.end()
