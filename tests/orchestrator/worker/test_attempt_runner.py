"""One job and a transcriber: what is stored, what is tried again, and what is given up."""

import asyncio

import pytest

from orchestrator.transcripts import queries as transcript_queries
from orchestrator.worker import retry
from reelscribe.contracts.events import Failed
from tests.orchestrator.conftest import BUCKET, MAX_ATTEMPTS
from tests.orchestrator.scripted import (
    LONG,
    ScriptedTranscriber,
    breaks_off_after,
    breaks_off_at_the_end,
    ends_early,
    fails,
    falls_silent_after,
    refuses,
    started,
    transcribes,
    window,
)
from tests.waiting import eventually

WHOLE = [f"sentence {index}" for index in range(6)]


@pytest.fixture
def transcript(pool):
    async def read(savepath: str = "talk.mp4"):
        async with pool.connection() as connection:
            return await transcript_queries.transcript(connection, BUCKET, savepath)

    return read


def texts(transcript) -> list[str]:
    return [segment.text for segment in transcript.segments]


async def test_a_submitted_job_is_transcribed(submit, working, job_in, transcript):
    job = await submit()
    async with working():
        done = await job_in(job.id, "done")
    assert (done.complete, done.model, done.language, done.declared_seconds) == (True, "scripted", "en", LONG)
    assert texts(await transcript()) == WHOLE


async def test_the_receipt_is_stored_with_the_transcript(submit, working, job_in, transcript):
    async with working():
        await job_in((await submit()).id, "done")
    receipt = (await transcript()).receipt
    assert (receipt.declared_seconds, receipt.delivered_seconds, receipt.covered_seconds) == (LONG, LONG, LONG)
    assert (receipt.samples, receipt.sha256, receipt.complete) == (480_000, "5" * 64, True)
    assert (receipt.track, receipt.track_choice) == (1, "the default track")
    assert receipt.remarks == receipt.parts[0].remarks == ["2.0 s of silence are in place of holes in the recording"]


async def test_all_of_a_segment_is_kept(submit, working, job_in, transcriber, transcript):
    transcriber.scripts = [transcribes(words=True)]
    async with working():
        await job_in((await submit(word_timestamps=True)).id, "done")
    segment = (await transcript()).segments[1]
    assert (segment.index, segment.start, segment.end, segment.tokens) == (1, 5.0, 9.0, [1, 2])
    assert segment.words[0].probability == 0.5
    assert segment.language == "cy"
    assert (segment.avg_logprob, segment.no_speech_prob, segment.compression_ratio) == (-0.25, 0.01, 1.5)


async def test_the_options_reach_the_transcriber_and_the_default_bucket_does_not(submit, working, job_in, transcriber):
    async with working():
        await job_in((await submit(language="en", mode="sequential")).id, "done")
    assert transcriber.requests == [{"savepath": "talk.mp4", "language": "en", "mode": "sequential"}]


async def test_the_token_is_sent(submit, working, job_in, transcriber):
    async with working(token="secret"):
        await job_in((await submit()).id, "done")
    assert transcriber.tokens == ["Bearer secret"]


@pytest.mark.parametrize("windows", [0, 1, 2])
async def test_a_cut_stream_is_resumed_after_the_last_stored_window(
    windows, submit, working, job_in, transcriber, transcript
):
    transcriber.scripts = [breaks_off_after(windows), transcribes()]
    async with working():
        await job_in((await submit()).id, "done")
    assert [request.get("start", 0.0) for request in transcriber.requests] == [0.0, windows * 10.0]
    assert [request.get("language") for request in transcriber.requests] == [None, "en" if windows else None]
    found = await transcript()
    assert texts(found) == WHOLE
    assert [segment.index for segment in found.segments] == list(range(6))


async def test_a_resumed_job_keeps_its_language_and_how_sure_it_is(submit, working, job_in, transcriber):
    transcriber.scripts = [breaks_off_after(1, probability=0.27), transcribes()]
    async with working():
        job = await job_in((await submit(languages=("de", "en"))).id, "done")
    first, second = transcriber.requests
    assert (first["languages"], second.get("languages"), second["language"]) == (["de", "en"], None, "en")
    assert (job.language, job.language_probability, job.language_uncertain) == ("en", 0.27, True)


