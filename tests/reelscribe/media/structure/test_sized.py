"""Formats whose header states how much follows: a cut shows, and an intact one is not refused."""

import struct

import pytest

from tests.reelscribe.media.structure.conftest import Make, Read

SPHERE = (
    b"NIST_1A\n   1024\nsample_count -i 16000\nsample_rate -i 8000\nsample_n_bytes -i 2\nchannel_count -i 1\nend_head\n"
)
INTACT = {
    "sphere": SPHERE.ljust(1024) + bytes(32_000),
    "iff": b"FORM" + struct.pack(">I", 4 + 8 + 1000) + b"8SVXBODY" + struct.pack(">I", 1000) + bytes(1000),
    "dsf": b"DSD " + struct.pack("<QQQ", 28, 4096, 0) + bytes(4096 - 28),
}


@pytest.mark.parametrize("container", INTACT)
@pytest.mark.parametrize("percent", [10, 50, 90])
def test_a_cut_shows(container: str, percent: int, structure: Read) -> None:
    content = INTACT[container]
    assert (structure(content).container, structure(content).cut) == (container, None)
    assert structure(content[: len(content) * percent // 100]).cut


def test_a_sphere_states_its_length(structure: Read) -> None:
    assert structure(INTACT["sphere"]).seconds == 2.0


@pytest.mark.parametrize("percent", [10, 50, 90])
def test_sox_states_its_samples(percent: int, make: Make, structure: Read) -> None:
    content = make("a.sox", "-ac", "2").read_bytes()
    intact = structure(content)
    assert (intact.container, intact.cut) == ("sox", None)
    assert intact.audio and intact.audio[0].channels == 2
    assert intact.seconds == pytest.approx(structure(make("a.wav").read_bytes()).seconds, abs=0.01)
    assert structure(content[: len(content) * percent // 100]).cut


def test_a_gxf_ends_with_a_packet_that_says_so(structure: Read) -> None:
    packet = b"\0\0\0\0\x01%c\0\0\0\x10\0\0\0\0\xe1\xe2"
    content = packet % 0xBC + bytes(500) + packet % 0xFB
    assert (structure(content).container, structure(content).cut) == ("gxf", None)
    assert structure(content[:-16]).cut


def test_the_length_that_sox_writes_into_a_pipe_is_none(make: Make, structure: Read) -> None:
    content = bytearray(make("a.aiff").read_bytes())
    struct.pack_into(">I", content, content.index(b"SSND") + 4, 0x7F000008)
    struct.pack_into(">I", content, content.index(b"COMM") + 10, 0x7F000000 // 2)
    found = structure(bytes(content))
    assert (found.seconds, found.cut) == (None, None)
