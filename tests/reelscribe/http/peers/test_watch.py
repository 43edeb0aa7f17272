"""What a service knows of another one: asked once in a while, and never waited for long."""

import asyncio

import pytest

from reelscribe.http.peers.watch import PeerWatch


async def test_the_answer_is_kept_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = 0

    async def look() -> str | None:
        nonlocal asked
        asked += 1
        return f"away {asked}"

    watch = PeerWatch("the extractor", look)
    assert await asyncio.gather(watch.problem(), watch.problem()) == ["away 1", "away 1"]
    monkeypatch.setattr("reelscribe.http.peers.watch.FRESH_SECONDS", 0.0)
    assert await watch.problem() == "away 2"


async def test_one_that_does_not_answer_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reelscribe.http.peers.watch.ANSWER_SECONDS", 0.05)

    async def look() -> str | None:
        await asyncio.Event().wait()
        return None

    assert await PeerWatch("the extractor", look).problem() == "the extractor does not answer within 0.05 s"