async def test_an_unknown_language_is_detected_again(submit, working, job_in, transcriber):
    transcriber.scripts = [breaks_off_after(1, language="und", probability=0.0), transcribes()]
    async with working():
        job = await job_in((await submit()).id, "done")
    assert [request.get("language") for request in transcriber.requests] == [None, None]
    assert (job.language, job.language_uncertain) == ("en", False)


async def test_the_receipt_of_a_resumed_job_covers_the_whole_and_names_its_parts(
    submit, working, job_in, transcriber, transcript
):
    transcriber.scripts = [breaks_off_after(2), transcribes()]
    async with working():
        await job_in((await submit()).id, "done")
    receipt = (await transcript()).receipt
    assert (receipt.declared_seconds, receipt.covered_seconds, receipt.sha256) == (LONG, LONG, None)
    assert [(part.start_seconds, part.covered_seconds) for part in receipt.parts] == [(0.0, 20.0), (20.0, 10.0)]


async def test_a_stream_that_ends_without_saying_how_is_no_success(submit, working, job_in, transcriber, transcript):
    transcriber.scripts = [ends_early, transcribes()]
    async with working():
        job = await job_in((await submit()).id, "done")
    assert job.attempt == 2
    assert texts(await transcript()) == WHOLE


async def test_silence_is_death(submit, working, job_in, transcriber, transcript):
    transcriber.scripts = [falls_silent_after(1), transcribes()]
    async with working(progress_timeout=1):
        job = await job_in((await submit()).id, "done")
    assert (job.attempt, transcriber.requests[1]["start"]) == (2, 10.0)
    assert texts(await transcript()) == WHOLE


async def test_a_permanent_failure_is_stored_with_its_sentence_and_not_tried_again(
    submit, working, job_in, transcriber
):
    transcriber.scripts = [refuses(404, "object_not_found", "videos has no talk.mp4", False)]
    async with working():
        job = await job_in((await submit()).id, "failed")
        await asyncio.sleep(0.2)
    assert (job.error.code, job.error.message) == ("object_not_found", "videos has no talk.mp4")
    assert len(transcriber.requests) == 1


async def test_the_numbers_of_an_incomplete_recording_are_kept(submit, working, job_in, transcriber):
    transcriber.scripts = [
        fails("incomplete_recording", "cut", False, declared_seconds=60.0, delivered_seconds=31.5),
    ]
    async with working():
        job = await job_in((await submit()).id, "failed")
    assert job.error.details == {"declared_seconds": 60.0, "delivered_seconds": 31.5}


async def test_a_transient_failure_is_tried_again_up_to_max_attempts(submit, working, job_in, transcriber):
    transcriber.scripts = [fails("stream_cut", "the extractor broke off", True)]
    async with working():
        job = await job_in((await submit()).id, "failed")
        await asyncio.sleep(0.2)
    assert len(transcriber.requests) == MAX_ATTEMPTS
    assert job.error.message == f"gave up after {MAX_ATTEMPTS} attempts: the extractor broke off"


async def test_between_tries_the_job_waits_and_says_why(submit, working, job_in, transcriber, sql):
    transcriber.scripts = [fails("stream_cut", "the extractor broke off", True)]
    async with working(backoff=60):
        job = await job_in((await submit()).id, "waiting")
    assert job.error.message == "the extractor broke off"
    [(seconds,)] = await sql("select extract(epoch from scheduled_at - now())::float from procrastinate_jobs")
    assert 50 < seconds < 60


def test_the_pauses_grow_and_are_not_alike():
    assert [2 <= retry.TRANSIENT_BACKOFF(1) <= 4, 16 <= retry.TRANSIENT_BACKOFF(4) <= 18] == [True, True]
    assert retry.TRANSIENT_BACKOFF(50) <= 302
    assert len({retry.TRANSIENT_BACKOFF(1) for _ in range(5)}) > 1


