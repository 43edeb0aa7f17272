"""faster-whisper's long-form algorithm on a stream: block after block, each with the text before it."""

import asyncio

from transcriber.audio.windows import Window
from transcriber.decoding.recogniser import DecodingOptions, Recogniser, Segment
from transcriber.model.pool import ModelPool

MAX_BLOCK_SECONDS = 120
MIN_SILENCE_MS = 2000
"""A shorter silence is no pause: what faster-whisper leaves out for this algorithm, which hears sentences by them."""
MAX_PREVIOUS_TOKENS = 223
RESET_TEMPERATURE = 0.5
"""Text that needed a higher one is not told to what follows, as in Whisper."""


class SequentialLane:
    """The blocks of one job, one after the other in the model; other jobs go in between.

    Attributes:
        capacity: how many blocks a job may have in here at once without making the model wait.
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
        self._blocks: list[asyncio.Task[list[Segment]]] = []

    def submit(self, window: Window) -> "asyncio.Future[list[Segment]]":
        """Let the block wait for its turn; its segments, with times in seconds of the block."""
        self._blocks = [block for block in self._blocks if not block.done()]
        before = self._blocks[-1] if self._blocks else None
        block = asyncio.create_task(self._transcribe(window, before))
        block.add_done_callback(lambda done: done.cancelled() or done.exception())  # looked at, even if nobody asks
        self._blocks.append(block)
        return block

    def close(self) -> None:
        """Drop all blocks; the window that is in the model is finished first."""
        for block in self._blocks:
            block.cancel()

    async def _transcribe(self, window: Window, before: asyncio.Task[list[Segment]] | None) -> list[Segment]:
        if before:
            await asyncio.wait([before])
        segments = await self._model.call(
            lambda: self._recogniser.transcribe(window.audio, self._options, self._previous_tokens, self._condition)
        )
        heard: list[Segment] = []
        while segment := await self._model.call(lambda: next(segments, None)):
            heard.append(segment)
        if self._condition and heard:
            tokens = [token for segment in heard for token in segment.tokens]
            hot = (heard[-1].temperature or 0) > RESET_TEMPERATURE
            self._previous_tokens = [] if hot else tokens[-MAX_PREVIOUS_TOKENS:]
        return heard
