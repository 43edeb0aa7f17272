"""``status``, ``show``, ``verify`` and ``submit --wait`` say where a recording has speech without words."""

import json

import pytest

from tests.orchestrator.scripted import leaves_out, without_words

TIMES = ((11.0, 14.5), (21.0, 23.0))
SENTENCE = "5.5 s detected as speech without words at 0:11, 0:21"


@pytest.fixture
async def transcribed(submit, working, job_in, transcriber):
    transcriber.scripts = [leaves_out(*TIMES)]
    async with working():
        return await job_in((await submit()).id, "done")


async def test_status_and_show_say_it(orchestrator, transcribed):
    assert f"    {SENTENCE}\n" in (await orchestrator.run("status")).out
    assert (await orchestrator.run("status", "talk.mp4", "--watch")).out == f"talk.mp4: it is done, with {SENTENCE}\n"
    [job] = json.loads((await orchestrator.run("status", "talk.mp4", "--json")).out)["jobs"]
    assert job["speech_without_words"] == without_words(*TIMES).model_dump()
    shown = await orchestrator.run("show", "talk.mp4")
    assert (shown.code, shown.err) == (0, f"{SENTENCE}\n")
    receipt = json.loads((await orchestrator.run("show", "talk.mp4", "--json")).out)["receipt"]
    assert receipt["speech_without_words"] == job["speech_without_words"]


async def test_verify_says_it_and_finds_nothing_wrong(orchestrator, transcribed):
    outcome = await orchestrator.run("verify", "--all")
    assert outcome.code == 0
    assert outcome.out == f"talk.mp4: {SENTENCE}\n1 transcript verified, 1 with speech without words; 0 wrong\n"
    verified = json.loads((await orchestrator.run("verify", "talk.mp4", "--json")).out)
    about = {"job": transcribed.id, "bucket": transcribed.bucket, "savepath": "talk.mp4"}
    assert verified["speech_without_words"] == [{**about, **without_words(*TIMES).model_dump()}]
    assert verified["findings"] == []


async def test_a_job_whose_submission_allows_less_is_incomplete(orchestrator, working, transcriber):
    transcriber.scripts = [leaves_out(*TIMES)]
    options = ("--option", "max_speech_without_words=5")
    async with working():
        submitted = await orchestrator.run("submit", "talk.mp4", *options, "--wait")
    assert submitted.code == 0
    assert f"incomplete: {SENTENCE}; the request allows 5 s" in submitted.err
    shown = await orchestrator.run("show", "talk.mp4")
    assert shown.err == f"this transcript is incomplete: {SENTENCE}; the request allows 5 s\n"
    assert "1 of them incomplete" in (await orchestrator.run("verify", "--all")).out
