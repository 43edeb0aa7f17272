"""The lengths that WAV and AVI declare, and whether a file ends between its units."""

import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from reelscribe.media.endings import ends_abruptly
from reelscribe.media.stored_object import StoredObject
from reelscribe.media.tracks import track_seconds
from tests.reelscribe.media.files import ask

Question = Callable[[StoredObject], object]


@pytest.fixture
def stored_as(tmp_path: Path) -> Callable[[bytes, Question], object]:
    """What a function says of a file with this content."""

    def answer(content: bytes, question: Question) -> object:
        (tmp_path / "file").write_bytes(content)
        return ask(tmp_path / "file", question)

    return answer


def wav(tag: int, length: int, before: bytes = b"", form: bytes = b"RIFF") -> bytes:
    """A WAV header of 16 kHz mono 16 bit whose data chunk says ``length``."""
    coding = struct.pack("<4sIHHIIHH", b"fmt ", 16, tag, 1, 16000, 32000, 2, 16)
    return form + b"\xff\xff\xff\xffWAVE" + before + coding + b"data" + struct.pack("<I", length) + bytes(100)


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (wav(1, 320_000), {0: 10.0}),
        (wav(0xFFFE, 320_000), {0: 10.0}),
        (wav(1, 320_000, b"LIST\x03\0\0\0abc\0"), {0: 10.0}),  # an odd chunk is padded
        (wav(1, 0xFFFFFFFF, b"ds64\x1c\0\0\0" + struct.pack("<QQQI", 0, 6_400_000_000, 0, 0), b"RF64"), {0: 200_000.0}),
        (wav(1, 0), {}),
        (wav(1, 0xFFFFFFFF), {}),
        (wav(1, 0x7FFFFFFF), {}),
        (wav(0x55, 320_000), {}),  # mp3 in a WAV: its rate is an average
        (b"RIFF\0\0\0\0WEBPVP8 ", {}),
        (b"", {}),
    ],
)
def test_a_wav_declares_its_data_unless_its_writer_could_not_know(
    stored_as: Callable[..., object], header: bytes, expected: dict[int, float]
) -> None:
    assert stored_as(header, track_seconds) == expected


def test_every_truncation_and_any_garbage_is_survived(
    stored_as: Callable[..., object], tmp_path: Path, make_video: Callable[..., Path]
) -> None:
    avi = make_video(tmp_path / "a.avi").read_bytes()
    assert stored_as(avi, track_seconds) == {0: pytest.approx(7.7, abs=0.3), 1: pytest.approx(7.5, abs=0.2)}
    for intact in (avi, wav(1, 320_000)):
        for length in range(0, 400, 3):
            stored_as(intact[:length], track_seconds)
            stored_as(intact[:length] + b"\xff" * 200, track_seconds)


def page(data: bytes) -> bytes:
    return b"OggS" + bytes(22) + bytes([1, len(data)]) + data


def tag(data: bytes) -> bytes:
    return b"\x08" + len(data).to_bytes(3, "big") + bytes(7) + data + (len(data) + 11).to_bytes(4, "big")


def box(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(data), kind) + data


@pytest.mark.parametrize(
    "units",
    [
        [page(b"first"), page(b"second")],
        [b"FLV\x01\x05\0\0\0\x09\0\0\0\0" + tag(b"first"), tag(b"second")],
        [b"G" + bytes(187)] * 3 + [b"G" + bytes(187)],
        [box(b"ftyp", b"isom"), box(b"moof", b"x" * 20), box(b"mdat", b"y" * 30)],
    ],
    ids=["ogg", "flv", "ts", "mp4"],
)
def test_only_an_end_within_a_unit_is_abrupt(stored_as: Callable[..., object], units: list[bytes]) -> None:
    file = b"".join(units)
    assert stored_as(file, ends_abruptly) is False
    assert [stored_as(file[:-cut], ends_abruptly) for cut in range(1, len(units[-1]))] == [True] * (len(units[-1]) - 1)


@pytest.mark.parametrize(
    "content", [b"", b"O", b"ID3" + bytes(500), b"RIFF" + bytes(100), b"\x1aE\xdf\xa3" + bytes(99)]
)
def test_nothing_is_said_of_other_files(stored_as: Callable[..., object], content: bytes) -> None:
    assert stored_as(content, ends_abruptly) is False
