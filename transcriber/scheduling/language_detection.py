"""The language of a recording, detected on its first speech.

For ``multilingual`` requests, the recogniser also detects the language of each window when it decodes a batch.
"""

import asyncio
from collections import defaultdict
from collections.abc import Collection

import numpy as np
from faster_whisper.vad import VadOptions, collect_chunks, get_speech_timestamps

from reelscribe.contracts.events import SURE_PROBABILITY, UNKNOWN_LANGUAGE
from transcriber.audio.mel import FRAMES_PER_SECOND, FULL_SECONDS, filled_up
from transcriber.audio.vad import SAMPLE_RATE, Samples
from transcriber.audio.windows import Window
from transcriber.decoding.recogniser import Recogniser
from transcriber.model.pool import ModelPool

MAX_SPEECH_WINDOWS = 3
"""If none of them is sure, the most probable language of all counts. Until then no segment is sent."""

ENOUGH_SPEECH_SECONDS = 1.0
"""Less of it lowers the probability in proportion: Silero VAD finds half a second of speech in music, and Whisper a
language in anything."""

CLEAR_PROBABILITY = 0.9
"""A language that is at least so probable in a fitted context, which costs less than one of 30 s, is taken."""

MAX_SILENT_SECONDS = 300
"""After this much without speech, the language stays unknown: windows wait for it in memory."""


class LanguageDetection:
    """Takes windows, from the first one on, until the language is known.

    faster-whisper uses the first 30 s, whatever they are; here silence and music are skipped.

    Attributes:
        highest: probability that a language had in any window, however little speech that holds; None: it was not
            detected.

    Args:
        vad: what counts as speech; None: the windows hold nothing else.
        languages: those that it may be; empty: any.
    """

    def __init__(
        self, recogniser: Recogniser, model: ModelPool, vad: VadOptions | None, languages: Collection[str] = ()
    ) -> None:
        self._recogniser = recogniser
        self._model = model
        self._vad = vad
        self._languages = languages
        self.highest: float | None = None
        self._windows = 0
        self._silent_seconds = 0.0
        self._probabilities: defaultdict[str, float] = defaultdict(float)

    async def add(self, window: Window) -> tuple[str, float] | None:
        """The language and its probability, after one more window; None if it takes another one."""
        speech = await asyncio.to_thread(self._speech, window.audio)
        if not len(speech):
            self._silent_seconds += window.seconds
            return None if self._silent_seconds < MAX_SILENT_SECONDS else self.decide()
        language, probability = await self._detect(speech)
        self.highest = max(self.highest or 0.0, probability)
        probability *= min(1.0, sum(end - start for start, end in window.speech) / ENOUGH_SPEECH_SECONDS)
        if probability >= SURE_PROBABILITY:
            return language, probability
        self._windows += 1
        self._probabilities[language] += probability
        return self.decide() if self._windows == MAX_SPEECH_WINDOWS else None

    def decide(self) -> tuple[str, float]:
        """The most probable language of the windows so far; unknown if none of them holds speech."""
        if not self._windows:
            return UNKNOWN_LANGUAGE, 0.0
        language, total = max(self._probabilities.items(), key=lambda item: item[1])
        return language, total / self._windows

    def _speech(self, audio: Samples) -> Samples:
        if self._vad is None:
            return audio
        (speech, *_), _ = collect_chunks(audio, get_speech_timestamps(audio, self._vad))
        return np.asarray(speech, np.float32)

    async def _detect(self, audio: Samples) -> tuple[str, float]:
        fitted = await asyncio.to_thread(self._recogniser.features, audio[: FULL_SECONDS * SAMPLE_RATE])
        found = await self._model.call(lambda: self._recogniser.detect_language(fitted, self._languages))
        full = filled_up(fitted, FULL_SECONDS * FRAMES_PER_SECOND)
        if found[1] >= CLEAR_PROBABILITY or full.shape == fitted.shape:
            return found
        return await self._model.call(lambda: self._recogniser.detect_language(full, self._languages))
