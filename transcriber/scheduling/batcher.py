"""The windows of all running transcriptions share the calls of the model, and none waits for another one's windows."""

import asyncio
import logging
import os
import time
from collections import deque
from collections.abc import Hashable
from concurrent.futures import ThreadPoolExecutor
from math import ceil
from types import TracebackType
from typing import Self

from reelscribe.contracts.transcriber import Urgency
from reelscribe.errors import ModelBroken, ModelOutOfMemory
from transcriber.audio.mel import MelWindow
from transcriber.audio.windows import Window
from transcriber.decoding.options import DecodingOptions
from transcriber.decoding.passes import Call, Passes
from transcriber.decoding.recogniser import Recogniser
from transcriber.decoding.second_pass import Outcome
from transcriber.decoding.segments import DecodedSegment
from transcriber.metrics import Metrics
from transcriber.model.pool import ModelPool

log = logging.getLogger(__name__)

LEAST_CAPACITY = 2
"""Windows of one transcription, however many there are: one in the model and one ready."""

FAIR_EVERY = 4
"""Interactive windows go first, except in every fourth batch, in which all are equal: none waits indefinitely."""


class _WaitingWindow:
    """A window on its way through the model; it waits before each call that it takes."""

    def __init__(self, passes: "asyncio.Future[Passes]", queue: "WindowQueue") -> None:
        self.passes = passes
        self.queue = queue
        self.since = time.monotonic()
        self.segments: asyncio.Future[list[DecodedSegment]] = asyncio.get_running_loop().create_future()
        passes.add_done_callback(self._made)

    @property
    def call(self) -> Call | None:
        """What the model is to do next with it; None: its spectrogram is not made yet, or its segments are there."""
        made = self.passes.done() and not self.passes.cancelled() and not self.passes.exception()
        return self.passes.result().call if made else None

    def take(self, outcome: Outcome) -> None:
        """Take what has come out of the call."""
        try:
            self.passes.result().take(outcome)
        except Exception as failure:  # of any kind, lack of memory perhaps: the transcription must get it
            self.fail(failure)

    def fail(self, failure: BaseException) -> None:
        """Pass the failure to the transcription that waits for the segments."""
        if not self.segments.done():
            self.segments.set_exception(failure)
            self.segments.exception()  # read, for asyncio: a transcription reads only the first failure of its windows

    def _made(self, passes: "asyncio.Future[Passes]") -> None:
        if not passes.cancelled() and (failure := passes.exception()):
            self.fail(failure)


class WindowQueue:
    """The windows of one transcription, in order.

    Attributes:
        options: of the decoding; windows of queues with equal options share batches.
        interactive: whether a person waits for the text; windows of such queues go first.
    """

    def __init__(self, batcher: "Batcher", options: DecodingOptions, urgency: Urgency) -> None:
        self.options = options
        self.urgency = urgency
        self.interactive = urgency == "interactive"
        self.waiting: deque[_WaitingWindow] = deque()
        self.closed = False
        self._batcher = batcher

    @property
    def capacity(self) -> int:
        """How many windows the transcription may have submitted: its share of what keeps the model at work."""
        return self._batcher.share

    @property
    def next_call(self) -> Call | None:
        """Of the first window that is ready for one."""
        return next((window.call for window in self.waiting if window.call), None)

    def with_key(self, key: Hashable) -> list[_WaitingWindow]:
        """The windows whose next call can be made together with others of this key."""
        return [window for window in self.waiting if window.call and self._batcher.key(window.call) == key]

    def submit(self, window: Window) -> "asyncio.Future[list[DecodedSegment]]":
        """Let the window wait for the next batch; its segments, with times in seconds of the window."""
        waiting = _WaitingWindow(self._batcher.passes(window, self.options), self)
        self.waiting.append(waiting)
        return waiting.segments

    def close(self) -> None:
        """Drop what still waits; a call of the model that has begun is finished."""
        self.closed = True
        for window in self.waiting:
            window.passes.cancel()
            window.segments.cancel()
        self.waiting.clear()
        self._batcher.remove(self)


