"""Server-sent events: what is sent to a client that listens, leaves and comes back."""

import asyncio
import json
import signal
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager, suppress
from typing import Any, NamedTuple

import httpx
import pytest

from orchestrator.api import events, feed, handlers
from orchestrator.api.events import Position
from orchestrator.api.feed import Feed
from reelscribe.http.access.tokens import Tokens
from tests.orchestrator.scripted import falls_silent_after
from tests.waiting import eventually


class Event(NamedTuple):
    name: str
    data: Any
    id: str | None


async def events_of(response: httpx.Response) -> AsyncGenerator[Event, None]:
    fields: dict[str, str] = {}
    async for line in response.aiter_lines():
        if line:
            name, _, value = line.partition(": ")
            fields[name] = value
        else:
            if "event" in fields:
                yield Event(fields["event"], json.loads(fields["data"]), fields.get("id"))
            fields = {}


@pytest.fixture
async def api(serving) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=serving(Tokens()), timeout=60) as client:
        yield client


@pytest.fixture
def listen(api):
    """A stream of events; its response as ``.response``."""

    @asynccontextmanager
    async def listen(path: str = "/api/events", after: str | None = None):
        headers = {"Last-Event-ID": after} if after else {}
        async with api.stream("GET", path, headers=headers) as response, aclosing(events_of(response)) as events:
            assert response.status_code == 200, await response.aread()
            yield events

    return listen


async def until(events: AsyncIterator[Event], job: int, state: str) -> Event:
    async for event in events:
        if event.name == "job" and event.data["id"] == job and event.data["state"] == state:
            return event
    raise AssertionError("the stream ended")


async def test_a_job_is_followed_to_its_end(listen, submit, working):
    job = await submit()
    async with listen(f"/api/jobs/{job.id}/events") as events, working():
        states = [event.data["state"] async for event in events]
    assert (states[0], states[-1]) == ("queued", "done")


async def test_a_finished_job_is_sent_once(listen, store_transcript):
    job = await store_transcript("a.mp4", "hello")
    async with listen(f"/api/jobs/{job.id}/events") as events:
        assert [event.data["state"] async for event in events] == ["done"]


async def test_a_client_that_has_seen_the_end_is_asked_to_stay_away(listen, store_transcript, api):
    job = await store_transcript("a.mp4", "hello")
    async with listen(f"/api/jobs/{job.id}/events") as events:
        last = await anext(events)
    answer = await api.get(f"/api/jobs/{job.id}/events", headers={"Last-Event-ID": last.id})
    assert answer.status_code == 204


async def test_all_jobs_are_followed_in_one_stream(listen, submit, submissions):
    async with listen() as events:
        assert (await anext(events)).name == "totals"
        first, second = await submit("a.mp4"), await submit("b.mp4")
        await submissions.cancel([first.id, second.id])
        await until(events, first.id, "cancelled")
        await until(events, second.id, "cancelled")


async def test_totals_follow_submissions(listen, submit):
    async with listen() as events:
        await anext(events)
        await submit("a.mp4")
        assert (await anext(events)) == Event("totals", {"queued": 1}, None)


async def test_a_stream_begins_with_the_jobs_that_run(listen, submit, working, transcriber, job_in):
    transcriber.scripts = [falls_silent_after(1)]
    job = await submit()
    async with working():
        await job_in(job.id, "running")
        async with listen() as events:
            assert [(await anext(events)).name, (await anext(events)).data["id"]] == ["totals", job.id]


async def test_a_client_that_comes_back_gets_what_ended_meanwhile(listen, submit, submissions):
    seen, missed = await submit("seen.mp4"), await submit("missed.mp4")
    async with listen() as events:
        await anext(events)
        await submissions.cancel([seen.id])
        last = await until(events, seen.id, "cancelled")
    await submissions.cancel([missed.id])
    async with listen(after=last.id) as events:
        await until(events, missed.id, "cancelled")


async def test_an_end_that_was_committed_late_is_sent_to_a_client_that_comes_back(listen, submit, submissions, sql):
    """Its time is that of the beginning of its transaction: before the last event that the client has seen."""
    late, seen = await submit("late.mp4"), await submit("seen.mp4")
    await submissions.cancel([late.id, seen.id])
    await sql("update transcriptions set finished_at = finished_at - interval '100 s' where id = %s", late.id)
    [(when,)] = await sql("select finished_at from transcriptions where id = %s", seen.id)
    async with listen(after=str(Position(when, seen.id))) as events:
        await until(events, late.id, "cancelled")


