"""Cutting a stream at pauses into windows that fit the model, keeping no more audio than the open window."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from math import ceil
from typing import Protocol

import numpy as np
from faster_whisper.vad import SpeechTimestampsMap, VadOptions

from transcriber.audio.vad import FRAME_SAMPLES, SAMPLE_RATE, Piece, Samples, SpeechPieces, SpeechProbabilities

MAX_WINDOW_SECONDS = 30
"""What Whisper processes in one piece."""

VAD_OPTIONS = VadOptions(max_speech_duration_s=MAX_WINDOW_SECONDS, min_silence_duration_ms=160)
"""Those of faster-whisper's BatchedInferencePipeline."""


class Timeline:
    """Maps the times in a window to those in the recording.

    Args:
        pieces: in samples of the stream.
        offset: of the stream in the recording, in seconds.
        probabilities: of speech, in each frame; None: all of it is speech.
    """

    def __init__(self, pieces: list[Piece], offset: float, probabilities: Sequence[float] | None = None) -> None:
        self.pieces = pieces
        self._probabilities = probabilities
        self._offset = offset
        self._seconds = sum(piece.end - piece.start for piece in pieces) / SAMPLE_RATE
        self._map = SpeechTimestampsMap([piece._asdict() for piece in pieces], SAMPLE_RATE)

    def span(self, start: float, end: float) -> tuple[float, float]:
        """A segment's start and end in the recording, from those in the window (all in seconds)."""
        start, end = self._inside(start), self._inside(end)
        first = self._shift(self._map.get_original_time(start))
        return first, max(first, self._shift(self._map.get_original_time(end, is_end=True)))

    def word_span(self, start: float, end: float) -> tuple[float, float]:
        """Like :meth:`span`, for a word: it is never split between two pieces."""
        start, end = self._inside(start), self._inside(end)
        piece = self._map.get_chunk_index((start + end) / 2)
        first, last = (self._shift(self._map.get_original_time(time, piece)) for time in (start, end))
        return first, last

    @property
    def pauses(self) -> tuple[float, ...] | None:
        """Seconds of the window between two of its pieces; None if silence has not been left out."""
        if self._probabilities is not None:
            return None
        lengths = accumulate(piece.end - piece.start for piece in self.pieces[:-1])
        return tuple(length / SAMPLE_RATE for length in lengths)

    def is_silent(self, start: float, end: float) -> bool:
        """Whether Silero VAD finds no speech between two times of the window."""
        if self._probabilities is None:
            return False
        first, last = (int(time * SAMPLE_RATE) // FRAME_SAMPLES for time in (self._inside(start), self._inside(end)))
        first = min(first, len(self._probabilities) - 1)  # the end of the window is in no frame
        return bool(max(self._probabilities[first : last + 1], default=1.0) < VAD_OPTIONS.threshold)

    def _inside(self, time: float) -> float:
        return min(time, self._seconds)

    def _shift(self, time: float) -> float:
        return round(self._offset + time, 2)


@dataclass(frozen=True)
class Window:
    """Audio for one call of the model.

    Attributes:
        audio: the pieces, joined.
        timeline: maps its times to the recording.
        resume: second of the recording, in a pause: all before it is in this window, in earlier ones, or silent.
        longest_pause: seconds of silence that it may hold in one stretch.
    """

    audio: Samples
    timeline: Timeline
    resume: float
    longest_pause: float = 0.0

    @property
    def seconds(self) -> float:
        """Length of the audio."""
        return len(self.audio) / SAMPLE_RATE


class Windows(Protocol):
    """What cuts a stream into windows."""

    def feed(self, samples: Samples) -> list[Window]:
        """Take the next samples; the windows that they complete."""

    def finish(self) -> list[Window]:
        """What is left at the end of the stream."""

    @property
    def settled(self) -> float:
        """Second of the recording before which all audio is silent or in a window that has been returned."""


class SpeechWindows:
    """Windows of speech, without the silence between: those that BatchedInferencePipeline makes of a complete file.

    Args:
        max_seconds: longest window.
        offset: of the stream in the recording, in seconds.
        vad: what counts as speech; no piece of it is longer than 30 s.
    """

    def __init__(self, max_seconds: float, offset: float, vad: VadOptions = VAD_OPTIONS) -> None:
        self._max_samples = int(max_seconds * SAMPLE_RATE)
        self._offset = offset
        self._tape = _Tape()
        self._probabilities = SpeechProbabilities()
        self._speech = SpeechPieces(vad)
        self._longest_pause = (2 * vad.speech_pad_ms + vad.min_silence_duration_ms) / 1000
        self._open: list[tuple[Piece, Samples]] = []

    def feed(self, samples: Samples) -> list[Window]:
        self._tape.add(samples)
        windows = [
            window
            for probability in self._probabilities.feed(samples)
            for window in self._collect(self._speech.feed(probability))
        ]
        self._tape.drop(self._speech.settled)
        return windows

    def finish(self) -> list[Window]:
        windows = [
            window
            for probability in self._probabilities.finish()
            for window in self._collect(self._speech.feed(probability))
        ]
        windows += self._collect(self._speech.finish(self._tape.end))
        return windows + ([self._close(self._offset + self._tape.end / SAMPLE_RATE)] if self._open else [])

    @property
    def settled(self) -> float:
        return self._start_of_frame(self._open[0][0].start if self._open else self._speech.settled)

    def _collect(self, pieces: Iterable[Piece]) -> list[Window]:
        windows = []
        for piece in pieces:
            length = sum(len(audio) for _, audio in self._open)
            if self._open and length + piece.end - piece.start > self._max_samples:
                windows.append(self._close(self._start_of_frame(piece.start)))
            self._open.append((piece, self._tape.cut(piece)))
        return windows

    def _close(self, resume: float) -> Window:
        pieces, audio = [piece for piece, _ in self._open], [audio for _, audio in self._open]
        self._open = []
        return Window(np.concatenate(audio), Timeline(pieces, self._offset), resume, self._longest_pause)

    def _start_of_frame(self, sample: int) -> float:
        """The second of the recording at which the frame of a sample begins.

        A stream that starts there has the same frames as this one, and so the same pauses and windows.
        """
        return self._offset + sample // FRAME_SAMPLES * FRAME_SAMPLES / SAMPLE_RATE


class GaplessWindows:
    """Windows that leave nothing out; each is cut where speech is least likely in the last sixth of the longest one.

    Args:
        max_seconds: longest window.
        offset: of the stream in the recording, in seconds.
    """

    def __init__(self, max_seconds: float, offset: float) -> None:
        self._max_frames = int(max_seconds * SAMPLE_RATE) // FRAME_SAMPLES
        self._offset = offset
        self._tape = _Tape()
        self._vad = SpeechProbabilities()
        self._probabilities: list[float] = []

    def feed(self, samples: Samples) -> list[Window]:
        self._tape.add(samples)
        self._probabilities += self._vad.feed(samples)
        windows = []
        while len(self._probabilities) >= self._max_frames:
            first = self._max_frames * 5 // 6
            frames = first + int(np.argmin(self._probabilities[first : self._max_frames])) + 1
            windows.append(self._cut(self._tape.start + frames * FRAME_SAMPLES))
        return windows

    def finish(self) -> list[Window]:
        if self._tape.end == self._tape.start:
            return []
        self._probabilities += self._vad.finish()
        return [self._cut(self._tape.end)]

    @property
    def settled(self) -> float:
        return self._offset + self._tape.start / SAMPLE_RATE

    def _cut(self, end: int) -> Window:
        piece = Piece(self._tape.start, end)
        audio = self._tape.cut(piece)
        self._tape.drop(end)
        frames = ceil((end - piece.start) / FRAME_SAMPLES)
        probabilities, self._probabilities = self._probabilities[:frames], self._probabilities[frames:]
        return Window(audio, Timeline([piece], self._offset, probabilities), self._offset + end / SAMPLE_RATE)


class _Tape:
    """The last part of a stream, addressed by positions in the complete stream."""

    def __init__(self) -> None:
        self.start = 0
        self._samples: Samples = np.empty(0, np.float32)

    @property
    def end(self) -> int:
        return self.start + len(self._samples)

    def add(self, samples: Samples) -> None:
        self._samples = np.concatenate((self._samples, samples))

    def cut(self, piece: Piece) -> Samples:
        """A copy: a view would keep all of the tape alive."""
        return np.array(self._samples[piece.start - self.start : piece.end - self.start])

    def drop(self, before: int) -> None:
        self._samples = self._samples[before - self.start :]
        self.start = before