async def test_an_incomplete_transcript_that_was_allowed_is_marked(submit, working, job_in, transcriber, transcript):
    transcriber.scripts = [transcribes(2, incomplete="20 of 60 s came out")]
    async with working():
        job = await job_in((await submit(allow_incomplete=True)).id, "done")
    assert transcriber.requests[0]["allow_incomplete"] is True
    assert (job.complete, job.reason) == (False, "20 of 60 s came out")
    assert (await transcript()).receipt.complete is False


async def test_a_job_waits_for_a_transcriber_that_is_down_without_losing_attempts(
    submit, working, job_in, free_port, transcript
):
    job = await submit()
    async with working(f"http://127.0.0.1:{free_port}"):
        waiting = await job_in(job.id, "waiting")
        assert f"the transcriber at http://127.0.0.1:{free_port} does not answer" in waiting.error.message
        async with ScriptedTranscriber().listening(free_port):
            done = await job_in(job.id, "done")
    assert (done.attempt, done.failures, done.error) == (1, 0, None)
    assert texts(await transcript()) == WHOLE


async def test_busy_is_waited_for_and_is_no_failure(submit, working, job_in, transcriber):
    transcriber.scripts = [refuses(503, "busy", "all slots are taken", True, retry_after=1), transcribes()]
    job = await submit()
    async with working():
        waiting = await job_in(job.id, "waiting")
        assert waiting.error.message == "all slots are taken"
        assert (await job_in(job.id, "done")).failures == 0


async def test_a_transcriber_that_stops_in_the_middle_costs_no_attempt(
    submit, working, job_in, transcriber, transcript
):
    async def stops(b):
        await b.tell(started(LONG), *window(0), Failed(code="stopping", message="shutting down", retryable=True))

    transcriber.scripts = [stops, transcribes()]
    async with working():
        job = await job_in((await submit()).id, "done")
    assert (job.failures, transcriber.requests[1]["start"]) == (0, 10.0)
    assert texts(await transcript()) == WHOLE


@pytest.mark.parametrize(("status", "code"), [(401, "unauthorized"), (403, "scope_missing")])
async def test_a_wrong_token_is_not_the_jobs_fault(status, code, submit, working, job_in, transcriber):
    transcriber.scripts = [refuses(status, code, "send another token", False)]
    async with working():
        assert (await job_in((await submit()).id, "waiting")).failures == 0


async def test_an_answer_of_something_else_is_tried_again(submit, working, job_in, transcriber):
    async def bad_gateway(b):
        b.set_status(502)
        await b.finish("<html>Bad Gateway</html>")

    transcriber.scripts = [bad_gateway, transcribes()]
    async with working():
        assert (await job_in((await submit()).id, "done")).attempt == 2


async def test_the_transcriber_with_free_slots_is_asked_first(submit, working, job_in, transcriber):
    transcriber.free = 0
    async with ScriptedTranscriber().listening() as other, working(transcriber.url, other.url):
        await job_in((await submit()).id, "done")
        assert (len(transcriber.requests), len(other.requests)) == (0, 1)


async def test_a_dead_transcriber_is_skipped(submit, working, job_in, transcriber, free_port):
    async with working(f"http://127.0.0.1:{free_port}", transcriber.url):
        assert (await job_in((await submit()).id, "done")).failures == 0


async def test_a_busy_transcriber_is_skipped_for_the_next(submit, working, job_in, transcriber):
    transcriber.scripts = [refuses(503, "busy", "all slots are taken", True, retry_after=30)]
    async with ScriptedTranscriber().listening() as other, working(transcriber.url, other.url):
        other.free = 1
        await job_in((await submit()).id, "done")
        assert len(other.requests) == 1


async def test_what_is_stored_is_forgotten_when_the_recording_has_become_shorter(
    submit, working, job_in, transcriber, transcript
):
    transcriber.scripts = [
        breaks_off_after(2),
        refuses(422, "past_the_end", "talk.mp4 ends before start = 20 s", False),
        refuses(422, "past_the_end", "talk.mp4 ends before start = 10 s", False),
        transcribes(1),
    ]
    async with working():
        await job_in((await submit()).id, "done")
    assert [request.get("start", 0.0) for request in transcriber.requests] == [0.0, 20.0, 10.0, 0.0]
    assert texts(await transcript()) == WHOLE[:2]


