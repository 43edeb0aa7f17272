"""Recordings with a clock in the picture and in the sound: the number of a picture, and of a sample, can be read.

Each picture shows its number as black and white blocks. The sound is noise that is the same nowhere, so that a piece of
it has one place only, also after a lossy codec.
"""

import io
import json
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from reelscribe.media.ffmpeg import FFmpeg

WIDTH, HEIGHT = 320, 180
BITS, BLOCK = 8, 40
FPS = 25
RATE = 48_000
SECONDS = 6
PICTURES = FPS * SECONDS


def pictures() -> bytes:
    """All pictures, as gray pixels."""
    shades = np.full((PICTURES, HEIGHT, WIDTH), 96, np.uint8)
    for number in range(PICTURES):
        for bit in range(BITS):
            shades[number, 40:140, bit * BLOCK : (bit + 1) * BLOCK] = 235 if number >> bit & 1 else 16
    return shades.tobytes()


@cache
def noise() -> NDArray[np.int16]:
    """The sound: noise up to 6 kHz, which lossy codecs keep."""
    spectrum = np.fft.rfft(np.random.default_rng(13).normal(size=RATE * SECONDS))
    spectrum[np.fft.rfftfreq(RATE * SECONDS, 1 / RATE) > 6000] = 0
    waves = np.fft.irfft(spectrum)
    return (waves / np.abs(waves).max() * 25_000).astype(np.int16)


def number_in(picture: bytes) -> int:
    """The number that a picture file shows."""
    with av.open(io.BytesIO(picture)) as container:
        shades = next(container.decode(video=0)).to_ndarray(format="gray")
    height, width = shades.shape
    block = width / BITS
    return sum(int(shades[height // 2, int((bit + 0.5) * block)] > 127) << bit for bit in range(BITS))


def place_of(sound: NDArray[np.int16]) -> int:
    """The sample of :func:`noise` with which a piece of sound begins."""
    whole = noise().astype(np.float64)
    size = len(whole) + len(sound)
    product = np.fft.rfft(whole, size) * np.conj(np.fft.rfft(sound.astype(np.float64), size))
    place = int(np.argmax(np.fft.irfft(product, size)))
    return place if place < len(whole) else place - size


@dataclass(frozen=True)
class Truth:
    """What FFmpeg's own tools say of a recording.

    Attributes:
        times: when each picture is shown, in seconds of the recording.
        pts: their timestamps.
    """

    times: Sequence[Fraction]
    pts: Sequence[int]

    def picture_at(self, seconds: Fraction) -> int | None:
        """The number of the picture that is shown then."""
        shown = [number for number, time in enumerate(self.times) if time <= seconds]
        return shown[-1] if shown else None


class Studio:
    """Makes recordings with the clock."""

    def __init__(self, ffmpeg: FFmpeg, folder: Path) -> None:
        self._ffmpeg = ffmpeg
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._shades, self._sound = folder.with_name("clock.gray"), folder.with_name("clock.s16")
        self._shades.write_bytes(pictures())
        self._sound.write_bytes(noise().tobytes())

    def make(self, name: str, *options: str, before: Sequence[str] = ()) -> Path:
        """A recording named ``name``; ``before`` are options of the picture's input."""
        path = self.folder / name
        self.run(
            *(*before, "-f", "rawvideo", "-pix_fmt", "gray", "-s", f"{WIDTH}x{HEIGHT}", "-r", str(FPS)),
            *("-i", str(self._shades), "-f", "s16le", "-ar", str(RATE), "-ac", "1", "-i", str(self._sound)),
            *("-pix_fmt", "yuv420p", *options, str(path)),
        )
        return path

    def truth(self, path: Path) -> Truth:
        """What ffprobe says of it."""
        entries = "format=start_time:stream=time_base:frame=best_effort_timestamp"
        command: list[str | Path] = [
            "ffprobe",
            "-v",
            "error",
            "-select_streams",
            "v:0",
            "-show_entries",
            entries,
            "-of",
            "json",
            path,
        ]
        described = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
        start, unit = Fraction(described["format"]["start_time"]), Fraction(described["streams"][0]["time_base"])
        start = max(start, Fraction(0))  # FFmpeg 5.1 counts the pre-skip of Opus, which is never played
        found = [frame.get("best_effort_timestamp") for frame in described["frames"]]
        step = found[2] - found[1]
        pts: list[int] = []
        for timestamp in found:  # what AVI and MPEG-PS have no timestamp for follows the one before
            pts.append(pts[-1] + step if timestamp is None else timestamp)
        return Truth([time * unit - start for time in pts], pts)

    def run(self, *arguments: str) -> None:
        """Run ffmpeg."""
        command: list[str | Path] = [
            self._ffmpeg.path,
            "-hide_banner",
            "-loglevel",
            "error",
            "-nostdin",
            "-y",
            *arguments,
        ]
        completed = subprocess.run(command, capture_output=True, text=True)
        assert completed.returncode == 0, completed.stderr
