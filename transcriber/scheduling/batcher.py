"""Windows of all running jobs share the calls of the model, and no job waits for another one's windows."""

import asyncio
import logging
import os
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from math import ceil
from types import TracebackType

from reelscribe.contracts.transcriber import Priority
from reelscribe.errors import ModelBroken, ModelOutOfMemory
from transcriber.audio.mel import MelWindow
from transcriber.audio.windows import Window
from transcriber.decoding.recogniser import DecodingOptions, Recogniser, Segment
from transcriber.metrics import Metrics
from transcriber.model.pool import ModelPool

log = logging.getLogger(__name__)

LEAST_CAPACITY = 2
"""Windows of one job, however many jobs there are: one in the model and one ready."""

TURNS = 4
"""Interactive jobs go first in all batches but each fourth one, in which all jobs are equal: nobody starves."""


class _Waiting:
    """A window on its way through the model."""

    def __init__(self, mel: "asyncio.Future[MelWindow]", priority: Priority) -> None:
        self.mel = mel
        self.priority = priority
        self.since = time.monotonic()
        self.segments: asyncio.Future[list[Segment]] = asyncio.get_running_loop().create_future()

    @property
    def ready(self) -> bool:
        """Whether its spectrogram is there."""
        return self.mel.done()

    def fail(self, failure: BaseException) -> None:
        """Let whoever waits for the segments know."""
        if not self.segments.done():
            self.segments.set_exception(failure)
            self.segments.exception()  # of several windows of a job only the first is looked at; that is no mistake


class BatchedLane:
    """The windows of one job, in order.

    Attributes:
        options: of this job's decoding; windows of lanes with the same ones share batches.
        interactive: whether somebody waits for the words; windows of such lanes go first.
    """

    def __init__(self, batcher: "Batcher", options: DecodingOptions, priority: Priority) -> None:
        self.options = options
        self.interactive = priority == "interactive"
        self._priority = priority
        self.waiting: deque[_Waiting] = deque()
        self._batcher = batcher

    @property
    def capacity(self) -> int:
        """How many windows the job may have in here at once: its share of what keeps the model at work."""
        return self._batcher.share

    @property
    def ready(self) -> bool:
        """Whether its next window can go into a batch."""
        return bool(self.waiting) and self.waiting[0].ready

    def submit(self, window: Window) -> "asyncio.Future[list[Segment]]":
        """Let the window wait for the next batch; its segments, with times in seconds of the window."""
        waiting = _Waiting(self._batcher.mel(window), self._priority)
        self.waiting.append(waiting)
        return waiting.segments

    def close(self) -> None:
        """Drop what still waits; what is in the model is finished."""
        for window in self.waiting:
            window.mel.cancel()
            window.segments.cancel()
        self.waiting.clear()
        self._batcher.leave(self)


class Batcher:
    """Makes batches as long as it is entered. A batch is what waits when the model is free: it never waits to fill.

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
        self._lanes: deque[BatchedLane] = deque()
        self._turn = 0
        # A thread for each core: more would not be faster, and each takes memory for its spectrogram.
        self._mel_threads = ThreadPoolExecutor(len(os.sched_getaffinity(0)), thread_name_prefix="mel")
        self._work = asyncio.Event()

    async def __aenter__(self) -> "Batcher":
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
        """Of each lane, in windows: together a batch for each worker and one that is ready."""
        return max(LEAST_CAPACITY, ceil((self._model.workers + 1) * self._batch_size / max(1, len(self._lanes))))

    def lane(self, options: DecodingOptions, priority: Priority) -> BatchedLane:
        """A place for one job's windows; close it after use."""
        lane = BatchedLane(self, options, priority)
        self._lanes.append(lane)
        return lane

    def leave(self, lane: BatchedLane) -> None:
        """Forget a lane that is closed."""
        if lane in self._lanes:
            self._lanes.remove(lane)

    def mel(self, window: Window) -> "asyncio.Future[MelWindow]":
        """The spectrogram of a window, made in a thread ahead of the model."""
        task = asyncio.get_running_loop().run_in_executor(self._mel_threads, self._mel, window)
        task.add_done_callback(lambda _: self._work.set())
        return task

    def _mel(self, window: Window) -> MelWindow:
        with self._metrics.working("mel"):
            features = self._recogniser.features(window.audio)
        return MelWindow(features, window.seconds, window.timeline.pauses, window.longest_pause)

    async def _run(self) -> None:
        while True:
            await self._work.wait()
            lanes = self._next_lanes()
            if not lanes:
                self._work.clear()
                continue
            await self._decode(self._fill(lanes), lanes[0][0].options)

    def _next_lanes(self) -> list[list[BatchedLane]]:
        """Those that can share a batch, in groups of which the first may fill it; none of these is empty."""
        self._turn += 1
        ready = [lane for lane in self._lanes if lane.ready]
        if self._turn % TURNS:
            groups = [[lane for lane in ready if lane.interactive], [lane for lane in ready if not lane.interactive]]
        else:
            groups = [ready]
        options = next((group[0].options for group in groups if group), None)
        sharing = [[lane for lane in group if lane.options == options] for group in groups]
        return [group for group in sharing if group]

    def _fill(self, groups: list[list[BatchedLane]]) -> list[_Waiting]:
        """One window of each lane of a group in turn, until the batch is full or nothing is ready.

        While less is ready than all workers could take, each takes its part of it.
        """
        ready = sum(window.ready for group in groups for lane in group for window in lane.waiting)
        room = min(self._batch_size, ceil(ready / self._model.workers))
        batch: list[_Waiting] = []
        sharing: dict[BatchedLane, None] = {}
        for group in groups:
            while turn := [lane for lane in group if lane.ready][: room - len(batch)]:
                batch += [lane.waiting.popleft() for lane in turn]
                sharing.update(dict.fromkeys(turn))
        for lane in sharing:  # to the end of the line: whose turn was longest ago comes first
            self._lanes.remove(lane)
            self._lanes.append(lane)
        for window in batch:
            self._metrics.window_wait.labels(window.priority).observe(time.monotonic() - window.since)
        self._metrics.batch_windows.observe(len(batch))
        self._metrics.batch_jobs.observe(len(sharing))
        return batch

    async def _decode(self, batch: list[_Waiting], options: DecodingOptions) -> None:
        """Let all who wait know. A batch that fails is tried in halves: one window shall not fail the others."""
        try:
            windows = [window.mel.result() for window in batch]
            decoded = await self._model.call(lambda: self._recogniser.decode(windows, options))
        except Exception as failure:  # of whatever kind: those who wait must hear of it, and others go on
            if len(batch) == 1 or isinstance(failure, ModelBroken):
                for window in batch:
                    window.fail(failure)
                return
            half = len(batch) // 2
            if isinstance(failure, ModelOutOfMemory):
                self._batch_size = min(self._batch_size, half)
                log.warning("%d windows are too much for the memory; batches hold at most %d now", len(batch), half)
            await self._decode(batch[:half], options)
            await self._decode(batch[half:], options)
            return
        for window, segments in zip(batch, decoded, strict=True):
            if not window.segments.done():
                window.segments.set_result(segments)
