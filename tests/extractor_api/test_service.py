"""What a request of the extractor holds is given back, however the request ends."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event
from types import SimpleNamespace

import pytest

from tests.extractor_api.conftest import Serve


async def test_an_object_that_is_opened_for_a_client_who_has_left_is_closed(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = (await serve()).service  # type: ignore[attr-defined]
    opening, drive_answers, closed = Event(), Event(), Event()

    @contextmanager
    def slowly(*_: object) -> Iterator[SimpleNamespace]:
        opening.set()
        assert drive_answers.wait(60)
        try:
            yield SimpleNamespace()
        finally:
            closed.set()

    monkeypatch.setattr(service.storage, "open", slowly)

    async def request() -> None:
        async with service.stored_object("a.mp4", None):
            pytest.fail("the client had left")

    task = asyncio.create_task(request())
    assert await asyncio.to_thread(opening.wait, 10)
    task.cancel()
    await asyncio.wait([task])
    drive_answers.set()
    assert await asyncio.to_thread(closed.wait, 10)


async def test_whoever_asks_for_its_health_while_another_one_does_is_answered(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = (await serve()).service  # type: ignore[attr-defined]

    async def soon(look: Callable[[], list[str]]) -> list[str]:
        await asyncio.sleep(0)
        return look()

    monkeypatch.setattr(asyncio, "to_thread", soon)
    asking = []
    for _ in range(20):
        asking.append(asyncio.create_task(service.problems()))
        await asyncio.sleep(0)
    assert await asyncio.gather(*asking) == [[]] * 20
