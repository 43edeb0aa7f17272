"""Transcribers that come and go: how many jobs they get, and what that leaves in the log and in the database."""

import asyncio
import logging
import time

import pytest
from tornado.web import Application, RequestHandler

from orchestrator.errors import NoTranscriber
from orchestrator.worker import outages, transcriber_choice, transcriber_client, worker
from reelscribe.contracts.transcriber import TranscribeRequest
from reelscribe.errors import RemoteError
from reelscribe.http.access.tokens import Tokens
from tests.orchestrator.conftest import run_worker
from tests.orchestrator.scripted import ScriptedTranscriber, falls_silent_after, refuses, transcribes
from tests.waiting import eventually


async def test_a_transcriber_gets_as_many_jobs_as_it_has_slots(database_url, transcriber, submit):
    transcriber.capacity = transcriber.free = 6
    transcriber.scripts = [falls_silent_after(1)]
    for number in range(12):
        await submit(f"{number}.mp4")
    async with run_worker(database_url, (transcriber.url,), 30, max_running=None):
        most = 6 + transcriber_choice.AHEAD
        await eventually(lambda: len(transcriber.requests) == most)
        await asyncio.sleep(worker.POLL_SECONDS * 1.5)
        assert len(transcriber.requests) == most


async def test_the_next_job_is_taken_when_one_ends(database_url, transcriber, submit, job_in, monkeypatch):
    monkeypatch.setattr(worker, "POLL_SECONDS", 60.0)
    transcriber.capacity = transcriber.free = 1
    ids = [(await submit(f"{number}.mp4")).id for number in range(8)]
    async with run_worker(database_url, (transcriber.url,), 5, max_running=None):
        for id in ids:
            await job_in(id, "done")


async def test_jobs_that_follow_each_other_take_one_connection(working, submit, job_in, transcriber, monkeypatch):
    monkeypatch.setattr(transcriber_client, "KEPT_SECONDS", 60.0)
    async with working():
        for number in range(3):
            job = await submit(f"{number}.mp4")
            await job_in(job.id, "done")
    assert len(transcriber.connections) == 3 and len(set(transcriber.connections)) == 1


async def test_a_connection_that_the_transcriber_has_closed_is_not_used_again(
    working, submit, job_in, free_port, monkeypatch
):
    monkeypatch.setattr(transcriber_client, "KEPT_SECONDS", 60.0)
    monkeypatch.setattr(transcriber_choice, "FRESH_SECONDS", 60.0)
    async with working(f"http://127.0.0.1:{free_port}"):
        for number in range(3):
            async with ScriptedTranscriber().listening(free_port):
                job = await submit(f"{number}.mp4")
                assert (await job_in(job.id, "done")).attempt == 1


async def test_a_transcriber_that_goes_and_comes_back_is_two_lines(
    database_url, free_port, submit, job_in, sql, caplog, monkeypatch
):
    caplog.set_level(logging.INFO, "orchestrator")
    monkeypatch.setattr(outages, "pause_seconds", lambda failures: 0.1)
    monkeypatch.setattr(transcriber_choice, "RETRY_SECONDS", 0.1)

    def lines() -> list[str]:
        return [record.getMessage() for record in caplog.records]

    ids = [(await submit(f"{number}.mp4")).id for number in range(4)]
    async with run_worker(database_url, (f"http://127.0.0.1:{free_port}",), 5, max_running=None) as running:
        for id in ids:
            job = await job_in(id, "waiting")
            assert "does not answer" in job.error.message
        rows = await sql("select id, xmin::text from jobs order by id")
        await asyncio.sleep(1)
        assert await sql("select id, xmin::text from jobs order by id") == rows, "each has tried ten times"
        await eventually(lines)
        [gone] = lines()
        assert "does not answer" in gone and "jobs wait until that is over" in gone
        await running._log_waiting()
        monkeypatch.setattr("time.monotonic", lambda now=time.monotonic: now() + 601)
        for runner in running._runners:
            runner._refused = {id: (reason, until + 601) for id, (reason, until) in runner._refused.items()}
        await running._log_waiting()
        monkeypatch.undo()
        assert lines()[1].startswith("4 jobs still wait: the transcriber at")
        async with ScriptedTranscriber().listening(free_port):
            for id in ids:
                await job_in(id, "done")
    assert len([line for line in lines() if "can be used again" in line]) == 1


