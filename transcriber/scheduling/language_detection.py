"""Which language a recording is in, told by its first speech."""

import asyncio
from collections import defaultdict

import numpy as np
from faster_whisper.vad import VadOptions, collect_chunks, get_speech_timestamps

from transcriber.audio.vad import SAMPLE_RATE, Samples
from transcriber.audio.windows import MAX_WINDOW_SECONDS
from transcriber.decoding.recogniser import Recogniser
from transcriber.model.pool import ModelPool

SURE = 0.5
"""Probability from which the first speech is enough: faster-whisper's ``language_detection_threshold``."""

MAX_SPEECH_WINDOWS = 3
"""Heard where none is sure; then the likeliest of all counts. Until then nobody sees a segment."""

MAX_SILENT_SECONDS = 300
"""After so long without speech what is there must do: windows wait in memory for the language."""


class LanguageDetection:
    """Takes in windows from the first on, until :meth:`hear` knows the language.

    faster-whisper listens to the first 30 s, whatever they are; here silence and music are passed over.

    Args:
        vad: what is speech; None: there is nothing else in the windows.
    """

    def __init__(self, recogniser: Recogniser, model: ModelPool, vad: VadOptions | None) -> None:
        self._recogniser = recogniser
        self._model = model
        self._vad = vad
        self._heard = 0
        self._silent_seconds = 0.0
        self._probabilities: defaultdict[str, float] = defaultdict(float)
        self._first: Samples | None = None

    async def hear(self, audio: Samples) -> tuple[str, float] | None:
        """The language and its probability; None: it takes another window to tell."""
        if self._first is None:
            self._first = audio
        speech = await asyncio.to_thread(self._speech, audio)
        if not len(speech):
            self._silent_seconds += len(audio) / SAMPLE_RATE
            return None if self._silent_seconds < MAX_SILENT_SECONDS else await self.decide()
        language, probability = await self._detect(speech)
        if probability >= SURE:
            return language, probability
        self._heard += 1
        self._probabilities[language] += probability
        return await self.decide() if self._heard == MAX_SPEECH_WINDOWS else None

    async def decide(self) -> tuple[str, float] | None:
        """The likeliest language of what was heard, be it no speech; None: nothing was heard."""
        if self._heard:
            language, total = max(self._probabilities.items(), key=lambda item: item[1])
            return language, total / self._heard
        return None if self._first is None else await self._detect(self._first)

    def _speech(self, audio: Samples) -> Samples:
        if self._vad is None:
            return audio
        (speech, *_), _ = collect_chunks(audio, get_speech_timestamps(audio, self._vad))
        return np.asarray(speech, np.float32)

    async def _detect(self, audio: Samples) -> tuple[str, float]:
        features = await asyncio.to_thread(self._recogniser.features, audio[: MAX_WINDOW_SECONDS * SAMPLE_RATE])
        return await self._model.call(lambda: self._recogniser.detect_language(features))
