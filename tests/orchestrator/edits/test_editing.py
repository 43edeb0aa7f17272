"""Correcting a transcript over the HTTP API: what is shown, found, exported and kept afterwards."""

import asyncio
import json
from collections.abc import AsyncIterator

import httpx
import pytest

from orchestrator.api.edits import ANONYMOUS
from orchestrator.transcripts.edits import shown
from reelscribe.http.auth import Tokens
from tests.orchestrator.contract import CONTRACT

TALK = "talks/one.mp4"
URL = f"/api/transcripts/{TALK}"
SAID = ("Good morning.", "We meat Peter.", "Thank you for watching.")


@pytest.fixture
async def api(serving) -> AsyncIterator[httpx.AsyncClient]:
    hooks = {"response": [CONTRACT.check]}
    async with httpx.AsyncClient(base_url=serving(Tokens()), event_hooks=hooks) as client:
        yield client


@pytest.fixture
async def talk(store_transcript):
    """Segments of 3 s, one every 4 s."""
    return await store_transcript(TALK, *SAID)


@pytest.fixture
def edit(api, talk):
    async def post(start: float, end: float, *segments: str | dict, base: int = 0, job: int = 0, status: int = 200):
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
def undo(api):
    async def post(revision: int | None = None, status: int = 200):
        answer = await api.post(f"/api/edits/{TALK}/undo", json={"revision": revision} if revision else {})
        assert answer.status_code == status, answer.text
        return answer.json() if status == 200 else answer.json()["error"]

    return post


@pytest.fixture
def read(api):
    """What readers see: times, text and author of each segment."""

    async def get(**query):
        document = (await api.get(URL, params=query)).json()
        assert [one["index"] for one in document["segments"]] == sorted({one["index"] for one in document["segments"]})
        return [
            (one["start"], one["end"], one["text"], one["edited"] and one["edited"]["author"])
            for one in document["segments"]
        ]

    return get


MACHINE = [(4.0 * number, 4.0 * number + 3, text, None) for number, text in enumerate(SAID)]


async def test_a_text_is_changed_and_undone(edit, undo, read, api):
    changed = await edit(4, 7, "  We meet\nPeter. ")
    assert (changed["revision"], [one["text"] for one in changed["segments"]]) == (1, ["We meet Peter."])
    assert await read() == [MACHINE[0], (4, 7, "We meet Peter.", ANONYMOUS), MACHINE[2]]
    assert await read(as_heard=True) == MACHINE
    assert (await undo())["segments"][0]["text"] == "We meat Peter."
    assert await read() == MACHINE
    redone = await undo(2)
    assert (redone["revision"], redone["edit"]["undoes"], redone["segments"][0]["text"]) == (3, 2, "We meet Peter.")
    history = (await api.get(f"/api/edits/{TALK}")).json()
    assert [(one["revision"], one["undoes"], one["undone_by"]) for one in history["edits"]] == [
        (3, 2, None), (2, 1, 3), (1, None, None),
    ]  # fmt: skip
    assert [(one["replaced"][0]["text"], one["segments"][0]["text"]) for one in history["edits"]] == [
        ("We meat Peter.", "We meet Peter."), ("We meet Peter.", "We meat Peter."), ("We meat Peter.", "We meet Peter."),
    ]  # fmt: skip


async def test_segments_are_split_merged_removed_and_added(edit, undo, read, sql):
    await edit(0, 3, "Good", "morning.")
    assert await read() == [(0, 1, "Good", ANONYMOUS), (1, 3, "morning.", ANONYMOUS), *MACHINE[1:]]
    await edit(1, 7, "Morning, we meet Peter.", base=1)
    assert await read() == [(0, 1, "Good", ANONYMOUS), (1, 7, "Morning, we meet Peter.", ANONYMOUS), MACHINE[2]]
    await edit(8, 11, base=2)
    assert await read() == [(0, 1, "Good", ANONYMOUS), (1, 7, "Morning, we meet Peter.", ANONYMOUS)]
    await edit(12, 14, "Goodbye.", base=3)
    assert (await read())[2:] == [(12, 14, "Goodbye.", ANONYMOUS)]
    assert await read(as_heard=True) == MACHINE
    for _ in range(4):
        await undo()
    assert await read() == MACHINE
    assert await sql("select count(*) from replaced_segments") == [(0,)]
    assert await sql("select count(*) from edited_ranges") == [(0,)]
    assert (await undo(status=409))["code"] == "nothing_to_undo"