class Batcher:
    """Makes batches while it is entered. A batch is what waits when the model is free: it never waits to fill.

    A window takes several calls of the model (``transcriber.decoding.passes``); it waits for a batch before each.

    Args:
        recogniser: decodes a batch.
        model: the threads to do it in.
        batch_size: most windows of one batch; fewer once the model has run out of memory.
    """

    def __init__(self, recogniser: Recogniser, model: ModelPool, batch_size: int, metrics: Metrics) -> None:
        self._recogniser = recogniser
        self._model = model
        self._batch_size = batch_size
        self._metrics = metrics
        self._queues: deque[WindowQueue] = deque()
        self._batches = 0
        # A thread for each core: more would not be faster, and each takes memory for its spectrogram.
        self._mel_threads = ThreadPoolExecutor(len(os.sched_getaffinity(0)), thread_name_prefix="mel")
        self._work = asyncio.Event()

    async def __aenter__(self) -> Self:
        self._tasks = [asyncio.create_task(self._run(), name="batcher") for _ in range(self._model.workers)]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.wait(self._tasks)
        self._mel_threads.shutdown(wait=False, cancel_futures=True)

    @property
    def share(self) -> int:
        """Of each queue, in windows: all queues together hold a batch for each worker and one that is ready."""
        return max(LEAST_CAPACITY, ceil((self._model.workers + 1) * self._batch_size / max(1, len(self._queues))))

    def open_queue(self, options: DecodingOptions, urgency: Urgency) -> WindowQueue:
        """A queue for the windows of one transcription; close it after use."""
        queue = WindowQueue(self, options, urgency)
        self._queues.append(queue)
        return queue

    def remove(self, queue: WindowQueue) -> None:
        """Forget a queue that is closed."""
        if queue in self._queues:
            self._queues.remove(queue)

    def key(self, call: Call) -> Hashable:
        """Calls with equal keys can share a batch."""
        return self._recogniser.key(call)

    def passes(self, window: Window, options: DecodingOptions) -> "asyncio.Future[Passes]":
        """The way of a window through the model; its spectrogram is made in a thread ahead of the model."""
        task = asyncio.get_running_loop().run_in_executor(self._mel_threads, self._passes, window, options)
        task.add_done_callback(lambda _: self._work.set())
        return task

    def _passes(self, window: Window, options: DecodingOptions) -> Passes:
        with self._metrics.working("mel"):
            features = self._recogniser.features(window.audio)
        return self._recogniser.passes(MelWindow(features, window.seconds, window.speech), options)

    async def _run(self) -> None:
        while True:
            await self._work.wait()
            groups = self._ready_groups()
            if not groups:
                self._work.clear()
                continue
            await self._decode(self._fill(groups))

    def _ready_groups(self) -> list[list[WindowQueue]]:
        """The queues with a window for the next batch, in groups, none of them empty; the first group may fill it."""
        self._batches += 1
        ready = [queue for queue in self._queues if queue.next_call]
        if self._batches % FAIR_EVERY:
            groups = [[one for one in ready if one.interactive], [one for one in ready if not one.interactive]]
        else:
            groups = [ready]
        return [group for group in groups if group]

    def _fill(self, groups: list[list[WindowQueue]]) -> list[_WaitingWindow]:
        """One window of each queue of a group, again and again, until the batch is full or nothing is ready.

        The first one decides which others fit. While less is ready than all workers could take, each takes its part
        of it.
        """
        first = groups[0][0].next_call
        assert first
        key = self.key(first)
        fitting = [[deque(queue.with_key(key)) for queue in group] for group in groups]
        ready = sum(len(windows) for group in fitting for windows in group)
        room = min(self._batch_size, ceil(ready / self._model.workers))
        batch: list[_WaitingWindow] = []
        for group in fitting:
            while windows := [one for one in group if one][: room - len(batch)]:
                batch += [one.popleft() for one in windows]
        sharing = dict.fromkeys(window.queue for window in batch)
        for window in batch:
            window.queue.waiting.remove(window)
        for queue in sharing:  # to the end: the queue that was served the longest ago comes first
            self._queues.remove(queue)
            self._queues.append(queue)
        for window in batch:
            self._metrics.window_wait.labels(window.queue.urgency).observe(time.monotonic() - window.since)
        self._metrics.batch_windows.observe(len(batch))
        self._metrics.batch_jobs.observe(len(sharing))
        return batch

    async def _decode(self, batch: list[_WaitingWindow]) -> None:
        """Make one call for all windows. If it fails, the halves are tried: a window must not fail others."""
        calls = [window.call for window in batch if window.call]
        try:
            outcomes = await self._model.call(lambda: self._recogniser.decode(calls))
        except Exception as failure:  # of any kind: the transcriptions must get it, and others continue
            if len(batch) == 1 or isinstance(failure, ModelBroken):
                for window in batch:
                    window.fail(failure)
                return
            half = len(batch) // 2
            if isinstance(failure, ModelOutOfMemory):
                self._batch_size = min(self._batch_size, half)
                log.warning("%d windows are too much for the memory; batches hold at most %d now", len(batch), half)
            await self._decode(batch[:half])
            await self._decode(batch[half:])
            return
        for window, outcome in reversed(list(zip(batch, outcomes, strict=True))):
            window.take(outcome)
            if window.segments.done():
                continue
            if not window.call:
                window.segments.set_result(window.passes.result().segments)
            elif window.queue.closed:
                window.segments.cancel()
            else:  # before those that have not been in the model yet: their text comes later
                window.since = time.monotonic()
                window.queue.waiting.appendleft(window)
                self._work.set()
