"""The one thread that may use the model, so that the GPU has one owner."""

import asyncio
import logging
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from machine.errors import ModelFailed
from transcriber.metrics import Metrics

log = logging.getLogger(__name__)

Result = TypeVar("Result")


class ModelThread:
    """Calls of the model, one after the other, in the order in which they were asked for."""

    def __init__(self, metrics: Metrics) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="model")
        self._metrics = metrics
        self.busy = False

    async def call(self, function: Callable[[], Result]) -> Result:
        """Run ``function`` in the model thread. A call that has begun runs to its end even if nobody waits for it.

        Raises:
            ModelFailed: it raised; the log has the reason.
        """
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._timed, function)

    def close(self) -> None:
        """Begin no further call."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _timed(self, function: Callable[[], Result]) -> Result:
        started, self.busy = time.monotonic(), True
        try:
            return function()
        except Exception as failure:
            log.exception("the model failed")
            raise _as_machine_error(failure) from failure
        finally:
            self.busy = False
            self._metrics.model_seconds.inc(time.monotonic() - started)


def _as_machine_error(failure: Exception) -> ModelFailed:
    if "out of memory" in str(failure).lower():
        return ModelFailed("the model ran out of memory; lower [transcriber] batch_size, or choose a smaller model")
    return ModelFailed("the model failed on this audio; the log of the transcriber has the reason")
