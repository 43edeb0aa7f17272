"""The few threads that may use the model, one for each copy of it that can work at the same time."""

import asyncio
import logging
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from reelscribe.errors import ModelBroken, ModelFailed, ModelOutOfMemory, ServiceError
from transcriber.metrics import Metrics
from transcriber.model.memory import is_out_of_memory

log = logging.getLogger(__name__)

Result = TypeVar("Result")


class ModelPool:
    """Calls of the model, begun in the order in which they were requested.

    A call that has begun runs to its end even if its caller is cancelled.

    Attributes:
        broken: whether a call has failed, and the self-test after it; what CUDA calls a sticky error stays until the
            process ends. No further call is begun then.

    Args:
        workers: how many calls run concurrently.
        self_test: raises if the model does not work on any audio.
        on_broken: called once, if it does not.
    """

    def __init__(
        self, workers: int, metrics: Metrics, self_test: Callable[[], None], on_broken: Callable[[], None]
    ) -> None:
        self.broken = False
        self.workers = workers
        self._threads = ThreadPoolExecutor(workers, thread_name_prefix="model")
        self._free = asyncio.Semaphore(workers)
        self._alone = asyncio.Lock()
        self._running: dict[asyncio.Future[Any], float] = {}
        self._self_test = self_test
        self._on_broken = on_broken
        self._metrics = metrics
        metrics.model_workers.set(workers)

    @property
    def busy(self) -> bool:
        """Whether a call runs."""
        return bool(self._running)

    @property
    def longest_call_seconds(self) -> float:
        """How long the oldest of the calls that run has been running; 0: none runs."""
        return time.monotonic() - min(self._running.values()) if self._running else 0

    async def call(self, function: Callable[[], Result]) -> Result:
        """Run ``function`` in a thread of the pool.

        Raises:
            ModelFailed: it raised; the log has the reason.
            ModelOutOfMemory: for lack of memory; a smaller batch may fit.
            ModelBroken: it raises on any audio.
        """
        return await self._call(function, 1)

    async def call_alone(self, function: Callable[[], Result]) -> Result:
        """Like :meth:`call`, while no other call runs."""
        async with self._alone:  # two of them, each with some of the permits, would wait for each other
            return await self._call(function, self.workers)

    def close(self) -> None:
        """Begin no further call."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _call(self, function: Callable[[], Result], permits: int) -> Result:
        held = 0
        try:
            for _ in range(permits):
                await self._free.acquire()
                held += 1
        except asyncio.CancelledError:
            self._give_back(held)
            raise
        running = asyncio.get_running_loop().run_in_executor(self._threads, self._timed, function)
        self._running[running] = time.monotonic()
        running.add_done_callback(lambda done: self._end(done, permits))
        running.add_done_callback(self._check_outcome)
        return await asyncio.shield(running)

    def _end(self, done: "asyncio.Future[Any]", permits: int) -> None:
        del self._running[done]
        self._give_back(permits)

    def _check_outcome(self, done: "asyncio.Future[Any]") -> None:
        """Also of a call whose caller is gone."""
        if not done.cancelled() and isinstance(done.exception(), ModelBroken) and not self.broken:
            self.broken = True
            self._on_broken()

    def _give_back(self, permits: int) -> None:
        for _ in range(permits):
            self._free.release()

    def _timed(self, function: Callable[[], Result]) -> Result:
        if self.broken:
            raise _broken()
        try:
            with self._metrics.working("model"):
                return function()
        except Exception as failure:
            log.exception("the model failed")
            raise self._as_service_error(failure) from failure

    def _as_service_error(self, failure: Exception) -> ServiceError:
        if is_out_of_memory(failure):
            return ModelOutOfMemory(
                "the model ran out of memory; lower [transcriber] batch_size, or choose a smaller model"
            )
        try:
            self._self_test()
        except Exception:
            log.exception("the model fails on silence, too")
            return _broken()
        return ModelFailed("the model failed on this audio; the log of the transcriber has the reason")


def _broken() -> ModelBroken:
    return ModelBroken("the model of this transcriber has stopped working; the transcriber ends, to be started again")
