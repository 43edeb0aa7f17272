"""A window of a recording as the model gets it: a log-mel spectrogram."""

from math import ceil
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Features = npt.NDArray[np.float32]

FRAMES_PER_SECOND = 100
FULL_SECONDS = 30
"""What Whisper was trained on."""
FITTED_SECONDS = (10, 15, 20, 25, FULL_SECONDS)
SPARE_SECONDS = 0.2
"""Of silence after the audio, from which the model knows that it has ended."""

RANGE, QUIETEST = 2.0, -1.5
"""Of Whisper's spectrograms: from silence to their maximum, and what they are of zeros."""


def filled_up(features: Features, frames: int) -> Features:
    """So many frames of a spectrogram, with silence after its end.

    Whisper was trained with that. Zeros, with which faster-whisper fills up, are a soft noise on all frequencies.
    """
    missing = max(0, frames - features.shape[1])
    silence = max(features.max(initial=QUIETEST) - RANGE, QUIETEST)
    return np.pad(features[:, :frames], ((0, 0), (0, missing)), constant_values=silence)


def context_frames(seconds: float, fitted: bool) -> int:
    """How many frames the model is to see of a window: those of 30 s, or of as much as the audio needs."""
    if not fitted:
        return FULL_SECONDS * FRAMES_PER_SECOND
    fitting = (context for context in FITTED_SECONDS if context >= seconds + SPARE_SECONDS)
    return next(fitting, FULL_SECONDS) * FRAMES_PER_SECOND


class MelWindow(NamedTuple):
    """The log-mel spectrogram of a window.

    Attributes:
        features: (mel bands, frames); silence after the end of the audio.
        seconds: length of the audio.
        speech: start and end of each stretch of speech, in seconds of the window; None: all of it may be speech.
    """

    features: Features
    seconds: float
    speech: tuple[tuple[float, float], ...] | None = None

    @property
    def frames(self) -> int:
        """What the model sees of it, silence after the audio included."""
        return int(self.features.shape[1])

    def speech_between(self, start: float, end: float) -> float:
        """Seconds of speech between two times of the window."""
        stretches = ((0.0, self.seconds),) if self.speech is None else self.speech
        return sum(max(0.0, min(end, until) - max(start, since)) for since, until in stretches)

    def rest(self, start: float, fitted: bool) -> "MelWindow":
        """What comes from a second on, as a window of its own."""
        seconds = self.seconds - start
        first = round(start * FRAMES_PER_SECOND)
        audio = self.features[:, first : first + ceil(seconds * FRAMES_PER_SECOND)]
        speech = self.speech and tuple((max(0.0, s - start), e - start) for s, e in self.speech if e > start)
        return MelWindow(filled_up(audio, context_frames(seconds, fitted)), seconds, speech)

    def in_full_context(self) -> "MelWindow":
        """The same, filled up to 30 s."""
        return self._replace(features=filled_up(self.features, FULL_SECONDS * FRAMES_PER_SECOND))
