"""An example of a package with audio tokenisers for Reelscribe."""

import numpy as np
import numpy.typing as npt


class Loudness:
    """The loudness of each 20 ms in steps of 1 dB, from 0 (-96 dB or less) to 96: nothing that could be decoded."""

    name = "loudness"
    version = "3"
    sample_rate = 8000
    tokens_per_second = 50.0
    vocabulary = 97

    def encode(self, sound: npt.NDArray[np.float32]) -> npt.NDArray[np.int16]:
        """One token for each 20 ms; the last one may be of less."""
        frames = np.pad(sound, (0, -len(sound) % 160)).reshape(-1, 160).astype(np.float64)
        power = np.maximum(np.square(frames).mean(axis=1), 1e-12)
        return np.clip(np.round(10 * np.log10(power) + 96), 0, 96).astype(np.int16)


class Whole:
    """One that forgets the type of tokens."""

    name = "whole"
    version = "1"
    sample_rate = 16_000
    tokens_per_second = 16_000.0
    vocabulary = 2**15

    def encode(self, sound: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """The sound itself."""
        return sound


def make_whole() -> Whole:
    """An entry point may be a function."""
    return Whole()
