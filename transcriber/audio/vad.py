"""Voice activity detection: Silero VAD on a stream, with the results that faster-whisper has for a complete file."""

import functools
import os
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import onnxruntime
from faster_whisper.utils import get_assets_path
from faster_whisper.vad import VadOptions

Samples = npt.NDArray[np.float32]

SAMPLE_RATE = 16_000
FRAME_SAMPLES = 512
CONTEXT_SAMPLES = 64
SHORT_SILENCE_SAMPLES = 98 * SAMPLE_RATE // 1000
"""A silence at which speech that grows too long may be cut."""


class Piece(NamedTuple):
    """A stretch of the stream, in samples from its start."""

    start: int
    end: int


class SpeechProbabilities:
    """Silero VAD's probability of speech in each frame of 512 samples; it keeps its state from block to block."""

    def __init__(self) -> None:
        self._session = _silero()
        self._h = np.zeros((1, 1, 128), np.float32)
        self._c = np.zeros((1, 1, 128), np.float32)
        self._context = np.zeros((1, CONTEXT_SAMPLES), np.float32)
        self._rest = np.empty(0, np.float32)

    def feed(self, samples: Samples) -> list[float]:
        """The probabilities of the frames that ``samples`` completes."""
        samples = np.concatenate((self._rest, samples))
        end = len(samples) - len(samples) % FRAME_SAMPLES
        self._rest = samples[end:]
        return self._judge(samples[:end]) if end else []

    def finish(self) -> list[float]:
        """The probability of the last frame, filled up with silence."""
        return self._judge(np.pad(self._rest, (0, FRAME_SAMPLES - len(self._rest))))

    def _judge(self, samples: Samples) -> list[float]:
        frames = samples.reshape(-1, FRAME_SAMPLES)
        tails = np.concatenate((self._context, frames[:, -CONTEXT_SAMPLES:]))
        self._context = tails[-1:]
        frames = np.concatenate((tails[:-1], frames), axis=1)
        probabilities, self._h, self._c = self._session.run(None, {"input": frames, "h": self._h, "c": self._c})
        return [float(probability) for probability in probabilities]


@functools.lru_cache(maxsize=1)
def _silero() -> Any:
    """The network inside faster-whisper, in several threads.

    Nine tenths of its work are convolutions, which see one frame each: threads share them without changing a bit of
    the result, whereas a recording that is cut for them would have to be processed twice around each cut. Half of the
    cores are left for the model and for FFmpeg.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = max(1, len(os.sched_getaffinity(0)) // 2)
    options.inter_op_num_threads = 1
    options.enable_cpu_mem_arena = False
    options.log_severity_level = 4
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    (network,) = Path(get_assets_path()).glob("silero_vad*.onnx")
    return onnxruntime.InferenceSession(str(network), options, providers=["CPUExecutionProvider"])


class SpeechPieces:
    """``faster_whisper.vad.get_speech_timestamps``, one frame at a time: the pieces with speech.

    A piece comes out as soon as nothing that follows can change it.

    Args:
        options: of the voice activity detection; ``min_speech_duration_ms`` is not offered.
    """

    def __init__(self, options: VadOptions) -> None:
        self._threshold = options.threshold
        self._neg_threshold = options.neg_threshold or max(options.threshold - 0.15, 0.01)
        self._pad: int = options.speech_pad_ms * SAMPLE_RATE // 1000
        self._min_silence = options.min_silence_duration_ms * SAMPLE_RATE / 1000
        self._max_speech = options.max_speech_duration_s * SAMPLE_RATE - FRAME_SAMPLES - 2 * self._pad
        self._position = 0
        self._speaking_since: int | None = None
        # 0 means none in these three: the start of the current silence, the start of the last short silence (a cut is
        # possible there), and the position at which speech resumed after it.
        self._silent_since = self._cut = self._resumed = 0
        self._padded_start = 0
        self._unpadded_end: int | None = None
        self._found: list[Piece] = []

    @property
    def settled(self) -> int:
        """Samples before this one belong to pieces that have come out, or to none."""
        if self._speaking_since is not None or self._unpadded_end is not None:
            return self._padded_start
        return max(0, self._position - self._pad)

    def feed(self, probability: float) -> list[Piece]:
        """Take the probability of the next frame; the pieces that it settles."""
        self._step(probability)
        self._position += FRAME_SAMPLES
        if self._unpadded_end is not None and self._position - self._unpadded_end >= 2 * self._pad:
            self._put(self._unpadded_end + self._pad)
        return self._take()

    def finish(self, length: int) -> list[Piece]:
        """The pieces left at the end of a stream of ``length`` samples."""
        if self._speaking_since is not None and length > self._speaking_since:
            self._end(length)
        if self._unpadded_end is not None:
            self._put(min(length, self._unpadded_end + self._pad))
        return self._take()

    def _step(self, probability: float) -> None:
        position, speech = self._position, probability >= self._threshold
        if speech and self._silent_since:
            self._silent_since = 0
            if self._resumed < self._cut:
                self._resumed = position
        if self._speaking_since is None:
            if speech:
                self._begin(position)
            return
        if position - self._speaking_since > self._max_speech:
            if not self._cut:
                self._end(position)
                return
            resumed = self._resumed if self._resumed >= self._cut else None
            self._end(self._cut)
            if resumed is None:
                return
            self._begin(resumed)
        if probability < self._neg_threshold:
            self._silent_since = self._silent_since or position
            if position - self._silent_since > SHORT_SILENCE_SAMPLES:
                self._cut = self._silent_since
            if position - self._silent_since >= self._min_silence:
                self._end(self._silent_since)

    def _begin(self, start: int) -> None:
        padding = self._pad
        if self._unpadded_end is not None:  # the two share the silence between them
            padding = min(padding, (start - self._unpadded_end) // 2)
            self._put(self._unpadded_end + padding)
        self._speaking_since, self._padded_start = start, max(0, start - padding)

    def _end(self, end: int) -> None:
        self._speaking_since, self._unpadded_end = None, end
        self._silent_since = self._cut = self._resumed = 0

    def _put(self, end: int) -> None:
        self._found.append(Piece(self._padded_start, end))
        self._unpadded_end = None

    def _take(self) -> list[Piece]:
        found, self._found = self._found, []
        return found
