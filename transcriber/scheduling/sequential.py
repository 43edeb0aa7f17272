"""faster-whisper's long-form algorithm on a stream: one block after the other, each with the text before it."""

import asyncio

from transcriber.audio.windows import Window
from transcriber.decoding.options import DecodingOptions
from transcriber.decoding.recogniser import Recogniser
from transcriber.decoding.segments import DecodedSegment
from transcriber.model.pool import ModelPool

MAX_BLOCK_SECONDS = 120
MAX_PREVIOUS_TOKENS = 223
RESET_TEMPERATURE = 0.5
"""Text that needed a higher one is not passed to the next block, as in Whisper."""


class BlockQueue:
    """The blocks of one transcription, in order; windows of other transcriptions go through the model in between.

    Attributes:
        capacity: how many blocks a transcription may have submitted without making the model wait.
    """

    capacity = 2

    def __init__(
        self, recogniser: Recogniser, model: ModelPool, options: DecodingOptions, condition_on_previous_text: bool
    ) -> None:
        self._recogniser = recogniser
        self._model = model
        self._options = options
        self._condition = condition_on_previous_text
        self._previous_tokens: list[int] = []
        self._blocks: list[asyncio.Task[list[DecodedSegment]]] = []

    def submit(self, window: Window) -> "asyncio.Future[list[DecodedSegment]]":
        """Let the block wait for those before it; its segments, with times in seconds of the block."""
        self._blocks = [block for block in self._blocks if not block.done()]
        before = self._blocks[-1] if self._blocks else None
        block = asyncio.create_task(self._decode(window, before))
        block.add_done_callback(lambda done: done.cancelled() or done.exception())  # read, even if no other code does
        self._blocks.append(block)
        return block

    def close(self) -> None:
        """Drop all blocks; the window that is in the model is finished first."""
        for block in self._blocks:
            block.cancel()

    async def _decode(self, window: Window, before: asyncio.Task[list[DecodedSegment]] | None) -> list[DecodedSegment]:
        if before:
            await asyncio.wait([before])
        remaining = await self._model.call(
            lambda: self._recogniser.decode_long_form(
                window.audio, self._options, self._previous_tokens, self._condition
            )
        )
        segments: list[DecodedSegment] = []
        while segment := await self._model.call(lambda: next(remaining, None)):
            segments.append(segment)
        if self._condition and segments:
            tokens = [token for segment in segments for token in segment.tokens]
            hot = (segments[-1].temperature or 0) > RESET_TEMPERATURE
            self._previous_tokens = [] if hot else tokens[-MAX_PREVIOUS_TOKENS:]
        return segments
