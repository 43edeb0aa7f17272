"""The recordings that the benches use, made from the speech in tests/speech."""

import json
import subprocess
import tempfile
import wave
from pathlib import Path
from typing import NamedTuple

import av
import numpy as np
import numpy.typing as npt

from reelscribe.media.ffmpeg import FFmpeg

Samples = npt.NDArray[np.float32]
"""16 kHz, mono, from -1 to 1."""

SAMPLE_RATE = 16_000
FOLDER = Path(__file__).parent.parent / "tests" / "speech"
LONGEST = FOLDER / "ten_minutes.ogg"
VIDEO_BITS_PER_SECOND = 4_000_000


class Sentence(NamedTuple):
    """A sentence, with its start and end in seconds."""

    start: float
    end: float
    text: str


def sentences(recording: Path) -> list[Sentence]:
    """The sentences of a file of tests/speech."""
    truth = json.loads(recording.with_suffix(".json").read_text())
    return [Sentence(one["start"], one["end"], one["text"]) for one in truth["segments"]]


def samples(recording: Path) -> Samples:
    """The decoded samples of a recording. (``decode_audio`` of faster-whisper 1.2 does not work with PyAV 19.)"""
    resampler = av.AudioResampler(format="s16", layout="mono", rate=SAMPLE_RATE)
    with av.open(str(recording)) as container:
        frames = [*container.decode(audio=0), None]  # None: what the resampler still holds
        parts = [part.to_ndarray().reshape(-1) for frame in frames for part in resampler.resample(frame)]
    return np.concatenate(parts).astype(np.float32) / 32768


def write_wav(path: Path, sound: Samples) -> Path:
    """Store ``sound`` as 16-bit WAV; returns ``path``."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE)
        file.writeframes((np.clip(sound, -1, 1) * 32767).round().astype("<i2").tobytes())
    return path


def make_video(binary: FFmpeg, path: Path, seconds: int) -> Path:
    """Make a long mp4 like a camera's: video of 4 Mbit/s, stereo AAC, the index at the end; returns ``path``."""
    with tempfile.TemporaryDirectory() as name:
        picture, sound = Path(name) / "picture.mp4", Path(name) / "sound.m4a"
        run = [str(binary.path), "-v", "error", "-nostdin", "-y"]
        subprocess.run(
            [*run, "-f", "lavfi", "-i", "testsrc2=size=1920x1080:rate=25:duration=4", "-c:v", "mpeg4", "-b:v",
             str(VIDEO_BITS_PER_SECOND), "-minrate", str(VIDEO_BITS_PER_SECOND), "-maxrate", str(VIDEO_BITS_PER_SECOND),
             "-bufsize", str(VIDEO_BITS_PER_SECOND), picture],
            check=True,
        )  # fmt: skip
        subprocess.run(
            [*run, "-t", str(seconds + 1), "-i", LONGEST, "-ac", "2", "-ar", "44100", "-c:a", "aac", "-b:a", "128k",
             sound],
            check=True,
        )  # fmt: skip
        subprocess.run(
            [*run, "-stream_loop", "-1", "-i", picture, "-stream_loop", "-1", "-i", sound, "-map", "0:v", "-map", "1:a",
             "-c", "copy", "-t", str(seconds), path],
            check=True,
        )  # fmt: skip
    path.read_bytes()  # into the page cache, for all that are compared
    return path


def extract(binary: FFmpeg, video: Path, path: Path) -> Path:
    """Extract the audio of a video as 16 kHz mono WAV, Whisper's input; returns ``path``."""
    command = [binary.path, "-v", "error", "-nostdin", "-y", "-i", video, "-vn", "-ar", str(SAMPLE_RATE), "-ac", "1"]
    subprocess.run([*command, "-c:a", "pcm_s16le", path], check=True)
    return path


def make_clips(folder: Path, count: int, seconds: float = 5.0) -> list[Path]:
    """Make short recordings that each begin just before a sentence of the longest recording."""
    sound, starts = samples(LONGEST), [sentence.start for sentence in sentences(LONGEST)]
    clips = []
    for number in range(count):
        first = int((starts[number * (len(starts) - 2) // count] - 0.3) * SAMPLE_RATE)
        clip = sound[first : first + int(seconds * SAMPLE_RATE)]
        clips.append(write_wav(folder / f"clip{number:03}.wav", clip))
    return clips
