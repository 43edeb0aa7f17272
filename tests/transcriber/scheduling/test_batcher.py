"""Which windows share a call of the model, and which go first."""

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Hashable, Sequence
from contextlib import AsyncExitStack
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from prometheus_client import CollectorRegistry

from reelscribe.contracts.transcriber import Urgency
from reelscribe.errors import ModelBroken, ModelFailed, ModelOutOfMemory
from tests.transcriber.conftest import Serve, Transcriber, text, word_error_rate
from transcriber.audio.mel import MelWindow
from transcriber.audio.windows import Timeline, Window
from transcriber.decoding.options import WIDE_BEAM, DecodingOptions
from transcriber.decoding.passes import Call, Passes
from transcriber.decoding.second_pass import Outcome
from transcriber.metrics import Metrics
from transcriber.model.pool import ModelPool
from transcriber.scheduling.batcher import FAIR_EVERY, Batcher, WindowQueue

ENGLISH, GERMAN = DecodingOptions("en"), DecodingOptions("de")
ENGLISH_WITH_WIDE_BEAM = DecodingOptions("en", beam_size=WIDE_BEAM)


class Recorder:
    """A recogniser that notes each batch, by the lengths of its windows."""

    def __init__(self) -> None:
        self.batches: list[list[float]] = []
        self.allowed = threading.Event()
        self.settled: dict[float, float] = {}
        """Up to where windows of some lengths are decoded by the first call."""
        self.lengths_matter = False

    def features(self, audio: Any) -> Any:
        return np.zeros((80, len(audio) // 160), np.float32)

    def passes(self, window: MelWindow, options: DecodingOptions) -> Passes:
        return Passes(window, options, SimpleNamespace(eot=0), True)

    def key(self, call: Call) -> Hashable:
        return (call.options, call.window.seconds) if self.lengths_matter else call.options

    def decode(self, calls: Sequence[Call]) -> list[Outcome]:
        assert self.allowed.wait(60)
        self.batches.append([call.window.seconds for call in calls])
        return [Outcome([], [], self.settled.get(one.window.seconds, one.window.seconds)) for one in calls]


Start = Callable[..., Awaitable[Batcher]]


def well() -> None:
    """The model passes its self-test."""


def unexpected() -> None:
    raise AssertionError("nothing is broken")


def model_pool(
    workers: int, self_test: Callable[[], None] = well, on_broken: Callable[[], None] = unexpected
) -> ModelPool:
    return ModelPool(workers, Metrics(CollectorRegistry()), self_test, on_broken)


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


@pytest.fixture
async def start(recorder: Recorder) -> AsyncIterator[Start]:
    """A batcher with so many workers and windows in a batch; it works once ``recorder.allowed`` is set."""
    async with AsyncExitStack() as stack:

        async def begin(workers: int = 1, batch_size: int = 4) -> Batcher:
            metrics = Metrics(CollectorRegistry())
            pool = ModelPool(workers, metrics, well, unexpected)
            stack.callback(pool.close)
            return await stack.enter_async_context(Batcher(recorder, pool, batch_size, metrics))  # type: ignore[arg-type]

        yield begin
        recorder.allowed.set()


def window(seconds: float) -> Window:
    return Window(np.zeros(int(seconds * 16_000), np.float32), Timeline([], 0.0), 0.0)


async def submitted(batcher: Batcher, options: DecodingOptions, urgency: Urgency, *seconds: float) -> WindowQueue:
    """A queue whose windows, of these lengths, are ready."""
    queue = batcher.open_queue(options, urgency)
    for length in seconds:
        queue.submit(window(length))
    while not all(waiting.call for waiting in queue.waiting):
        await asyncio.sleep(0.01)
    return queue


async def all_done(recorder: Recorder, *queues: WindowQueue) -> list[list[float]]:
    """The batches after the first one, which kept the model busy."""
    waiting = [window.segments for queue in queues for window in queue.waiting]
    recorder.allowed.set()
    await asyncio.wait(waiting, timeout=10)
    return recorder.batches[1:]


async def busy(batcher: Batcher) -> None:
    """Keep the model busy with something else."""
    queue = batcher.open_queue(ENGLISH, "interactive")
    queue.submit(window(30))
    while queue.waiting:
        await asyncio.sleep(0.01)


async def test_a_batch_takes_one_window_of_each_job_then_the_next(start: Start, recorder: Recorder) -> None:
    batcher = await start(batch_size=4)
    await busy(batcher)
    long = await submitted(batcher, ENGLISH, "batch", 1, 2, 3, 4, 5)
    short = await submitted(batcher, ENGLISH, "batch", 11, 12)
    batches = await all_done(recorder, long, short)
    assert [sorted(batch) for batch in batches] == [[1, 2, 11, 12], [3, 4, 5]]


async def test_windows_with_other_options_are_in_another_batch(start: Start, recorder: Recorder) -> None:
    batcher = await start()
    await busy(batcher)
    english = await submitted(batcher, ENGLISH, "batch", 1, 2)
    german = await submitted(batcher, GERMAN, "batch", 11, 12)
    assert sorted(map(sorted, await all_done(recorder, english, german))) == [[1, 2], [11, 12]]


async def test_windows_that_cannot_be_decoded_together_are_in_different_batches(
    start: Start, recorder: Recorder
) -> None:
    recorder.lengths_matter = True
    batcher = await start()
    await busy(batcher)
    long = await submitted(batcher, ENGLISH, "batch", 1, 2, 1)
    short = await submitted(batcher, ENGLISH, "batch", 2, 1)
    assert await all_done(recorder, long, short) == [[1, 1, 1], [2, 2]]


async def test_what_a_call_leaves_over_shares_the_next_batch_with_other_windows(
    start: Start, recorder: Recorder
) -> None:
    recorder.settled = {9: 4, 8: 2}
    batcher = await start(batch_size=3)
    await busy(batcher)
    queue = await submitted(batcher, ENGLISH_WITH_WIDE_BEAM, "batch", 9, 8, 7, 3, 1)
    assert await all_done(recorder, queue) == [[9, 8, 7], [5, 6, 3], [1]]


async def test_a_window_of_a_closed_queue_takes_no_further_call(start: Start, recorder: Recorder) -> None:
    recorder.settled = {9: 4}
    batcher = await start(batch_size=1)
    queue = await submitted(batcher, ENGLISH, "batch")
    segments = queue.submit(window(9))
    while queue.waiting:
        await asyncio.sleep(0.01)
    queue.close()
    recorder.allowed.set()
    await asyncio.wait([segments], timeout=10)
    assert segments.cancelled()
    assert recorder.batches == [[9]]


async def test_an_outcome_that_cannot_be_used_fails_its_own_job_only(
    start: Start, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    take = Passes.take

    def of_9_seconds_fails(passes: Passes, outcome: Outcome) -> None:
        if outcome.settled == 9:
            raise MemoryError
        take(passes, outcome)

    monkeypatch.setattr(Passes, "take", of_9_seconds_fails)
    batcher = await start()
    await busy(batcher)
    queue = await submitted(batcher, ENGLISH, "batch", 3, 9, 4)
    waiting = [window.segments for window in queue.waiting]
    recorder.allowed.set()
    await asyncio.wait(waiting, timeout=10)
    assert [type(window.exception()) for window in waiting] == [type(None), MemoryError, type(None)]
    assert recorder.batches == [[30], [3, 9, 4]]


async def test_a_spectrogram_that_cannot_be_made_fails_its_own_job_only(
    start: Start, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    features = recorder.features

    def none_of_9_seconds(audio: Any) -> Any:
        if len(audio) == 9 * 16_000:
            raise MemoryError
        return features(audio)

    monkeypatch.setattr(recorder, "features", none_of_9_seconds)
    batcher = await start()
    recorder.allowed.set()
    queues = [batcher.open_queue(ENGLISH, "batch") for _ in range(2)]
    failing, other = queues[0].submit(window(9)), queues[1].submit(window(3))
    await asyncio.wait([failing, other], timeout=10)
    assert isinstance(failing.exception(), MemoryError)
    assert other.result() == []


async def test_interactive_windows_go_first(start: Start, recorder: Recorder) -> None:
    batcher = await start(batch_size=2)
    await busy(batcher)
    background = await submitted(batcher, ENGLISH, "batch", 1, 2)
    interactive = await submitted(batcher, ENGLISH, "interactive", 11, 12)
    assert await all_done(recorder, background, interactive) == [[11, 12], [1, 2]]


async def test_interactive_windows_do_not_starve_others(start: Start, recorder: Recorder) -> None:
    batcher = await start(batch_size=1)
    await busy(batcher)
    background = await submitted(batcher, ENGLISH, "batch", 1)
    interactive = await submitted(batcher, ENGLISH, "interactive", *range(11, 21))
    batches = await all_done(recorder, background, interactive)
    assert batches.index([1]) < 8


@pytest.mark.parametrize("interactive", [1, 2, 3, 4])
async def test_no_job_starves_among_interactive_jobs_with_other_options(
    start: Start, recorder: Recorder, interactive: int
) -> None:
    batcher = await start(batch_size=1)
    await busy(batcher)
    others = [await submitted(batcher, ENGLISH, "interactive", *[10] * 10) for _ in range(interactive)]
    background = await submitted(batcher, GERMAN, "batch", 1)
    batches = await all_done(recorder, *others, background)
    assert batches.index([1]) < FAIR_EVERY * (interactive + 1)


async def test_a_window_that_the_model_fails_on_fails_its_own_job_only(
    start: Start, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    decode = recorder.decode

    def fails_on_7(calls: Sequence[Call]) -> Any:
        if 7 in [call.window.seconds for call in calls]:
            raise RuntimeError("no audio like this")
        return decode(calls)

    monkeypatch.setattr(recorder, "decode", fails_on_7)
    batcher = await start(batch_size=8)
    await busy(batcher)
    queue = await submitted(batcher, ENGLISH, "batch", *range(1, 9))
    waiting = [window.segments for window in queue.waiting]
    await all_done(recorder, queue)
    await asyncio.wait(waiting, timeout=10)
    assert [isinstance(window.exception(), ModelFailed) for window in waiting] == [n == 7 for n in range(1, 9)]


async def test_workers_share_what_is_ready_if_it_is_too_little_for_all(start: Start, recorder: Recorder) -> None:
    batcher = await start(workers=2, batch_size=8)
    queue = batcher.open_queue(ENGLISH, "batch")
    queue.submit(window(30))
    queue.submit(window(30))
    while queue.waiting:
        await asyncio.sleep(0.01)
    last = await submitted(batcher, ENGLISH, "batch", 1, 2, 3, 4)
    batches = await all_done(recorder, last)
    assert max(map(len, batches)) == 2


async def test_many_jobs_share_the_room_that_one_has_alone(start: Start) -> None:
    batcher = await start(workers=2, batch_size=4)
    first = batcher.open_queue(ENGLISH, "batch")
    assert first.capacity == 12
    others = [batcher.open_queue(ENGLISH, "batch") for _ in range(3)]
    assert first.capacity == 3
    for queue in others:
        queue.close()
    assert first.capacity == 12


def too_much(limit: int, decode: Callable[..., Any], seen: list[int]) -> Callable[..., Any]:
    """``decode`` on a GPU that holds ``limit`` windows."""

    def decode_if_it_fits(calls: Sequence[Call]) -> Any:
        seen.append(len(calls))
        if len(calls) > limit:
            raise RuntimeError("CUDA failed with error out of memory")
        return decode(calls)

    return decode_if_it_fits


@pytest.fixture
def small_gpu(monkeypatch: pytest.MonkeyPatch) -> Callable[[Transcriber, int], list[int]]:
    """Let the model have memory for so many windows; the sizes of its batches."""

    def shrink(transcriber: Transcriber, limit: int) -> list[int]:
        recogniser, seen = transcriber.service.recogniser, list[int]()
        monkeypatch.setattr(recogniser, "decode", too_much(limit, recogniser.decode, seen))
        return seen

    return shrink


SmallGpu = Callable[[Transcriber, int], list[int]]


async def test_smaller_batches_are_tried_when_memory_runs_out_and_no_word_is_lost(
    serve: Serve, small_gpu: SmallGpu
) -> None:
    transcriber = await serve(batch_size=8)
    seen = small_gpu(transcriber, 2)
    assert word_error_rate("ten_minutes.ogg", text(await transcriber.events("ten_minutes.ogg"))) <= 0.1
    assert max(seen) > 2
    after_the_last_failure = seen[len(seen) - [size > 2 for size in reversed(seen)].index(True) :]
    assert len(after_the_last_failure) > 3  # it stays with the smaller size


async def test_too_little_memory_for_one_window_is_reported(serve: Serve, small_gpu: SmallGpu) -> None:
    transcriber = await serve()
    small_gpu(transcriber, 0)
    failed = (await transcriber.events("short.flac"))[-1]
    assert failed.event == "failed"
    assert failed.retryable
    assert "out of memory" in failed.message
    assert "smaller model" in failed.message


async def test_a_call_alone_waits_until_no_other_call_runs() -> None:
    pool, order, resume = model_pool(2), list[str](), threading.Event()

    def long_call() -> None:
        assert resume.wait(60)
        order.append("call")

    running = asyncio.create_task(pool.call(long_call))
    await asyncio.sleep(0.05)
    running.cancel()  # its caller is gone, but it runs
    alone = asyncio.create_task(pool.call_alone(lambda: order.append("alone")))
    later = asyncio.create_task(pool.call(lambda: order.append("later")))
    await asyncio.sleep(0.05)
    resume.set()
    await asyncio.gather(alone, later)
    assert order.index("call") < order.index("alone")
    pool.close()


async def test_a_failing_call_leaves_the_pool_as_it_was(caplog: pytest.LogCaptureFixture) -> None:
    pool = model_pool(1)
    for _ in range(3):
        with pytest.raises(ModelFailed):
            await pool.call(lambda: 1 / 0)
    assert await pool.call(lambda: 7) == 7
    assert not pool.busy
    pool.close()


async def test_a_pool_whose_model_fails_its_self_test_begins_no_further_call() -> None:
    calls, reports = list[str](), list[str]()

    def fail() -> None:
        calls.append("call")
        raise RuntimeError("an illegal memory access was encountered")

    pool = model_pool(2, self_test=fail, on_broken=lambda: reports.append("broken"))
    together = await asyncio.gather(pool.call(fail), pool.call(fail), return_exceptions=True)
    assert [type(outcome) for outcome in together] == [ModelBroken, ModelBroken]
    begun = len(calls)
    with pytest.raises(ModelBroken):
        await pool.call(fail)
    assert (pool.broken, reports, len(calls)) == (True, ["broken"], begun)
    pool.close()


async def test_a_model_without_memory_is_not_broken() -> None:
    def fail() -> None:
        raise RuntimeError("CUDA failed with error out of memory")

    pool = model_pool(1, self_test=fail)
    with pytest.raises(ModelOutOfMemory):
        await pool.call(fail)
    assert not pool.broken
    pool.close()
