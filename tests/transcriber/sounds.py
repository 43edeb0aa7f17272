"""Sounds without a word, made here."""

import numpy as np
import numpy.typing as npt

SAMPLE_RATE = 16_000
Sound = npt.NDArray[np.float32]


def silence(seconds: float) -> Sound:
    return np.zeros(round(seconds * SAMPLE_RATE), np.float32)


def white_noise(seconds: float) -> Sound:
    return _loud(np.random.default_rng(1).standard_normal(round(seconds * SAMPLE_RATE)), 0.1)


def pink_noise(seconds: float) -> Sound:
    """As much power in each octave."""
    spectrum = np.fft.rfft(np.random.default_rng(2).standard_normal(round(seconds * SAMPLE_RATE)))
    return _loud(np.fft.irfft(spectrum / np.sqrt(np.arange(1, len(spectrum) + 1))), 0.1)


def hum(seconds: float) -> Sound:
    """Of the mains: 50 Hz and its harmonics."""
    times = _times(seconds)
    return _loud(sum(np.sin(2 * np.pi * 50 * order * times) / order for order in range(1, 8)), 0.1)


def music(seconds: float) -> Sound:
    """Four chords in turn, and a drum on each beat."""
    times = _times(seconds)
    roots = np.array([261.6, 220.0, 174.6, 196.0])[(times // 2 % 4).astype(int)]
    chords = sum(np.sin(2 * np.pi * roots * interval * times) for interval in (1, 1.26, 1.5, 2))
    beat = times % 0.5
    drums = np.exp(-beat * 30) * (np.sin(2 * np.pi * 60 * times) + 0.3 * white_noise(seconds)) * 4
    return _loud(chords * np.exp(-beat) + drums, 0.2)


def _times(seconds: float) -> npt.NDArray[np.float64]:
    return np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE


def _loud(sound: npt.ArrayLike, level: float) -> Sound:
    samples = np.asarray(sound)
    return (samples / np.std(samples) * level).clip(-1, 1).astype(np.float32)
