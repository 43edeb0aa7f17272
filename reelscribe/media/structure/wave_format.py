"""WAVEFORMATEX: how WAV, W64, AVI and ASF describe sound.

Microsoft: mmreg.h, "Multiple channel audio data and WAVE files" (WAVEFORMATEXTENSIBLE, dwChannelMask); RFC 2361 (tags).
"""

import struct
from dataclasses import dataclass

from reelscribe.media.structure.bounded import Unreadable

PCM, FLOAT, A_LAW, MU_LAW, EXTENSIBLE = 1, 3, 6, 7, 0xFFFE
DECODERS = {16: "pcm_s16le", 24: "pcm_s24le", 32: "pcm_s32le"}
MS_ADPCM, IMA_ADPCM, GSM = 2, 0x11, 0x31

MOST_DEVIATION = 0.1
"""Of a count of samples from the length that an average byte rate gives; a count of something else is far off."""


@dataclass(frozen=True)
class WaveFormat:
    """How sound is stored.

    ``block_samples`` is how many samples of each channel a block of ``block_bytes`` holds; 0 if it varies. ``decoder``
    is ffmpeg's for samples in more bytes than they need; it takes them for others (24 bits in 4 bytes for floats).
    """

    tag: int
    channels: int
    rate: int
    byte_rate: int
    block_bytes: int
    block_samples: int
    microphones: bool
    decoder: str | None = None

    @property
    def seekable(self) -> bool:
        """Whether a byte offset is an exact time, also for ffmpeg, which takes the byte rate for granted."""
        return self.block_samples == 1 and self.byte_rate == self.block_bytes * self.rate

    def seconds(self, size: int, samples: int | None = None) -> float | None:
        """Length of ``size`` bytes of sound.

        Args:
            samples: that the file states for each channel; used if only they say it, and if they are plausible.
        """
        if not self.rate or size <= 0:
            return None
        if self.block_samples and self.block_bytes:
            return size // self.block_bytes * self.block_samples / self.rate
        if not samples or samples == 0xFFFFFFFF:
            return None
        stated = samples / self.rate
        if not self.byte_rate:
            return stated if 500 <= size / stated <= 4 * self.channels * self.rate else None
        usual = size / self.byte_rate
        return stated if abs(stated - usual) <= MOST_DEVIATION * usual else None


def parse(content: bytes) -> WaveFormat:
    """Raises Unreadable if it is shorter than a format can be."""
    try:
        tag, channels, rate, byte_rate, block, bits = struct.unpack_from("<HHIIHH", content.ljust(16, b"\0"))
    except struct.error:
        raise Unreadable from None
    mask, used = 0, bits
    if len(content) < 14:
        raise Unreadable
    if tag == EXTENSIBLE and len(content) >= 26:
        used, mask, tag = struct.unpack_from("<HIH", content, 18)
    return WaveFormat(
        tag=tag,
        channels=channels,
        rate=rate,
        byte_rate=byte_rate,
        block_bytes=_block_bytes(tag, channels, bits, block),
        block_samples=_block_samples(tag, content),
        microphones=channels > 2 and mask.bit_count() != channels,
        decoder=DECODERS.get(bits) if tag == PCM and 0 < used <= bits - 8 else None,
    )


def _block_bytes(tag: int, channels: int, bits: int, block: int) -> int:
    """Of PCM what the channels need, for a header may state another block."""
    if tag in (PCM, FLOAT, A_LAW, MU_LAW):
        needed = channels * ((bits + 7) // 8)
        return block if block >= needed > 0 and tag in (PCM, FLOAT) else needed
    return block


def _block_samples(tag: int, content: bytes) -> int:
    if tag in (PCM, FLOAT, A_LAW, MU_LAW):
        return 1
    stated = struct.unpack_from("<H", content, 18)[0] if len(content) >= 20 else 0
    return stated if tag in (MS_ADPCM, IMA_ADPCM, GSM) else 0
