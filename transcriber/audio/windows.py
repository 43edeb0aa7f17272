"""Cutting a stream at pauses into windows that fit the model, keeping no more audio than the open window."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import ceil
from typing import Protocol

import numpy as np
from faster_whisper.vad import SpeechTimestampsMap, VadOptions

from transcriber.audio.tape import Tape
from transcriber.audio.vad import FRAME_SAMPLES, SAMPLE_RATE, Piece, Samples, SpeechPieces, SpeechProbabilities

MAX_WINDOW_SECONDS = 25
"""Of one call of the model. The encoder's work grows faster than the length of a window, and a shorter one holds less
context: on human speech, 25 s had as few wrong words as 30 s (``docs/benchmarks.md``)."""

MIN_SHARE = 0.6
"""Of the longest window, that a window with more speech after it has at least; then it ends in the longest pause."""

VAD_OPTIONS = VadOptions(min_silence_duration_ms=3000, speech_pad_ms=800)
"""Silence of 3 s or more is left out, but for 0.8 s on both sides of speech: in a window without its pauses, or with
speech from its first sample on, more words are wrong."""

SHORT_PAUSE_MS = 100
"""Between two stretches of speech; a window may be cut there."""


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
        speech: start and end of each stretch of speech, in seconds of the window.
    """

    audio: Samples
    timeline: Timeline
    resume: float
    speech: tuple[tuple[float, float], ...] = ()

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
    """Windows of speech with its pauses, without long silence. Each ends in the longest pause of its last part.

    Args:
        max_seconds: longest window.
        offset: of the stream in the recording, in seconds.
        vad: what counts as speech, which silence is left out, and what is kept around speech.
    """

    def __init__(self, max_seconds: float, offset: float, vad: VadOptions = VAD_OPTIONS) -> None:
        self._max_samples = int(max_seconds * SAMPLE_RATE)
        self._offset = offset
        self._margin: int = vad.speech_pad_ms * SAMPLE_RATE // 1000
        # A shorter silence than two margins is kept whatever the options say.
        self._long_silence: int = max(vad.min_silence_duration_ms * SAMPLE_RATE // 1000, 2 * self._margin)
        self._tape = Tape()
        self._probabilities = SpeechProbabilities()
        self._speech = SpeechPieces(_stretches_of(vad, max(1.0, max_seconds - 2 * vad.speech_pad_ms / 1000)))
        self._open: list[Piece] = []  # stretches of speech that are in no window yet
        self._begin = 0  # what is before this sample belongs to earlier windows

    def feed(self, samples: Samples) -> list[Window]:
        self._tape.add(samples)
        windows = self._collect(self._probabilities.feed(samples))
        self._forget_silence(self._speech.settled)
        return windows

    def finish(self) -> list[Window]:
        windows = self._collect(self._probabilities.finish())
        for stretch in self._speech.finish(self._tape.end):
            windows += self._add(stretch)
        return windows + ([self._close(len(self._open), self._tape.end)] if self._open else [])

    @property
    def settled(self) -> float:
        return self._start_of_frame(self._pieces(self._open)[0].start if self._open else self._next_begin())

    def _collect(self, probabilities: Sequence[float]) -> list[Window]:
        stretches = [stretch for probability in probabilities for stretch in self._speech.feed(probability)]
        return [window for stretch in stretches for window in self._add(stretch)]

    def _add(self, stretch: Piece) -> list[Window]:
        windows = []
        while self._open and _length(self._pieces([*self._open, stretch])) > self._max_samples:
            count = self._best_cut(stretch)
            following = self._open[count] if count < len(self._open) else stretch
            windows.append(self._close(count, following.start))
        self._open.append(stretch)
        return windows

    def _best_cut(self, following: Piece) -> int:
        """After how many stretches the window ends."""
        pauses = [later.start - earlier.end for earlier, later in pairwise([*self._open, following])]
        lengths = [_length(self._pieces(self._open[: count + 1])) for count in range(len(self._open))]
        long_enough = [index for index, length in enumerate(lengths) if length >= MIN_SHARE * self._max_samples]
        fitting = [index for index in long_enough if lengths[index] <= self._max_samples]
        return max(fitting, key=lambda index: pauses[index], default=len(self._open) - 1) + 1

    def _pieces(self, stretches: Sequence[Piece]) -> list[Piece]:
        """What of the stream is kept around these stretches."""
        pieces: list[Piece] = []
        for stretch in stretches:
            start = max(self._begin, stretch.start - self._margin)
            if pieces and stretch.start - (pieces[-1].end - self._margin) < self._long_silence:
                start = pieces.pop().start
            pieces.append(Piece(start, stretch.end + self._margin))
        return pieces

    def _close(self, count: int, following: int) -> Window:
        """The window of the first ``count`` stretches; what comes next, speech or the end, is at ``following``."""
        stretches, self._open = self._open[:count], self._open[count:]
        pieces = self._pieces(stretches)
        pause = following - stretches[-1].end
        at_end = following >= self._tape.end
        end = stretches[-1].end + min(self._margin, pause if at_end else pause // 2)
        pieces[-1] = Piece(pieces[-1].start, end)
        audio = np.concatenate([self._tape.cut(piece) for piece in pieces])
        self._begin = end
        resume = following if at_end else max(end, following - self._margin)
        timeline = Timeline(pieces, self._offset)
        self._tape.drop(end)
        return Window(audio, timeline, self._start_of_frame(resume, exact=at_end), _inside(pieces, stretches))

    def _forget_silence(self, quiet_until: int) -> None:
        """Drop the audio that no window will hold: silence has lasted until ``quiet_until``."""
        last = self._open[-1].end if self._open else self._begin
        if not self._open:
            self._tape.drop(self._next_begin())
        elif quiet_until - last >= self._long_silence:
            self._tape.forget(last + self._margin, quiet_until - self._margin)

    def _next_begin(self) -> int:
        return max(self._begin, self._speech.settled - self._margin)

    def _start_of_frame(self, sample: int, exact: bool = False) -> float:
        """The second of the recording at which the frame of a sample begins.

        A stream that starts there has the same frames as this one, and so the same pauses and windows.
        """
        return self._offset + (sample if exact else sample // FRAME_SAMPLES * FRAME_SAMPLES) / SAMPLE_RATE


class GaplessWindows:
    """Windows that leave nothing out; each is cut where speech is least likely in the last sixth of the longest one.

    Args:
        max_seconds: longest window.
        offset: of the stream in the recording, in seconds.
    """

    def __init__(self, max_seconds: float, offset: float) -> None:
        self._max_frames = int(max_seconds * SAMPLE_RATE) // FRAME_SAMPLES
        self._offset = offset
        self._tape = Tape()
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
        pieces = SpeechPieces(_stretches_of(VAD_OPTIONS, float("inf")))
        stretches = [stretch for probability in probabilities for stretch in pieces.feed(probability)]
        stretches += pieces.finish(end - piece.start)
        timeline = Timeline([piece], self._offset, probabilities)
        speech = _inside([Piece(0, end - piece.start)], stretches)
        return Window(audio, timeline, self._offset + end / SAMPLE_RATE, speech)


def _stretches_of(vad: VadOptions, max_seconds: float) -> VadOptions:
    """Speech between two pauses, without anything around it."""
    return VadOptions(
        threshold=vad.threshold,
        min_silence_duration_ms=min(SHORT_PAUSE_MS, vad.min_silence_duration_ms),
        speech_pad_ms=0,
        max_speech_duration_s=max_seconds,
    )


def _length(pieces: Sequence[Piece]) -> int:
    return sum(piece.end - piece.start for piece in pieces)


def _inside(pieces: Sequence[Piece], stretches: Sequence[Piece]) -> tuple[tuple[float, float], ...]:
    """Where the stretches are in the joined pieces, in seconds; each is inside one piece."""
    found, before = [], 0
    for piece in pieces:
        found += [
            (before + stretch.start - piece.start, before + stretch.end - piece.start)
            for stretch in stretches
            if piece.start <= stretch.start < piece.end
        ]
        before += piece.end - piece.start
    return tuple((start / SAMPLE_RATE, min(end, before) / SAMPLE_RATE) for start, end in found)
