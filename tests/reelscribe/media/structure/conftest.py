"""Short recordings in every container, made with ffmpeg, and their structure."""

import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from reelscribe.media.structure.facts import Structure
from reelscribe.media.structure.reading import read_structure
from tests.reelscribe.media.files import ask

SOUND = ("-f", "lavfi", "-i", "aevalsrc=0.3*sin(2*PI*440*t):s=44100:d=3")
PICTURE = ("-f", "lavfi", "-i", "testsrc=s=64x48:r=25:d=5")
LATE_SECONDS = 4

Read = Callable[[Path | bytes], Structure]
Make = Callable[..., Path]


@pytest.fixture
def structure(tmp_path: Path) -> Read:
    """The structure of a file, or of this content."""

    def read(recording: Path | bytes) -> Structure:
        if isinstance(recording, bytes):
            path = tmp_path / "content"
            path.write_bytes(recording)
            return ask(path, read_structure)
        return ask(recording, read_structure)

    return read


@pytest.fixture(scope="session")
def make(run_ffmpeg: Callable[..., None], tmp_path_factory: pytest.TempPathFactory) -> Make:
    """3 s of sound in a container, by name and options; with ``picture`` 5 s of picture come first.

    ``late`` delays the sound by 4 s. What was made once is not made again.
    """
    folder = tmp_path_factory.mktemp("structure")
    made: dict[object, Path] = {}

    def recording(name: str, *options: str, picture: bool = False, late: bool = False) -> Path:
        key = name, options, picture, late
        if key not in made:
            path = folder / f"{len(made)}-{name}"
            shift = ("-itsoffset", str(LATE_SECONDS)) if late else ()
            inputs = (*PICTURE, *shift, *SOUND, "-map", "0", "-map", "1") if picture else SOUND
            run_ffmpeg(*inputs, *options, path)
            made[key] = path
        return made[key]

    return recording


def chunk(kind: bytes, content: bytes, length: int | None = None) -> bytes:
    """Of RIFF, with its padding."""
    size = len(content) if length is None else length
    return kind + struct.pack("<I", size) + content + bytes(len(content) % 2)


def box(kind: bytes, content: bytes) -> bytes:
    """Of MP4."""
    return struct.pack(">I4s", 8 + len(content), kind) + content
