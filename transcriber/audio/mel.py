"""A window of a recording as the model gets it: a log-mel spectrogram."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from faster_whisper.audio import pad_or_trim

Features = npt.NDArray[np.float32]

FRAMES_PER_SECOND = 100
FULL_SECONDS = 30
"""What Whisper was trained on."""
FITTED_SECONDS = (10, 15, 20, 25, FULL_SECONDS)
SPARE_SECONDS = 1.0
"""Of silence after the audio, from which the model knows that it has ended."""


def context_frames(seconds: float, fitted: bool) -> int:
    """How many frames the model is to see of a window: those of 30 s, or of as much as the audio needs."""
    if not fitted:
        return FULL_SECONDS * FRAMES_PER_SECOND
    fitting = (context for context in FITTED_SECONDS if context >= seconds + SPARE_SECONDS)
    return next(fitting, FULL_SECONDS) * FRAMES_PER_SECOND


class MelWindow(NamedTuple):
    """The log-mel spectrogram of a window.

    Attributes:
        features: (mel bands, frames); zero after the end of the audio.
        seconds: length of the audio.
        pauses: seconds of it between two pieces of speech; None if silence has not been left out.
        longest_pause: seconds of silence that it may hold in one stretch.
    """

    features: Features
    seconds: float
    pauses: tuple[float, ...] | None = None
    longest_pause: float = 0.0

    def halves(self, cut: float) -> "tuple[MelWindow, MelWindow]":
        """The parts before and after a second of the audio, as windows of their own, filled up to 30 s."""
        frame = round(cut * FRAMES_PER_SECOND)
        before = tuple(pause for pause in self.pauses or () if pause < cut)
        behind = tuple(pause - cut for pause in self.pauses or () if pause > cut)
        return (
            MelWindow(pad_or_trim(self.features[:, :frame]), cut, before, self.longest_pause),
            MelWindow(pad_or_trim(self.features[:, frame:]), self.seconds - cut, behind, self.longest_pause),
        )
