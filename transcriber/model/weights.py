"""The model's weights: in memory while requests need them, unloaded on request or after some idle time."""

import asyncio
import ctypes
import logging
import time
from collections.abc import Callable, Coroutine
from typing import Any, Literal

from reelscribe.errors import ModelNotLoaded
from transcriber.metrics import Metrics
from transcriber.model.loading import LoadedModel
from transcriber.model.pool import ModelPool

log = logging.getLogger(__name__)

RETRY_AFTER_SECONDS = 30

LoadState = Literal["loaded", "loading", "unloaded"]


class Weights:
    """Of a model that has been loaded once; what stays of it while unloaded is small.

    Attributes:
        state: whether they are in memory.

    Args:
        idle_seconds: after which :meth:`start_idle_time` unloads them; 0: never.
        check_unused: raises :class:`ModelInUse` while they are needed.
    """

    def __init__(
        self,
        loaded: LoadedModel,
        model: ModelPool,
        metrics: Metrics,
        idle_seconds: float,
        check_unused: Callable[[], None],
    ) -> None:
        self.state: LoadState = "loaded"
        self._loaded = loaded
        self._model = model
        self._idle_seconds = idle_seconds
        self._check_unused = check_unused
        self._changing = asyncio.Lock()
        self._loading: asyncio.Task[None] | None = None
        self._unloading: asyncio.Task[None] | None = None
        self._idle_timer: asyncio.TimerHandle | None = None
        metrics.model_loaded.set_function(lambda: self.state == "loaded")

    async def load(self) -> None:
        """Load them if they are not in memory. All callers share one load, which continues even if they are cancelled.

        Raises:
            ModelNotLoaded: that has failed.
        """
        if self.state == "loaded":
            return
        if not self._loading or self._loading.done():
            self._loading = _run_detached(self._load())
        await asyncio.shield(self._loading)

    async def unload(self) -> None:
        """Free their memory.

        Raises:
            ModelInUse: they are needed.
        """
        if not self._unloading or self._unloading.done():
            self._unloading = _run_detached(self._unload())
        await asyncio.shield(self._unloading)

    def start_idle_time(self) -> None:
        """Unload the weights after ``idle_seconds`` from now, unless :meth:`end_idle_time` is called before."""
        self.end_idle_time()
        if self._idle_seconds:
            self._idle_timer = asyncio.get_running_loop().call_later(self._idle_seconds, self._unload_if_idle)

    def end_idle_time(self) -> None:
        """Do not unload the weights until :meth:`start_idle_time`."""
        if self._idle_timer:
            self._idle_timer.cancel()

    def _unload_if_idle(self) -> None:
        if self.state == "loaded":
            log.info("transcriber: idle for %g s", self._idle_seconds)
            self._unloading = _run_detached(self._unload())

    async def _load(self) -> None:
        async with self._changing:
            if self.state == "loaded":
                return
            self.state, started = "loading", time.monotonic()
            failure = await self._model.call_alone(self._load_now)
            self.state = "unloaded" if failure else "loaded"
        if failure:
            log.error("transcriber: the model cannot be loaded: %s", failure)
            raise ModelNotLoaded(self._message(failure), retry_after=RETRY_AFTER_SECONDS)
        log.info("transcriber: model loaded: %s in %.1f s", self._loaded.name, time.monotonic() - started)

    async def _unload(self) -> None:
        async with self._changing:
            self._check_unused()
            if self.state == "unloaded":
                return
            self.state = "unloaded"
            await self._model.call_alone(self._unload_now)
        log.info("transcriber: model unloaded: %s", self._loaded.name)

    def _unload_now(self) -> None:
        self._free()
        if trim := getattr(ctypes.CDLL(None), "malloc_trim", None):
            trim(0)  # glibc keeps freed memory for itself otherwise

    def _load_now(self) -> str | None:
        """Load, and encode one window of silence; the reason if that fails, else None."""
        try:
            self._loaded.whisper.model.load_model()
            self._loaded.self_test()
        except Exception as failure:  # CTranslate2's are RuntimeErrors, those of the drivers are not documented
            self._free()
            return str(failure)
        return None

    def _free(self) -> None:
        """CTranslate2 says nothing and unloads nothing for a moment after each result (4.8.5, as findings/ shows)."""
        model = self._loaded.whisper.model
        while model.model_is_loaded:
            model.unload_model()
            time.sleep(0.001)

    def _message(self, failure: str) -> str:
        """Without the text of the failure, which may hold paths."""
        name, device = self._loaded.name, self._loaded.device
        if "out of memory" in failure.lower():
            return f"there is too little memory on {device} to load the model {name} again; free some, then try again"
        return f"the model {name} cannot be loaded again on {device}; the log of the transcriber has the reason"


def _run_detached(work: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
    """A task whose failure may stay unread."""
    task = asyncio.create_task(work)
    task.add_done_callback(lambda done: done.cancelled() or done.exception())
    return task
