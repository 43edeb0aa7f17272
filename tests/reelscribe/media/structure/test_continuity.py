"""Lost parts of a file are noticed by its chain of units; a hole in the recording is none."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from reelscribe.media.structure.continuity import is_continuous
from tests.reelscribe.media.files import ask

HOLE = "asetpts=PTS+gte(T\\,5)*3/TB"


def continuous(path: Path, container: str) -> bool:
    return ask(path, partial(is_continuous, container=container))


KINDS = (("a.mkv", "matroska", "libopus"), ("live.mkv", "matroska", "libopus"), ("a.ogg", "ogg", "libvorbis"))
"""Name of a file, its container and its codec."""


@pytest.fixture(params=KINDS, ids=lambda kind: kind[0])
def kind(request: pytest.FixtureRequest) -> tuple[str, str, str]:
    return request.param


@pytest.fixture
def make(tmp_path: Path, run_ffmpeg: Callable[..., None], kind: tuple[str, str, str]) -> Callable[..., Path]:
    def make(*options: str) -> Path:
        name, _, codec = kind
        noise = "anoisesrc=duration=10:amplitude=0.3:sample_rate=48000:seed=1"
        live = ("-live", "1") if name.startswith("live") else ()
        run_ffmpeg("-f", "lavfi", "-i", noise, *options, "-c:a", codec, *live, tmp_path / name)
        return tmp_path / name

    return make


def test_an_intact_file_is_continuous(make: Callable[..., Path], kind: tuple[str, str, str]) -> None:
    assert continuous(make(), kind[1])


def test_a_hole_in_the_recording_leaves_it_continuous(make: Callable[..., Path], kind: tuple[str, str, str]) -> None:
    assert continuous(make("-af", HOLE), kind[1])


def test_a_zeroed_tenth_does_not(make: Callable[..., Path], kind: tuple[str, str, str]) -> None:
    path = make()
    content = path.read_bytes()
    at, length = len(content) // 2, len(content) // 10
    path.write_bytes(content[:at] + bytes(length) + content[at + length :])
    assert not continuous(path, kind[1])


def test_a_tenth_that_is_missing_does_not(make: Callable[..., Path], kind: tuple[str, str, str]) -> None:
    path = make()
    content = path.read_bytes()
    at, length = len(content) // 2, len(content) // 10
    path.write_bytes(content[:at] + content[at + length :])
    assert not continuous(path, kind[1])


def test_two_files_one_after_the_other_are_continuous(make: Callable[..., Path], kind: tuple[str, str, str]) -> None:
    path = make()
    path.write_bytes(2 * path.read_bytes())
    assert continuous(path, kind[1])


def test_pages_that_are_missing_are_noticed_although_the_others_follow(
    tmp_path: Path, run_ffmpeg: Callable[..., None]
) -> None:
    path = tmp_path / "a.ogg"
    run_ffmpeg("-f", "lavfi", "-i", "sine=duration=20", "-c:a", "libvorbis", "-page_duration", "500000", path)
    content = path.read_bytes()
    pages = content.split(b"OggS")
    path.write_bytes(b"OggS".join([*pages[:8], *pages[12:]]))
    assert not continuous(path, "ogg")


@pytest.mark.parametrize("kind", [KINDS[2]], indirect=True)
def test_a_page_with_one_wrong_byte_does_not(make: Callable[..., Path]) -> None:
    path = make()
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    assert not continuous(path, "ogg")


def test_scrambled_packets_do_not(tmp_path: Path) -> None:
    packet = b"\x47\x01\x00\x10".ljust(188)
    for flags, expected in ((0x10, True), (0x90, False)):
        content = 10 * packet + packet[:3] + bytes([flags]) + packet[4:] + 10 * packet
        (tmp_path / "a.ts").write_bytes(content)
        assert continuous(tmp_path / "a.ts", "mpegts") is expected


def test_of_other_containers_nothing_is_known(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(bytes(1000))
    assert continuous(tmp_path / "a.mp4", "mp4")


def test_of_text_and_of_an_empty_file_nothing_is_lost_or_all(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"")
    assert continuous(path, "ogg")
    assert continuous(path, "matroska")
    path.write_text("text\n" * 100)
    assert not continuous(path, "ogg")
    assert not continuous(path, "matroska")