async def test_a_wrong_position_is_400(api):
    answer = await api.get("/api/events", headers={"Last-Event-ID": "yesterday"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "bad_request")


async def test_an_unknown_job_has_no_events(api):
    assert (await api.get("/api/jobs/12345/events")).json()["error"]["code"] == "job_not_found"


async def test_a_quiet_stream_shows_that_it_lives(api, monkeypatch):
    monkeypatch.setattr(events, "HEARTBEAT_SECONDS", 0.1)
    async with api.stream("GET", "/api/events") as response:
        async for line in response.aiter_lines():
            if line == ": heartbeat":
                break


async def test_streams_over_the_limit_are_refused(listen, api, monkeypatch):
    monkeypatch.setattr(feed, "MOST_FOLLOWERS", 1)
    async with listen() as events:
        await anext(events)
        refused = await api.get("/api/events")
    assert (refused.status_code, refused.json()["error"]["code"], refused.headers["Retry-After"]) == (503, "busy", "10")


async def test_a_stream_may_be_opened_again_when_its_client_left(listen, api, monkeypatch):
    monkeypatch.setattr(feed, "MOST_FOLLOWERS", 1)
    for _ in range(3):
        async with listen() as events:
            await anext(events)
        while "reelscribe_event_streams 0.0" not in (await api.get("/metrics")).text:
            await asyncio.sleep(0.02)


async def test_one_connection_listens_for_all_clients_and_none_without_clients(listen, sql, api):
    listening = (
        "select count(*) from pg_stat_activity where query = 'listen reelscribe_jobs' and datname = current_database()"
    )
    async with listen() as first, listen() as second:
        await anext(first), await anext(second)
        assert await sql(listening) == [(1,)]
    await eventually(lambda: sql(f"select 1 where ({listening}) = 0"))


async def test_a_lost_database_ends_streams_so_that_clients_come_back(listen, sql):
    async with listen() as events:
        await anext(events)
        await sql("select pg_terminate_backend(pid) from pg_stat_activity where query = 'listen reelscribe_jobs'")
        assert [event.name async for event in events if event.name != "totals"] == []


async def test_a_follower_that_lags_is_dropped_and_forgotten(pool, submit, submissions, monkeypatch):
    monkeypatch.setattr(feed, "MOST_PENDING", 3)
    async with Feed(pool).follow() as follower:
        ids = [(await submit(f"{number}.mp4")).id for number in range(5)]
        await submissions.cancel(ids)
        await eventually(lambda: follower.dropped)
        assert follower.take()[0] == []


async def test_a_client_that_does_not_read_is_cut_off(serving, monkeypatch, sql, submit, submissions):
    monkeypatch.setattr(handlers, "STALL_SECONDS", 0.3)
    ids = [(await submit(f"{number}.mp4")).id for number in range(50)]
    await submissions.cancel(ids)
    await sql("update transcriptions set error_code = 'x', error_message = repeat('x', 200000)")
    host, port = serving(Tokens()).removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port), limit=1024)
    writer.write(b"GET /api/events HTTP/1.1\r\nHost: a\r\nLast-Event-ID: 1.1\r\n\r\n")
    await writer.drain()
    await asyncio.sleep(1.5)  # longer than it is waited for
    received = b""
    with suppress(ConnectionError):
        while chunk := await asyncio.wait_for(reader.read(1 << 20), 60):
            received += chunk
    assert b"event: job" in received and b"event: totals" not in received
    writer.close()


async def test_a_stop_ends_streams_immediately(orchestrator, free_port):
    command = await orchestrator.start("serve")
    await command.says("server running")
    url = f"http://127.0.0.1:{free_port}/api/events"
    async with httpx.AsyncClient(timeout=60) as client, client.stream("GET", url) as response:
        events = events_of(response)
        await anext(events)
        command.process.send_signal(signal.SIGTERM)
        assert [event.name async for event in events if event.name == "job"] == []
    assert (await command.ends()).code == 0
