"""Speech without words: it reaches the job and its receipt, whatever happens between the first segment and the last."""

from collections.abc import Callable
from typing import Any

import pytest

from orchestrator.jobs.models import Job
from orchestrator.transcripts import queries as transcript_queries
from orchestrator.transcripts.models import Receipt
from tests.orchestrator.scripted import (
    LONG,
    breaks_off_after,
    fails,
    leaves_out,
    transcribes,
    without_words,
)


@pytest.fixture
def done(submit, working, job_in) -> Callable[..., Any]:
    """Transcribe a recording; the job."""

    async def run(**options: Any) -> Job:
        job = await submit(**options)
        async with working():
            found: Job = await job_in(job.id, "done")
        return found

    return run


@pytest.fixture
def receipt(pool) -> Callable[[Job], Any]:
    async def read(job: Job) -> Receipt:
        async with pool.connection() as connection:
            return (await transcript_queries.about_transcript(connection, job)).receipt

    return read


async def test_it_is_part_of_the_job_and_of_the_receipt_and_counts_as_complete(done, transcriber, receipt):
    transcriber.scripts = [leaves_out((11, 14.5), (21, 23))]
    job = await done()
    assert job.speech_without_words == without_words((11, 14.5), (21, 23))
    assert (job.complete, job.reason) == (True, None)
    of = await receipt(job)
    assert of.speech_without_words == of.parts[0].speech_without_words == job.speech_without_words


async def test_more_than_the_submission_allows_is_done_and_incomplete(done, transcriber):
    transcriber.scripts = [leaves_out((11, 14.5), (21, 23))]
    job = await done(max_speech_without_words=5)
    assert transcriber.requests[0]["max_speech_without_words"] == 5
    assert job.complete is False
    assert job.reason == "5.5 s detected as speech without words at 0:11, 0:21; the request allows 5 s"


async def test_less_than_the_submission_allows_is_complete(done, transcriber):
    transcriber.scripts = [leaves_out((11, 14.5), (21, 23))]
    assert (await done(max_speech_without_words=6)).complete


async def test_attempts_that_were_cut_count_too(done, transcriber, receipt):
    transcriber.scripts = [leaves_out((2, 5), cut_after=1), leaves_out((11, 14), cut_after=2), leaves_out((21, 24))]
    job = await done(max_speech_without_words=8)
    assert [request.get("start", 0) for request in transcriber.requests] == [0, 10, 20]
    assert job.speech_without_words == without_words((2, 5), (11, 14), (21, 24))
    assert not job.complete  # though no part of it alone has more than 3 s
    parts = [part.speech_without_words for part in (await receipt(job)).parts]
    assert parts == [without_words((2, 5)), without_words((11, 14)), without_words((21, 24))]


async def test_what_is_transcribed_again_after_a_step_back_is_counted_once(done, transcriber):
    cut_at_the_end = leaves_out((2, 5), (11, 14), (21, 24), (25, 28), cut_after=3)
    past_the_end = fails("past_the_end", "there is no more", False)
    transcriber.scripts = [cut_at_the_end, past_the_end, leaves_out((21, 24))]
    job = await done()
    assert [request.get("start", 0) for request in transcriber.requests] == [0, LONG, 20]
    assert job.speech_without_words == without_words((2, 5), (11, 14), (21, 24))


@pytest.mark.parametrize("scripts", [[transcribes()], [breaks_off_after(1), transcribes()]], ids=["one", "two"])
async def test_of_a_transcriber_that_says_nothing_nothing_is_known(scripts, done, transcriber, receipt):
    transcriber.scripts = scripts
    job = await done(max_speech_without_words=0)
    assert (job.speech_without_words, job.complete) == (None, True)
    assert (await receipt(job)).speech_without_words is None
