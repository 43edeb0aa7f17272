"""Recordings with a clock in the picture and in the sound, and how to read both."""

import subprocess
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt
from av.video.reformatter import VideoReformatter

WIDTH, HEIGHT, FPS, SECONDS, SAMPLE_RATE = 160, 90, 25, 8, 48_000
BITS = 10
GREEN = (40, 200, 40)
"""Of the lower half of each picture; the upper one has the picture's number in black and white blocks."""

TAGS = "setparams=colorspace=bt709:color_primaries=bt709:color_trc=bt709:range=tv"
H264 = ("-c:v", "libx264", "-preset", "veryfast", "-g", "50", "-bf", "2", "-threads", "1", "-crf", "18")
AAC = ("-c:a", "aac", "-b:a", "128k")
KINDS: dict[str, tuple[str, ...]] = {
    "clock.mp4": (*H264, *AAC, "-movflags", "+faststart"),
    "clock.mkv": (*H264, "-c:a", "flac"),
    "clock.webm": ("-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8", "-g", "50", "-c:a", "libopus"),
    "clock.ts": (*H264, *AAC),
    "clock.mpg": (
        "-c:v",
        "mpeg2video",
        "-g",
        "12",
        "-bf",
        "2",
        "-q:v",
        "2",
        "-c:a",
        "mp2",
        "-b:a",
        "192k",
        "-f",
        "vob",
    ),
}

Samples = npt.NDArray[np.int16]


@cache
def noise() -> Samples:
    """The clock of the sound: no two moments of it are alike."""
    samples = np.convolve(np.random.default_rng(1).standard_normal(SAMPLE_RATE * SECONDS), np.ones(12) / 12, "same")
    return (samples / np.abs(samples).max() * 12_000).astype("<i2")


@cache
def spectrum_of_noise(size: int) -> npt.NDArray[np.complex128]:
    return np.fft.rfft(noise().astype(float), size)


def pictures() -> bytes:
    frames = np.zeros((FPS * SECONDS, HEIGHT, WIDTH, 3), np.uint8)
    frames[:, HEIGHT // 2 :] = GREEN
    block = WIDTH // BITS
    for bit in range(BITS):
        lit = np.arange(FPS * SECONDS) >> bit & 1 == 1
        frames[lit, : HEIGHT // 2, bit * block : (bit + 1) * block] = 255
    return frames.tobytes()


def make_all(folder: Path, ffmpeg: Path) -> None:
    """All kinds of them in a folder."""
    (folder / "pictures.rgb").write_bytes(pictures())
    (folder / "noise.s16").write_bytes(noise().tobytes())
    for name, options in KINDS.items():
        make(folder, ffmpeg, name, *options)
    content = (folder / "clock.mp4").read_bytes()
    (folder / "half.mp4").write_bytes(content[: len(content) // 2])


def make(
    folder: Path,
    ffmpeg: Path,
    name: str,
    *options: str,
    filters: str = TAGS,
    pixels: str = "yuv420p",
    matrix: str = "bt709",
) -> None:
    """One recording of these pictures and this noise."""
    shape = ("-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{WIDTH}x{HEIGHT}", "-r", str(FPS))
    sound = ("-f", "s16le", "-ar", str(SAMPLE_RATE), "-ac", "1")
    colours = f"scale=out_color_matrix={matrix}:out_range=tv,format={pixels},{filters}"
    command = [
        str(ffmpeg),
        *("-hide_banner", "-loglevel", "error", "-nostdin", "-y", *shape, "-i", "pictures.rgb"),
        *(*sound, "-i", "noise.s16", "-vf", colours, *options, name),
    ]
    completed = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert completed.returncode == 0, completed.stderr


@dataclass(frozen=True)
class Shown:
    """One picture as it is played: when, and its number in the recording."""

    seconds: Fraction
    number: int


def number_of(picture: npt.NDArray[Any]) -> int:
    """The number in a picture of any size, of which the luma or one colour is given."""
    row, block = picture[picture.shape[0] // 4], picture.shape[1] / BITS
    return sum(int(row[int((bit + 0.5) * block)] > 128) << bit for bit in range(BITS))


def played(content: bytes | Path) -> list[Shown]:
    """The pictures of a video, on its own timeline."""
    grey = VideoReformatter()  # one for all: a picture of its own takes longer to prepare one than to decode
    with av.open(BytesIO(content) if isinstance(content, bytes) else str(content)) as video:
        [stream] = video.streams.video
        return [
            Shown(frame.pts * stream.time_base, number_of(grey.reformat(frame, format="gray").to_ndarray()))
            for frame in video.decode(stream)
        ]


def origin(path: Path) -> float:
    """When a recording begins on its own clock: the first timestamp of all its packets."""
    with av.open(str(path)) as video:
        if video.format.name not in ("mpegts", "mpeg"):
            return (video.start_time or 0) / 1_000_000
        return float(min(packet.pts * packet.time_base for packet in video.demux() if packet.pts is not None))


def at(path: Path, seconds: float) -> int:
    """The number of the picture that a recording shows at a time of its own clock, from a decoding of all of it."""
    return [shown.number for shown in played(path) if shown.seconds <= seconds][-1]


def sound_of(content: bytes | Path) -> Samples:
    """The sound of a video as it is played: each sample at its time, and none before zero."""
    sound = np.zeros(SAMPLE_RATE * (SECONDS + 2), np.int16)
    with av.open(BytesIO(content) if isinstance(content, bytes) else str(content)) as video:
        [stream] = video.streams.audio
        mono = av.AudioResampler("s16", "mono", SAMPLE_RATE)
        for frame in video.decode(stream):
            first = round(frame.pts * frame.time_base * SAMPLE_RATE)
            for part in mono.resample(frame):
                samples = part.to_ndarray()[0][max(0, -first) :]
                sound[max(0, first) : max(0, first) + len(samples)] = samples[: len(sound) - max(0, first)]
    return sound


def place_in_noise(samples: Samples, at_sample: int = 4800, length: int = 4800) -> int:
    """The sample of the noise that the first one of ``samples`` is, found by what comes ``at_sample`` later."""
    piece = samples[at_sample : at_sample + length].astype(float)
    spectrum = spectrum_of_noise(size := 1 << (len(noise()) + length).bit_length())
    matches = np.fft.irfft(spectrum * np.conj(np.fft.rfft(piece, size)), size)[: len(noise()) - length]
    return int(matches.argmax()) - at_sample