async def test_a_transcriber_that_starts_later_than_the_worker_is_no_line(
    database_url, free_port, submit, job_in, caplog, monkeypatch
):
    caplog.set_level(logging.INFO, "orchestrator.worker.outages")
    monkeypatch.setattr(outages, "pause_seconds", lambda failures: 0.1)
    monkeypatch.setattr(transcriber_choice, "WATCH_SECONDS", 0.1)
    async with run_worker(database_url, (f"http://127.0.0.1:{free_port}",), 5, max_running=None):
        await asyncio.sleep(0.5)
        async with ScriptedTranscriber().listening(free_port) as transcriber:
            await eventually(lambda: transcriber.probes)
            await job_in((await submit()).id, "done")
            assert not caplog.records
        await eventually(lambda: caplog.records)
    assert "does not answer" in caplog.records[0].getMessage()


@pytest.mark.parametrize(
    ("states", "problems"),
    [
        ([], []),
        ([(True, ()), (None, ())], []),
        ([(True, ()), (False, ("away",))], ["1 of 2 transcribers does not answer"]),
        ([(True, ()), (False, ("a",)), (False, ("b",))], ["2 of 3 transcribers do not answer"]),
        ([(True, ()), (True, ("no extractor",))], ["a transcriber cannot work: no extractor"]),
        ([(False, ("away",)), (False, ("away",))], ["no transcriber answers"]),
        ([(True, ("no extractor",)), (False, ("away",))], ["no transcriber can work: no extractor"]),
    ],
)
def test_the_orchestrator_says_which_transcribers_it_lacks(states, problems):
    known = [transcriber_choice.TranscriberState("http://b", up, lacks, 4, 4, 0) for up, lacks in states]
    assert transcriber_choice.transcriber_problems(known) == problems


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("bucket_unavailable", "degraded: bucket x is not there"),
        ("peer_unreachable", "cannot be used (peer_unreachable)"),
    ],
)
def test_no_job_tries_what_the_health_of_the_transcriber_still_lacks(code, said):
    one = transcriber_choice._Transcriber("http://b", outages.Outage("b"))
    reading = one.reading("x")
    one.note_health({"problems": [f"the extractor is {said}"]})
    assert one.note_still_lacking(reading) is None, "no job has failed"
    reading.note_failure(RemoteError(502, code, "bucket x is not there", True))
    assert one.note_still_lacking(reading) is reading.reason
    one.note_health({"problems": ["the extractor is degraded: bucket y is not there"]})
    assert one.note_still_lacking(reading) is None


async def test_a_job_that_finds_no_free_slot_lets_the_others_try_the_bucket(transcriber, monkeypatch):
    monkeypatch.setattr(outages, "pause_seconds", lambda failures: 0.0)
    transcriber.scripts = [refuses(503, "busy", "all slots are taken", True, retry_after=1), transcribes()]
    async with transcriber_choice.Transcribers((transcriber.url,), Tokens(), 5) as all:
        reading = all._transcribers[0].reading("x")
        reading.note_failure(RemoteError(502, "bucket_unavailable", "bucket x is not there", True))
        request = TranscribeRequest(savepath="a.mp4", bucket_name="x")
        with pytest.raises(NoTranscriber, match="all slots are taken"):
            async with all.transcribe(request):
                pass
        async with all.transcribe(request) as stream:
            assert reading.unavailable_reason, "the others wait for the outcome"
            assert [event async for event in stream.events()]
        assert not reading.failures


async def test_what_answers_and_is_no_transcriber_is_a_reason_to_wait(free_port):
    class Another(RequestHandler):
        def get(self) -> None:
            self.write("[]")

    server = Application([("/healthz", Another)]).listen(free_port, "127.0.0.1")
    async with transcriber_choice.Transcribers((f"http://127.0.0.1:{free_port}",), Tokens(), 5) as transcribers:
        with pytest.raises(NoTranscriber, match="no answer of its API"):
            async with transcribers.transcribe(TranscribeRequest(savepath="a.mp4")):
                pass
    server.stop()


async def test_the_password_of_a_transcriber_is_shown_nowhere(working, transcriber, submit, job_in, caplog, free_port):
    caplog.set_level(logging.INFO)
    url, away = transcriber.url.replace("//", "//me:hush@"), f"http://me:hush@127.0.0.1:{free_port}"
    async with working(away, url):
        await job_in((await submit()).id, "done")
    logged = [record.getMessage() for record in caplog.records if record.name.startswith("orchestrator")]
    assert any("s at http://me:***@127" in line for line in logged) and "hush" not in str(logged)
    async with transcriber_choice.Transcribers((url,), Tokens(), 5) as transcribers:
        assert [state.url for state in transcribers.states] == [url.replace("hush", "***")]
