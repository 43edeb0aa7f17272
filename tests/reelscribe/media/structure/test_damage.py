"""No content makes the reader raise or read much."""

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reelscribe.media.stored_object import StoredObject, open_file
from reelscribe.media.structure import bounded
from reelscribe.media.structure.reading import read_structure
from tests.conftest import THOROUGH
from tests.reelscribe.media.structure.conftest import Make
from tests.reelscribe.media.structure.test_table import CASES, ROWS

KEPT_BYTES = 6_000
"""Of the start and of the end of each recording."""


class Counted:
    """A content that says how much of it was read."""

    def __init__(self, content: bytes, claimed: int = 0) -> None:
        self.content, self.claimed, self.bytes, self.reads = content, claimed or len(content), 0, 0

    def read(self, offset: int, length: int) -> bytes:
        assert offset >= 0 and length >= 0
        self.bytes, self.reads = self.bytes + length, self.reads + 1
        return self.content[offset : offset + length].ljust(max(0, min(length, self.claimed - offset)), b"\0")

    @property
    def stored(self) -> StoredObject:
        descriptor = os.open(os.devnull, os.O_RDONLY)
        try:
            opened = open_file(descriptor, "x")
        finally:
            os.close(descriptor)
        return StoredObject(**{**vars(opened), "size": self.claimed, "read": self.read})


@pytest.fixture(scope="module")
def recordings(make: Make) -> list[bytes]:
    paths = [make(row.name, *row.options) for row in ROWS] + sorted(CASES.glob("*.*"))
    contents = [path.read_bytes() for path in paths]
    return [
        content if len(content) < 2 * KEPT_BYTES else content[:KEPT_BYTES] + content[-KEPT_BYTES:]
        for content in contents
    ]


@settings(
    max_examples=5000 if THOROUGH else 500, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(drawn=st.data())
def test_damage_anywhere_never_raises_and_costs_little(drawn: st.DataObject, recordings: list[bytes]) -> None:
    content = bytearray(drawn.draw(st.sampled_from(recordings)))
    for _ in range(drawn.draw(st.integers(0, 6))):
        at = drawn.draw(st.integers(0, len(content) - 1) | st.integers(0, min(len(content), 300) - 1))
        piece = drawn.draw(st.binary(min_size=1, max_size=8) | st.sampled_from([b"\0" * 4, b"\xff" * 4, b"\xff" * 8]))
        content[at : at + len(piece)] = piece
    kept = drawn.draw(st.just(len(content)) | st.integers(0, len(content)))
    counted = Counted(bytes(content[:kept]), drawn.draw(st.sampled_from([0, 1 << 33])))
    read_structure(counted.stored)
    assert counted.bytes <= bounded.MAX_BYTES and counted.reads <= bounded.MAX_FETCHES


@pytest.mark.parametrize("path", sorted(CASES.glob("*.*")), ids=lambda path: path.name)
def test_an_ordinary_recording_costs_a_few_small_reads(path: Path) -> None:
    counted = Counted(path.read_bytes())
    read_structure(counted.stored)
    assert counted.reads <= 40 and counted.bytes <= 1 << 20


def test_a_storage_that_fails_is_no_error_of_the_reader(make: Make) -> None:
    def fail(offset: int, length: int) -> bytes:
        raise OSError

    stored = StoredObject(**{**vars(Counted(bytes(100)).stored), "read": fail})
    assert read_structure(stored).container == "unknown"
