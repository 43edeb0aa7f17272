"""Windows of sound, cut by the number of their first sample out of a recording's sound while that is decoded."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass

from reelscribe.media.audio import AudioExtraction
from reelscribe.media.sound.wav import SAMPLE_BYTES, wav_header


@dataclass(frozen=True)
class CutSound:
    """One window.

    Attributes:
        first: number of its first sample, counted from the recording's beginning.
        samples: 16-bit, interleaved, with the padding.
        before, after: how many of the samples are padding; zero for each channel.
    """

    first: int
    samples: bytes
    before: int
    after: int


class SoundWindows:
    """Reads the sound of a recording once, and holds no more of it than one window.

    Args:
        sound: an extraction as WAV.
        start: second of the recording with which it begins.
        timeout: longest wait for its beginning, in seconds.

    Attributes:
        sample_rate, channels, layout: once :meth:`open` has returned.
    """

    def __init__(self, sound: AudioExtraction, start: int, timeout: float) -> None:
        self._sound = sound
        self._start = start
        self._timeout = timeout
        self._held = bytearray()
        self._base = 0
        self._ended = False
        self._chunks: AsyncGenerator[bytes, None] = sound.chunks()
        self.sample_rate = 0
        self.channels = 0
        self.layout: str | None = None

    @property
    def has_ended(self) -> bool:
        """Whether the last sample of the sound has been read."""
        return self._ended

    async def open(self) -> None:
        """Wait for the first samples.

        Raises:
            ServiceError: see :meth:`reelscribe.media.audio.AudioExtraction.head`.
        """
        head = await self._sound.head(self._timeout)
        self.sample_rate, self.channels, self.layout = self._sound.shape
        self._held += head[len(self._header(None)) :]
        self._base = self._start * self.sample_rate

    async def cut(self, first: int, count: int) -> CutSound:
        """The window of ``count`` samples; no window may begin before the last one.

        Raises:
            ServiceError: see :meth:`reelscribe.media.audio.AudioExtraction.chunks`.
        """
        begin, end = max(first, self._base), first + count
        while self._position < end and not self._ended:
            await self._read()
            self._forget(begin)
        self._forget(begin)
        width = SAMPLE_BYTES * self.channels
        held = bytes(self._held[: max(0, end - self._base) * width]) if end > self._base else b""
        present = len(held) // width
        before = min(count, begin - first)
        after = count - before - present
        return CutSound(first, bytes(before * width) + held + bytes(after * width), before, after)

    async def finish(self) -> None:
        """Read the rest, so that it is judged whether the sound is complete."""
        while not self._ended:
            await self._read()
            self._forget(self._position)

    async def close(self) -> None:
        """Stop reading."""
        await self._chunks.aclose()

    def wav(self, cut: CutSound) -> bytes:
        """A window as a WAV file."""
        return self._header(len(cut.samples)) + cut.samples

    def _header(self, size: int | None) -> bytes:
        return wav_header(self.sample_rate, self.channels, self.layout, size, room=False)

    @property
    def _position(self) -> int:
        return self._base + len(self._held) // (SAMPLE_BYTES * self.channels)

    async def _read(self) -> None:
        chunk = await anext(self._chunks, b"")
        self._ended = not chunk
        self._held += chunk

    def _forget(self, sample: int) -> None:
        """Drop what is before a sample."""
        dropped = min(sample, self._position) - self._base
        if dropped > 0:
            del self._held[: dropped * SAMPLE_BYTES * self.channels]
            self._base += dropped
