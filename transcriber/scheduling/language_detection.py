"""The language of a recording, detected on its first speech.

For ``multilingual`` requests, the recogniser also detects the language of each window when it decodes a batch.
"""

import asyncio
from collections import defaultdict

import numpy as np
from faster_whisper.vad import VadOptions, collect_chunks, get_speech_timestamps

from transcriber.audio.mel import FULL_SECONDS
from transcriber.audio.vad import SAMPLE_RATE, Samples
from transcriber.decoding.recogniser import Recogniser
from transcriber.model.pool import ModelPool

SURE_PROBABILITY = 0.5
"""From this one on, one window is enough: faster-whisper's ``language_detection_threshold``."""

MAX_SPEECH_WINDOWS = 3
"""If none of them is sure, the most probable language of all counts. Until then no segment is sent."""

MAX_SILENT_SECONDS = 300
"""After this much without speech, the language is taken from what there is: windows wait for it in memory."""


class LanguageDetection:
    """Takes windows, from the first one on, until the language is known.

    faster-whisper uses the first 30 s, whatever they are; here silence and music are skipped.

    Args:
        vad: what counts as speech; None: the windows hold nothing else.
    """

    def __init__(self, recogniser: Recogniser, model: ModelPool, vad: VadOptions | None) -> None:
        self._recogniser = recogniser
        self._model = model
        self._vad = vad
        self._windows = 0
        self._silent_seconds = 0.0
        self._probabilities: defaultdict[str, float] = defaultdict(float)
        self._first: Samples | None = None

    async def add(self, audio: Samples) -> tuple[str, float] | None:
        """The language and its probability, after one more window; None if it takes another one."""
        if self._first is None:
            self._first = audio
        speech = await asyncio.to_thread(self._speech, audio)
        if not len(speech):
            self._silent_seconds += len(audio) / SAMPLE_RATE
            return None if self._silent_seconds < MAX_SILENT_SECONDS else await self.decide()
        language, probability = await self._detect(speech)
        if probability >= SURE_PROBABILITY:
            return language, probability
        self._windows += 1
        self._probabilities[language] += probability
        return await self.decide() if self._windows == MAX_SPEECH_WINDOWS else None

    async def decide(self) -> tuple[str, float] | None:
        """The most probable language of the windows so far, even without speech; None if there were none."""
        if self._windows:
            language, total = max(self._probabilities.items(), key=lambda item: item[1])
            return language, total / self._windows
        return None if self._first is None else await self._detect(self._first)

    def _speech(self, audio: Samples) -> Samples:
        if self._vad is None:
            return audio
        (speech, *_), _ = collect_chunks(audio, get_speech_timestamps(audio, self._vad))
        return np.asarray(speech, np.float32)

    async def _detect(self, audio: Samples) -> tuple[str, float]:
        first = audio[: FULL_SECONDS * SAMPLE_RATE]
        features = await asyncio.to_thread(self._recogniser.features, first, full_context=True)
        return await self._model.call(lambda: self._recogniser.detect_language(features))
