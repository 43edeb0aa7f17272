"""What the model sees of a window."""

import numpy as np
import pytest

from tests.transcriber.peer import recording
from transcriber.audio.mel import QUIETEST, MelWindow, filled_up
from transcriber.audio.vad import SAMPLE_RATE
from transcriber.model.loading import LoadedModel

FRAME_SAMPLES = 160


@pytest.mark.parametrize("volume", [1.0, 0.001, 0.0])
def test_a_window_is_filled_up_as_if_its_audio_ended_in_silence(mini: LoadedModel, volume: float) -> None:
    """With zeros in the spectrogram, which are a soft noise, more words were wrong."""
    spectrogram = mini.whisper.feature_extractor
    audio = recording("short.flac") * np.float32(volume)
    seconds, end = len(audio) / SAMPLE_RATE, len(audio) // FRAME_SAMPLES
    window = MelWindow(filled_up(spectrogram(audio)[..., :-1], 1000), seconds)
    for found in (window, window.in_full_context()):
        samples = found.frames * FRAME_SAMPLES
        expected = spectrogram(np.pad(audio, (0, samples - len(audio))))[..., : found.frames]
        assert found.features.shape == expected.shape
        assert found.features.dtype == np.float32
        apart = np.abs(found.features - expected)
        assert np.delete(apart, range(end - 3, end + 3), axis=1).max() < 0.001


def test_a_spectrogram_that_is_too_long_is_cut() -> None:
    assert filled_up(np.ones((80, 1200), np.float32), 1000).shape == (80, 1000)


def test_audio_that_is_shorter_than_a_frame_is_silence(mini: LoadedModel) -> None:
    """The last window of a recording that is not cut at pauses has what is left."""
    nothing = mini.whisper.feature_extractor(np.ones(100, np.float32))[..., :-1]
    assert nothing.shape[1] == 0
    assert (filled_up(nothing, 1000) == filled_up(np.full((80, 1), QUIETEST, np.float32), 1000)).all()
