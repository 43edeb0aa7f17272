"""Windows of all running jobs share the calls of the model, and no job waits for another one's windows."""

import asyncio
from collections import deque
from types import TracebackType
from typing import NamedTuple

from faster_whisper.transcribe import Segment

from machine.errors import MachineError
from transcriber.decoding import DecodingOptions, Features, Recogniser
from transcriber.metrics import Metrics
from transcriber.model_thread import ModelThread
from transcriber.windows import Window


class _Waiting(NamedTuple):
    features: Features
    seconds: float
    segments: asyncio.Future[list[Segment]]


class BatchedLane:
    """The windows of one job, in order.

    Attributes:
        options: of this job's decoding; windows of lanes with the same ones share batches.
        capacity: how many windows a job may have in here at once without making the model wait.
    """

    def __init__(self, batcher: "Batcher", options: DecodingOptions, capacity: int) -> None:
        self.options = options
        self.capacity = capacity
        self.waiting: deque[_Waiting] = deque()
        self._batcher = batcher

    async def submit(self, window: Window) -> asyncio.Future[list[Segment]]:
        """Let the window wait for the next batch; its segments, with times in seconds of the window."""
        features = await asyncio.to_thread(self._batcher.recogniser.features, window.audio)
        segments: asyncio.Future[list[Segment]] = asyncio.get_running_loop().create_future()
        self.waiting.append(_Waiting(features, window.seconds, segments))
        self._batcher.wake()
        return segments

    def close(self) -> None:
        """Drop what still waits; what is in the model is finished."""
        for window in self.waiting:
            window.segments.cancel()
        self.waiting.clear()
        self._batcher.leave(self)


class Batcher:
    """Makes batches as long as it is entered. A batch is what waits when the model is free: it never waits to fill.

    Args:
        recogniser: decodes a batch.
        model: the thread to do it in.
        batch_size: most windows of one batch.
    """

    def __init__(self, recogniser: Recogniser, model: ModelThread, batch_size: int, metrics: Metrics) -> None:
        self.recogniser = recogniser
        self._model = model
        self._batch_size = batch_size
        self._metrics = metrics
        self._lanes: deque[BatchedLane] = deque()
        self._work = asyncio.Event()

    async def __aenter__(self) -> "Batcher":
        self._task = asyncio.create_task(self._run(), name="batcher")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._task.cancel()
        await asyncio.wait([self._task])

    def lane(self, options: DecodingOptions) -> BatchedLane:
        """A place for one job's windows; close it after use."""
        lane = BatchedLane(self, options, 2 * self._batch_size)  # one batch in the model and one ready
        self._lanes.append(lane)
        return lane

    def leave(self, lane: BatchedLane) -> None:
        """Forget a lane that is closed."""
        if lane in self._lanes:
            self._lanes.remove(lane)

    def wake(self) -> None:
        """Tell that a window waits."""
        self._work.set()

    async def _run(self) -> None:
        while True:
            await self._work.wait()
            lanes = self._next_lanes()
            if not lanes:
                self._work.clear()
                continue
            await self._decode(self._fill(lanes), lanes[0].options)

    def _next_lanes(self) -> list[BatchedLane]:
        """Those that can share a batch, beginning with the one whose turn it is."""
        self._lanes.rotate(-1)
        waiting = [lane for lane in self._lanes if lane.waiting]
        return [lane for lane in waiting if lane.options == waiting[0].options]

    def _fill(self, lanes: list[BatchedLane]) -> list[_Waiting]:
        """One window of each lane in turn, until the batch is full or nothing waits."""
        batch: list[_Waiting] = []
        sharing = set()
        while any(lane.waiting for lane in lanes) and len(batch) < self._batch_size:
            for lane in lanes:
                if lane.waiting and len(batch) < self._batch_size:
                    batch.append(lane.waiting.popleft())
                    sharing.add(id(lane))
        self._metrics.batch_windows.observe(len(batch))
        self._metrics.batch_jobs.observe(len(sharing))
        return batch

    async def _decode(self, batch: list[_Waiting], options: DecodingOptions) -> None:
        features = [window.features for window in batch]
        seconds = [window.seconds for window in batch]
        try:
            decoded = await self._model.call(lambda: self.recogniser.decode(features, seconds, options))
        except MachineError as failure:
            for window in batch:
                _fail(window.segments, failure)
            return
        for window, segments in zip(batch, decoded, strict=True):
            if not window.segments.done():
                window.segments.set_result(segments)


def _fail(segments: asyncio.Future[list[Segment]], failure: MachineError) -> None:
    if not segments.done():
        segments.set_exception(failure)
        segments.exception()  # of several windows of a job only the first is looked at; that is no mistake