async def test_a_job_of_which_only_the_end_is_missing_continues_before_its_last_window(
    submit, working, job_in, transcriber, transcript
):
    transcriber.scripts = [
        breaks_off_at_the_end,
        refuses(422, "past_the_end", "talk.mp4 ends before start = 30 s", False),
        transcribes(),
    ]
    async with working():
        await job_in((await submit()).id, "done")
    assert [request.get("start", 0.0) for request in transcriber.requests] == [0.0, 30.0, 20.0]
    found = await transcript()
    assert texts(found) == WHOLE
    assert [(part.start_seconds, part.covered_seconds) for part in found.receipt.parts][-1] == (20.0, 10.0)


async def test_a_job_that_never_gets_beyond_its_last_window_is_given_up(submit, working, job_in, transcriber):
    at_the_end = refuses(422, "past_the_end", "talk.mp4 ends before start = 30 s", False)
    transcriber.scripts = [breaks_off_at_the_end, at_the_end] * (MAX_ATTEMPTS + 1)
    async with working():
        job = await job_in((await submit()).id, "failed")
    assert job.error.message.startswith(f"gave up after {MAX_ATTEMPTS} attempts")


async def test_failures_are_forgotten_when_a_job_comes_further(submit, working, job_in, transcriber):
    transcriber.scripts = [breaks_off_after(1), breaks_off_after(2), transcribes()]
    async with working():
        job = await job_in((await submit()).id, "done")
    assert (job.attempt, job.failures) == (3, 0)


async def test_cancel_ends_the_request_to_the_transcriber_without_waiting_for_a_look_at_the_queue(
    notified, submit, working, job_in, transcriber, submissions
):
    transcriber.scripts = [falls_silent_after(1)]
    job = await submit()
    async with working(progress_timeout=600):
        await notified()
        await eventually(lambda: transcriber.requests)
        await submissions.cancel([job.id])
        await eventually(transcriber.left.is_set)
        await asyncio.sleep(0.2)
        assert (await job_in(job.id, "cancelled")).error is None


async def test_a_waiting_job_can_be_cancelled(submit, working, job_in, free_port, submissions, sql):
    job = await submit()
    async with working(f"http://127.0.0.1:{free_port}"):
        await job_in(job.id, "waiting")
        await submissions.cancel([job.id])
        await eventually(lambda: sql("select 1 from procrastinate_jobs having count(*) = 0"))
    await job_in(job.id, "cancelled")


async def test_a_worker_that_stops_hands_its_jobs_back(submit, working, job_in, transcriber, transcript, sql):
    transcriber.scripts = [falls_silent_after(1), transcribes()]
    job = await submit()
    async with working(progress_timeout=60):
        await eventually(lambda: sql("select 1 from jobs where progress_seconds = 10"))
    assert (await job_in(job.id, "queued")).progress_seconds == 10
    async with working():
        assert (await job_in(job.id, "done")).failures == 0
    assert transcriber.requests[1]["start"] == 10.0
    assert texts(await transcript()) == WHOLE


async def test_two_workers_never_run_one_job_twice(submit, working, job_in, transcriber, sql):
    jobs = [await submit(f"talk {number}.mp4") for number in range(12)]
    async with working(), working():
        for job in jobs:
            await job_in(job.id, "done")
    assert sorted(request["savepath"] for request in transcriber.requests) == sorted(job.savepath for job in jobs)
    assert await sql("select distinct attempt from transcriptions") == [(1,)]
    assert await sql("select count(*) from procrastinate_jobs") == [(0,)]


async def test_higher_priorities_go_first(submit, working, job_in, transcriber):
    low = [await submit(f"low {number}.mp4") for number in range(8)]
    await submit("high.mp4", priority=5)
    async with working():
        await job_in(low[-1].id, "done")
    assert "high.mp4" in [request["savepath"] for request in transcriber.requests[:4]]
