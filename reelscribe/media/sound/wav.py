"""The header of a WAV with 16-bit samples.

Chunk layout: Microsoft's RIFF and WAVEFORMATEXTENSIBLE, and EBU Tech 3306 for RF64, which holds over 4 GiB.
"""

import struct

SAMPLE_BYTES = 2
UNKNOWN_SIZE = 0xFFFFFFFF

_PCM, _EXTENSIBLE = 1, 0xFFFE
_PCM_SUBFORMAT = bytes.fromhex("0100000000001000800000aa00389b71")

SPEAKERS = {
    "mono": 0x4,
    "stereo": 0x3,
    "2.1": 0xB,
    "3.0": 0x7,
    "3.0(back)": 0x103,
    "4.0": 0x107,
    "quad": 0x33,
    "quad(side)": 0x603,
    "3.1": 0xF,
    "5.0": 0x37,
    "5.0(side)": 0x607,
    "4.1": 0x10F,
    "5.1": 0x3F,
    "5.1(side)": 0x60F,
    "6.0": 0x707,
    "6.0(front)": 0x6C3,
    "hexagonal": 0x137,
    "6.1": 0x70F,
    "6.1(back)": 0x13F,
    "6.1(front)": 0x6CB,
    "7.0": 0x637,
    "7.0(front)": 0x6C7,
    "7.1": 0x63F,
    "7.1(wide)": 0xFF,
    "7.1(wide-side)": 0x6CF,
    "octagonal": 0x737,
}
"""Speaker masks of the layouts that ffmpeg names (libavutil/channel_layout.c); any other has none."""


def wav_header(sample_rate: int, channels: int, layout: str | None, data_bytes: int | None, *, room: bool) -> bytes:
    """Everything before the samples.

    Args:
        layout: ffmpeg's name of the channel layout.
        data_bytes: of all samples; None if they are not known yet.
        room: leave room for the sizes of an RF64, so that the header can be written again once they are known.
    """
    format_chunk = _format(sample_rate, channels, SPEAKERS.get(layout or "", 0))
    length = 4 + (36 if room else 0) + 8 + len(format_chunk) + 8
    total = None if data_bytes is None else length + data_bytes
    wide = total is not None and total >= UNKNOWN_SIZE and room
    small = UNKNOWN_SIZE if total is None or total >= UNKNOWN_SIZE else None
    reserved = b""
    if wide:
        reserved = struct.pack("<4sIQQQI", b"ds64", 28, total, data_bytes, (data_bytes or 0) // (2 * channels), 0)
    elif room:
        reserved = struct.pack("<4sI28x", b"JUNK", 28)
    return b"".join(
        (
            struct.pack("<4sI4s", b"RF64" if wide else b"RIFF", small or total, b"WAVE"),
            reserved,
            struct.pack("<4sI", b"fmt ", len(format_chunk)),
            format_chunk,
            struct.pack("<4sI", b"data", small or data_bytes),
        )
    )


def _format(sample_rate: int, channels: int, speakers: int) -> bytes:
    frame = channels * SAMPLE_BYTES
    plain = channels <= 2
    head = struct.pack(
        "<HHIIHH", _PCM if plain else _EXTENSIBLE, channels, sample_rate, sample_rate * frame, frame, 8 * SAMPLE_BYTES
    )
    return head if plain else head + struct.pack("<HHI", 22, 8 * SAMPLE_BYTES, speakers) + _PCM_SUBFORMAT
