"""A transcript that is corrected over the HTTP API."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import httpx
import pytest

from orchestrator.jobs.models import Job
from reelscribe.http.access.tokens import Tokens
from tests.orchestrator.contract import CONTRACT

TALK = "talks/one.mp4"
URL = f"/api/transcripts/{TALK}"
SAID = ("Good morning.", "We meat Peter.", "Thank you for watching.")


@pytest.fixture
async def api(serving: Callable[[Tokens], str]) -> AsyncIterator[httpx.AsyncClient]:
    hooks = {"response": [CONTRACT.check]}
    async with httpx.AsyncClient(base_url=serving(Tokens()), event_hooks=hooks) as client:
        yield client


@pytest.fixture
async def talk(store_transcript: Callable[..., Awaitable[Job]]) -> Job:
    """Segments of 3 s, one every 4 s."""
    return await store_transcript(TALK, *SAID)


@pytest.fixture
def edit(api: httpx.AsyncClient, talk: Job) -> Callable[..., Awaitable[Any]]:
    """Write segments in place of those between two times; the answer, or the error."""

    async def post(
        start: float, end: float, *segments: str | dict[str, Any], base: int = 0, job: int = 0, status: int = 200
    ) -> Any:
        body = {
            "job": job or talk.id,
            "base_revision": base,
            "start": start,
            "end": end,
            "segments": [one if isinstance(one, dict) else {"text": one} for one in segments],
        }
        answer = await api.post(f"/api/edits/{TALK}", json=body)
        assert answer.status_code == status, answer.text
        return answer.json() if status == 200 else answer.json()["error"]

    return post


@pytest.fixture
def undo(api: httpx.AsyncClient) -> Callable[..., Awaitable[Any]]:
    """Undo an edit, or the newest one; the answer, or the error."""

    async def post(revision: int | None = None, status: int = 200) -> Any:
        answer = await api.post(f"/api/edits/{TALK}/undo", json={"revision": revision} if revision else {})
        assert answer.status_code == status, answer.text
        return answer.json() if status == 200 else answer.json()["error"]

    return post


@pytest.fixture
def read(api: httpx.AsyncClient) -> Callable[..., Awaitable[list[Any]]]:
    """What readers see: times, text and author of each segment."""

    async def get(**query: Any) -> list[Any]:
        document = (await api.get(URL, params=query)).json()
        assert [one["index"] for one in document["segments"]] == sorted({one["index"] for one in document["segments"]})
        return [
            (one["start"], one["end"], one["text"], one["edited"] and one["edited"]["author"])
            for one in document["segments"]
        ]

    return get
