"""Pauses and throughput over HTTP."""

import asyncio
from datetime import UTC, datetime

import httpx
import pytest

from orchestrator.api.throughput import INTERVALS
from orchestrator.jobs import throughput
from reelscribe.http.access.tokens import Tokens
from tests.orchestrator.contract import CONTRACT


@pytest.fixture
async def api(serving):
    async with httpx.AsyncClient(base_url=serving(Tokens()), event_hooks={"response": [CONTRACT.check]}) as client:
        yield client


async def test_everything_or_a_prefix_is_paused_and_resumed(api):
    assert (await api.get("/api/pauses")).json() == {"rules": []}
    await api.put("/api/pauses", json={"prefix": "talks/ü"})
    rules = (await api.put("/api/pauses", json={})).json()["rules"]
    assert [(rule["prefix"], rule["paused_by"]) for rule in rules] == [
        ("", "anonymous from 127.0.0.1"),
        ("talks/ü", "anonymous from 127.0.0.1"),
    ]
    assert (await api.get("/api/status")).json()["rules"] == rules
    left = (await api.delete("/api/pauses")).json()["rules"]
    assert [rule["prefix"] for rule in left] == ["talks/ü"]
    assert (await api.delete("/api/pauses", params={"prefix": "talks/ü"})).json() == {"rules": []}
    assert (await api.put("/api/pauses", json={"prefix": "a\0b"})).status_code == 400
    refused = await api.put("/api/pauses", json={"prefix": "/talks"})
    assert (refused.status_code, "no savepath starts with '/talks'" in refused.json()["error"]["message"]) == (
        400,
        True,
    )


async def test_status_says_how_old_the_oldest_waiting_job_is(api, submit, sql):
    assert (await api.get("/api/status")).json()["oldest_seconds"] is None
    await submit()
    await sql("update transcriptions set created_at = now() - interval '1 hour'")
    assert (await api.get("/api/status")).json()["oldest_seconds"] == pytest.approx(3600, abs=30)


async def test_throughput_is_the_audio_of_each_quarter_of_an_hour(api, store_transcript, submit, sql, monkeypatch):
    monkeypatch.setattr(throughput, "MOST_ENDED", 2)
    for number in range(5):
        await store_transcript(f"{number}.mp4", *["word"] * (number + 1))
    failed = await submit("failed.mp4")
    await sql(
        "update transcriptions set state = 'failed', error_code = 'x', error_message = 'x', finished_at = now()"
        " where id = %s",
        failed.id,
    )
    await sql(
        "update jobs set finished_at = date_trunc('hour', now()) - interval '1 hour 1 s' - mod(id, 2) * interval '1 s'"
    )
    await sql("update jobs set finished_at = now() - interval '30 hours' where id = 1")
    latest = (await api.get("/api/throughput")).json()
    assert latest["complete"] and len(latest["jobs"]) == len(latest["audio_seconds"]) == INTERVALS
    assert (sum(latest["jobs"]), sum(latest["audio_seconds"])) == (4, 4.0 * (2 + 3 + 4 + 5))
    [number] = [number for number, jobs in enumerate(latest["jobs"]) if jobs]
    end = datetime.fromisoformat(latest["since"]).timestamp() + (number + 1) * latest["interval_seconds"]
    assert end == datetime.now(UTC).replace(minute=0, second=0, microsecond=0).timestamp() - 3600

    await store_transcript("new.mp4", "word")
    assert (await api.get("/api/throughput")).json()["jobs"] == latest["jobs"], "a slower transaction may add to it"
    await sql("update jobs set finished_at = date_trunc('hour', now()) - interval '1 hour 0.5 s' where id = 7")
    both = await asyncio.gather(*(api.get("/api/throughput") for _ in range(2)))
    assert [sum(answer.json()["jobs"]) for answer in both] == [5, 5], "each is counted once"
