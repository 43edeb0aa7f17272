"""Where the beeps are in extracted audio."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

SAMPLE_RATE = 16_000
WINDOW = SAMPLE_RATE // 200
QUIET = 0.35
"""The level, of the loudest window's, below which a window of 5 ms is silent: a decoder may echo a beep softly."""
SILENCE = 0.01
"""The level, of 1, that is silence in any case."""
GAP_SECONDS = 0.1
SHORTEST_SECONDS = 0.1


class Beep(NamedTuple):
    """A tone: start and end in seconds, frequency in Hz."""

    start: float
    end: float
    frequency: float


def find_beeps(samples: npt.NDArray[np.int16]) -> list[Beep]:
    """The beeps of 16 kHz mono audio; gaps and tones under 0.1 s are ignored."""
    sound = samples[: len(samples) // WINDOW * WINDOW].astype(np.float32) / np.float32(32768)
    levels = np.sqrt(np.mean(np.square(sound.reshape(-1, WINDOW)), axis=1))
    loud = levels > max(SILENCE, QUIET * levels.max(initial=0.0))
    edges = np.flatnonzero(np.diff(np.concatenate(([False], loud, [False])).astype(np.int8)))
    spans: list[list[int]] = []
    for start, end in edges.reshape(-1, 2).tolist():
        if spans and (start - spans[-1][1]) * WINDOW < GAP_SECONDS * SAMPLE_RATE:
            spans[-1][1] = end
        else:
            spans.append([start, end])
    return [
        Beep(start * WINDOW / SAMPLE_RATE, end * WINDOW / SAMPLE_RATE, _frequency(sound[start * WINDOW : end * WINDOW]))
        for start, end in spans
        if (end - start) * WINDOW >= SHORTEST_SECONDS * SAMPLE_RATE
    ]


def _frequency(tone: npt.NDArray[np.floating]) -> float:
    spectrum = np.abs(np.fft.rfft(tone * np.hanning(len(tone))))
    return float(np.argmax(spectrum) * SAMPLE_RATE / len(tone))
