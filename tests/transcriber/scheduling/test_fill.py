"""How full the batches of a GPU are, simulated: the calls take as long as there, and nothing is decoded."""

import asyncio
import random
from collections.abc import Hashable, Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from prometheus_client import CollectorRegistry

from transcriber.audio.mel import MelWindow
from transcriber.audio.windows import Timeline, Window
from transcriber.decoding.options import DEFAULT_BEAM, DecodingOptions
from transcriber.decoding.passes import Call, Passes
from transcriber.decoding.second_pass import Outcome
from transcriber.metrics import Metrics
from transcriber.model.pool import ModelPool
from transcriber.scheduling.batcher import Batcher

BATCH_SIZE = 16
CALL_SECONDS = 0.06
OPTIONS = DecodingOptions("en", beam_size=DEFAULT_BEAM["cuda"])


class SimulatedGpu:
    """A recogniser whose calls take the same time whatever is in them; every third window leaves some of it over."""

    def __init__(self) -> None:
        self.fills: list[int] = []
        self.submitted = self._made = 0
        self._loop = asyncio.get_running_loop()
        self._random = random.Random(7)

    def features(self, audio: Any) -> Any:
        return np.zeros((80, len(audio) // 160), np.float32)

    def passes(self, window: MelWindow, options: DecodingOptions) -> Passes:
        self._made += 1
        return Passes(window, options, SimpleNamespace(eot=0), True)

    def key(self, call: Call) -> Hashable:
        return call.options

    def decode(self, calls: Sequence[Call]) -> list[Outcome]:
        asyncio.run_coroutine_threadsafe(self._call(), self._loop).result()
        self.fills.append(len(calls))
        return [Outcome([], [], self._settled(call.window.seconds)) for call in calls]

    async def _call(self) -> None:
        """It takes as long as a call, and on a busy host as long as all spectrograms take, which are ready before."""
        await asyncio.sleep(CALL_SECONDS)
        while self._made < self.submitted:
            await asyncio.sleep(0.001)

    def _settled(self, seconds: float) -> float:
        return seconds - 3 if seconds > 10 and self._random.random() < 1 / 3 else seconds


async def transcribed(batcher: Batcher, gpu: SimulatedGpu, windows: int) -> None:
    """Submit the windows of a recording as a transcription does: no more than its share before the first are done."""
    queue, waiting = batcher.open_queue(OPTIONS, "batch"), list[asyncio.Future[Any]]()
    for number in range(windows):
        while len(waiting) >= queue.capacity:
            await waiting.pop(0)
        seconds = 15 + number % 10
        gpu.submitted += 1
        waiting.append(queue.submit(Window(np.zeros(seconds * 16_000, np.float32), Timeline([], 0.0), 0.0)))
    await asyncio.gather(*waiting)
    queue.close()


@pytest.mark.parametrize("recordings", [1, 8, 40])
async def test_batches_are_filled_though_windows_leave_some_of_them_over(recordings: int) -> None:
    gpu, metrics = SimulatedGpu(), Metrics(CollectorRegistry())
    pool = ModelPool(1, metrics, lambda: None, lambda: None)
    async with Batcher(gpu, pool, BATCH_SIZE, metrics) as batcher:  # type: ignore[arg-type]
        await asyncio.gather(*(transcribed(batcher, gpu, 640 // recordings) for _ in range(recordings)))
    pool.close()
    assert sum(gpu.fills) > 640  # what was left over, too
    assert sum(gpu.fills) >= 0.8 * BATCH_SIZE * len(gpu.fills)  # 0.9 where nothing else runs
