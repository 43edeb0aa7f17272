"""Sequential mode: the windows of a transcription one after the other, each with the text before it as its prompt."""

import asyncio
from dataclasses import replace
from functools import partial

from transcriber.audio.mel import MelWindow
from transcriber.audio.windows import Window
from transcriber.decoding.options import DecodingOptions
from transcriber.decoding.recogniser import Recogniser
from transcriber.decoding.segments import DecodedSegment
from transcriber.decoding.thresholds import MAX_SURE_TEMPERATURE
from transcriber.model.pool import ModelPool

PREVIOUS_CHARACTERS = 2000
"""Of the text before a window; the prompt takes as many tokens from its end as fit."""


class SequentialQueue:
    """The windows of one transcription, in order; those of other transcriptions go through the model in between.

    Attributes:
        capacity: how many windows a transcription may have submitted without making the model wait.
    """

    capacity = 2

    def __init__(
        self, recogniser: Recogniser, model: ModelPool, options: DecodingOptions, condition_on_previous_text: bool
    ) -> None:
        self._recogniser = recogniser
        self._model = model
        self._options = options
        self._condition = condition_on_previous_text
        self._previous_text = ""
        self._windows: list[asyncio.Task[list[DecodedSegment]]] = []

    def submit(self, window: Window) -> "asyncio.Future[list[DecodedSegment]]":
        """Let the window wait for those before it; its segments, with times in seconds of the window."""
        self._windows = [task for task in self._windows if not task.done()]
        before = self._windows[-1] if self._windows else None
        task = asyncio.create_task(self._decode(window, before))
        task.add_done_callback(lambda done: done.cancelled() or done.exception())  # read, even if no other code does
        self._windows.append(task)
        return task

    def close(self) -> None:
        """Drop all windows; the one that is in the model is finished first."""
        for task in self._windows:
            task.cancel()

    async def _decode(self, window: Window, before: asyncio.Task[list[DecodedSegment]] | None) -> list[DecodedSegment]:
        features = await asyncio.to_thread(self._recogniser.features, window.audio)
        if before:
            await asyncio.wait([before])
        mel = MelWindow(features, window.seconds, window.speech)
        options = replace(self._options, initial_prompt=self._previous_text or self._options.initial_prompt)
        passes = self._recogniser.passes(mel, options)
        while call := passes.call:
            (outcome,) = await self._model.call(partial(self._recogniser.decode, [call]))
            passes.take(outcome)
        segments = passes.segments
        if self._condition and segments:
            hot = any((segment.temperature or 0) > MAX_SURE_TEMPERATURE for segment in segments)
            said = "" if hot else self._previous_text + "".join(segment.text for segment in segments)
            self._previous_text = said[-PREVIOUS_CHARACTERS:]
        return segments
