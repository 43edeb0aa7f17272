"""Work that several requests wait for at the same time is done once."""

import asyncio
from collections.abc import Callable, Coroutine, Hashable
from typing import Any, Generic, TypeVar

Value = TypeVar("Value")


class SharedWork(Generic[Value]):
    """Work in progress, by what it is for; it is cancelled when no one waits for it any more."""

    def __init__(self) -> None:
        self._running: dict[Hashable, asyncio.Task[Value]] = {}
        self._waiting: dict[asyncio.Task[Value], int] = {}

    async def result(self, key: Hashable, work: Callable[[], Coroutine[Any, Any, Value]]) -> Value:
        """The result of the work for ``key``, which ``work`` does if it does not run already."""
        task = self._running.get(key)
        if task is None:
            task = self._running[key] = asyncio.create_task(work())
            self._waiting[task] = 0
        self._waiting[task] += 1
        try:
            return await asyncio.shield(task)
        finally:
            self._waiting[task] -= 1
            if not self._waiting[task]:
                del self._waiting[task]
                if self._running.get(key) is task:
                    del self._running[key]
                task.cancel()
