"""Encoding 16-bit samples to mp3 or flac with a second ffmpeg, while the first one decodes."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

from reelscribe.contracts.extractor import ExtractAudioRequest
from reelscribe.media.commands import Encoding
from reelscribe.media.ffmpeg import FFmpeg
from reelscribe.media.processes.pipe import Feed
from reelscribe.media.processes.process import FFmpegProcess, StandardInput

MP3_BITRATES = ((32_000, (128, 160, 192, 224, 256, 320)), (16_000, (128, 144, 160)), (8_000, (64,)))
"""From which sample rate on, in Hz, which bit rates there are of those that can be asked for, in kbit/s; of MPEG-2.5,
which has none of them, the highest (ISO/IEC 11172-3, 13818-3).
"""


def used_bitrate(encoding: Encoding, request: ExtractAudioRequest, sample_rate: int) -> int | None:
    """kbit/s of an mp3: LAME takes the nearest that there is, of two as near the lower; None of anything else.

    Args:
        sample_rate: of the samples; 0 if it is not known yet.
    """
    if encoding != "mp3" or not sample_rate:
        return None
    rates = next(rates for least, rates in MP3_BITRATES if sample_rate >= least)
    return min(rates, key=lambda rate: abs(rate - request.bitrate_kbps))


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
