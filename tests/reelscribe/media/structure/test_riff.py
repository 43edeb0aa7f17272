"""WAV, Wave64 and AVI: what a header may say, and what it must not be trusted with."""

import struct

import pytest

from tests.reelscribe.media.structure.conftest import Make, Read, chunk


def form(tag: int = 1, channels: int = 1, mask: int | None = None, byte_rate: int | None = None) -> bytes:
    """16 kHz, 16 bit."""
    rate = 32_000 * channels if byte_rate is None else byte_rate
    usual = struct.pack("<HHIIHH", tag if mask is None else 0xFFFE, channels, 16_000, rate, 2 * channels, 16)
    return usual if mask is None else usual + struct.pack("<HHIH14x", 22, 16, mask, tag)


def wav(
    content: bytes, length: int | None = None, fmt: bytes = form(), before: bytes = b"", name: bytes = b"RIFF"
) -> bytes:
    return name + b"\xff" * 4 + b"WAVE" + before + chunk(b"fmt ", fmt) + chunk(b"data", content, length)


SECOND = bytes(32_000)
PLACEHOLDERS = [0, 0xFFFFFFFF, 0xFFFFFFFF - 36, 0x7FFFFFFF, 0x7FFFF000, 0x7FFF0000, 0x80000000, 0x80000024]


@pytest.mark.parametrize("length", PLACEHOLDERS, ids=hex)
def test_what_a_pipe_leaves_as_length_is_none(length: int, structure: Read) -> None:
    found = structure(wav(SECOND, length))
    assert (found.seconds, found.cut, found.seekable) == (None, None, True)


@pytest.mark.parametrize(
    "before", [b"", chunk(b"LIST", b"abc"), chunk(b"bext", bytes(5_000)), chunk(b"JUNK", bytes(70_001))]
)
def test_chunks_before_the_sound_are_skipped(before: bytes, structure: Read) -> None:
    assert structure(wav(SECOND, before=before)).seconds == 1.0


@pytest.mark.parametrize("name", [b"RF64", b"BW64"])
def test_a_length_of_64_bits_is_in_its_own_chunk(name: bytes, structure: Read) -> None:
    for stated, expected in ((6_400_000_000, 200_000.0), (0, None), (2**64 - 1, None)):
        wide = chunk(b"ds64", struct.pack("<QQQI", 0, stated, 0, 0))
        found = structure(wav(SECOND, 0xFFFFFFFF, before=wide, name=name))
        assert found.seconds == expected
        assert bool(found.cut) == (expected is not None)


def test_a_byte_rate_is_not_trusted(structure: Read) -> None:
    found = structure(wav(SECOND, fmt=form(byte_rate=16_000)))
    assert (found.seconds, found.seekable) == (1.0, False)


def test_a_count_of_samples_counts_if_it_is_plausible(structure: Read) -> None:
    for samples, expected in ((32_000, 2.0), (33_000, 2.0625), (1_000, None), (0, None), (0xFFFFFFFF, None)):
        before = chunk(b"fact", struct.pack("<I", samples))
        found = structure(wav(SECOND, fmt=form(tag=0x55, byte_rate=16_000), before=before))
        assert found.seconds == (None if expected is None else pytest.approx(expected))


@pytest.mark.parametrize(
    ("channels", "mask", "microphones"),
    [
        (1, None, False),
        (2, None, False),
        (3, None, True),
        (16, None, True),
        (6, 0, True),
        (6, 0x3F, False),
        (6, 3, True),
    ],
)
def test_channels_without_a_mask_are_microphones(
    channels: int, mask: int | None, microphones: bool, structure: Read
) -> None:
    [track] = structure(wav(SECOND, fmt=form(channels=channels, mask=mask))).audio or ()
    assert (track.channels, track.microphones) == (channels, microphones)


@pytest.mark.parametrize(
    ("bits", "used", "decoder"),
    [(32, 24, "pcm_s32le"), (24, 16, "pcm_s24le"), (16, 8, "pcm_s16le"), (32, 32, None), (24, 20, None), (16, 0, None)],
)
def test_samples_in_more_bytes_than_they_need_have_a_decoder(
    bits: int, used: int, decoder: str | None, structure: Read
) -> None:
    usual = struct.pack("<HHIIHH", 0xFFFE, 1, 16_000, 2_000 * bits, bits // 8, bits)
    [track] = structure(wav(bytes(2_000 * bits), fmt=usual + struct.pack("<HHIH14x", 22, used, 4, 1))).audio or ()
    assert (track.decoder, track.seconds) == (decoder, 1.0)


def test_an_avi_from_a_pipe_states_nothing_that_is_wrong(make: Make, structure: Read) -> None:
    content = bytearray(make("a.avi", "-c:a", "pcm_s16le").read_bytes())
    content[4:8] = bytes(4)
    assert structure(bytes(content)).cut is None


def test_the_silence_of_empty_chunks_is_listed(make: Make, structure: Read) -> None:
    [track] = structure(make("p.avi", "-c:a", "libmp3lame", picture=True, late=True)).audio or ()
    [(start, length)] = track.holes
    assert start + length == pytest.approx(4.0, abs=0.1)
    assert track.seconds == pytest.approx(7.0, abs=0.1)


def test_an_avi_without_empty_chunks_has_no_holes(make: Make, structure: Read) -> None:
    [track] = structure(make("a.avi", "-c:a", "libmp3lame")).audio or ()
    assert track.holes == ()
