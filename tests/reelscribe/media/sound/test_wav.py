"""The header of a WAV: read by Python's wave module and by ffmpeg, and with 64-bit sizes over 4 GiB."""

import io
import struct
import subprocess
import wave
from pathlib import Path

import pytest

from reelscribe.media.ffmpeg import FFmpeg
from reelscribe.media.sound.wav import SPEAKERS, UNKNOWN_SIZE, wav_header

FORMAT_AT = {False: 20, True: 56}
"""Where the content of the format chunk begins, without and with room for 64-bit sizes."""


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("room", [False, True])
def test_pythons_wave_module_reads_it(channels: int, room: bool) -> None:
    samples = bytes(range(200)) * channels
    header = wav_header(44_100, channels, None, len(samples), room=room)
    with wave.open(io.BytesIO(header + samples)) as read:
        assert (read.getframerate(), read.getnchannels(), read.getsampwidth()) == (44_100, channels, 2)
        assert (read.getnframes(), read.readframes(100)) == (100, samples)
    assert struct.unpack_from("<I", header, 4)[0] == len(header) + len(samples) - 8


@pytest.mark.parametrize("channels", [1, 2, 6])
@pytest.mark.parametrize("room", [False, True])
def test_a_header_that_is_written_again_has_the_same_length(channels: int, room: bool) -> None:
    sizes = (None, 0, 12_000, 5 << 30)
    assert len({len(wav_header(48_000, channels, None, size, room=room)) for size in sizes}) == 1


@pytest.mark.parametrize("room", [False, True])
def test_unknown_sizes_are_the_largest_ones(room: bool) -> None:
    header = wav_header(16_000, 1, "mono", None, room=room)
    assert header[:4] == b"RIFF"
    assert struct.unpack_from("<I", header, 4) == struct.unpack("<I", header[-4:]) == (UNKNOWN_SIZE,)


def test_over_4_gib_it_is_an_rf64() -> None:
    size = 6 << 30
    header = wav_header(48_000, 2, "stereo", size, room=True)
    assert struct.unpack_from("<4sI4s4sI", header) == (b"RF64", UNKNOWN_SIZE, b"WAVE", b"ds64", 28)
    assert struct.unpack_from("<QQQI", header, 20) == (len(header) + size - 8, size, size // 4, 0)
    assert header[-8:] == struct.pack("<4sI", b"data", UNKNOWN_SIZE)


@pytest.mark.parametrize("size", [UNKNOWN_SIZE - 73, UNKNOWN_SIZE - 72, UNKNOWN_SIZE])
def test_it_becomes_an_rf64_when_the_size_of_the_file_needs_it(size: int) -> None:
    header = wav_header(48_000, 2, "stereo", size, room=True)
    assert len(header) == 80
    assert (header[:4] == b"RF64") == (len(header) + size - 8 >= UNKNOWN_SIZE)


def test_without_room_a_size_over_4_gib_is_unknown() -> None:
    header = wav_header(48_000, 1, "mono", 5 << 30, room=False)
    assert (header[:4], header[-4:]) == (b"RIFF", b"\xff\xff\xff\xff")


@pytest.mark.parametrize("layout", [layout for layout in SPEAKERS if layout not in ("mono", "stereo")])
def test_the_speakers_of_a_layout_are_those_of_ffmpeg(local_ffmpeg: FFmpeg, layout: str) -> None:
    source = f"anullsrc=channel_layout={layout}:sample_rate=8000"
    command: list[str | Path] = [local_ffmpeg.path, "-v", "error", "-f", "lavfi", "-t", "0.01", "-i", source]
    written = subprocess.run([*command, "-bitexact", "-f", "wav", "-"], capture_output=True)
    if b"Error" in written.stderr or b"Invalid" in written.stderr:
        pytest.skip(f"this ffmpeg has no layout {layout}")
    header = wav_header(8000, bin(SPEAKERS[layout]).count("1"), layout, None, room=False)
    at = FORMAT_AT[False]
    assert header[at : at + 40] == written.stdout[at : at + 40]


def test_channels_without_a_layout_have_no_speakers() -> None:
    header = wav_header(48_000, 9, "9 channels", None, room=True)
    kind, channels = struct.unpack_from("<HH", header, FORMAT_AT[True])
    size, bits, speakers = struct.unpack_from("<HHI", header, FORMAT_AT[True] + 16)
    assert (kind, channels, size, bits, speakers) == (0xFFFE, 9, 22, 16, 0)
