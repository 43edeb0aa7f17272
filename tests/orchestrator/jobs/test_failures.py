"""What was given up: grouped by reason, with what helps; tried again, accepted as it is, or removed, by group."""

import json

import pytest

from orchestrator.jobs.remedies import Remedy, remedy
from reelscribe import errors
from reelscribe.errors import ServiceError
from tests.orchestrator.scripted import fails, transcribes


@pytest.fixture
async def failed(submit, working, job_in, transcriber):
    """Two that lost their transcriber, two that are cut, and one that is not there."""
    transcriber.scripts = [
        fails("model_failed", "a/1.mp4: the model failed", False),
        fails("model_failed", "a/2.mp4: the model failed after 3 s", False),
        fails("incomplete_recording", "a/3.mp4: 12.5 of 60 s; replace it", False),
        fails("incomplete_recording", "a/4.mp4: 20 of 61 s; replace it", False),
        fails("object_not_found", "videos has no a/5.mp4", False),
        transcribes(),
    ]
    async with working():
        for number in range(1, 6):
            await job_in((await submit(f"a/{number}.mp4")).id, "failed")


async def test_failures_are_grouped_with_savepaths_and_what_helps(failed, commands):
    groups = json.loads((await commands.run("failed", "--json")).out)
    assert [(group["count"], group["code"], group["reason"], group["savepaths"]) for group in groups] == [
        (2, "incomplete_recording", "SAVEPATH: N of N s; replace it", ["a/4.mp4", "a/3.mp4"]),
        (1, "model_failed", "SAVEPATH: the model failed", ["a/1.mp4"]),
        (1, "model_failed", "SAVEPATH: the model failed after N s", ["a/2.mp4"]),
        (1, "object_not_found", "videos has no SAVEPATH", ["a/5.mp4"]),
    ]
    assert [group["retry"] for group in groups] == [
        None,
        "orchestrator retry --code model_failed --reason 'SAVEPATH: the model failed'",
        "orchestrator retry --code model_failed --reason 'SAVEPATH: the model failed after N s'",
        None,
    ]
    accepting = "orchestrator retry --code incomplete_recording --allow-incomplete"
    assert [group["allow_incomplete"] for group in groups] == [accepting, None, None, None]
    assert groups[3]["delete"] == "orchestrator delete --code object_not_found"
    shown = (await commands.run("failed")).out
    assert all(f"    a/{number}.mp4\n" in shown for number in range(1, 6))
    assert f"accept what there is of them with:\n  {accepting}\n" in shown
    assert "retry --code object_not_found" not in shown
    assert "a/1.mp4" not in (await commands.run("failed", "--code", "object_not_found")).out


async def test_the_command_that_is_printed_queues_just_that_group(failed, commands, sql):
    again = await commands.run("retry", "--code", "model_failed", "--reason", "SAVEPATH: the model failed after N s")
    assert again.out == "again     a/2.mp4\n"
    assert await sql("select count(*) from transcriptions where state = 'failed'") == [(4,)]


async def test_cut_recordings_are_accepted_by_new_jobs_that_replace_the_failed_ones(failed, commands, sql):
    await sql("update jobs set priority = 7 where media_id = (select id from media where savepath = 'a/4.mp4')")
    again = await commands.run("retry", "--code", "incomplete_recording", "--allow-incomplete")
    assert (again.code, again.out) == (0, "again     a/3.mp4\nagain     a/4.mp4\n")
    assert await sql(
        "select savepath, options, priority from jobs join media m on m.id = media_id where state = 'queued' order by 1"
    ) == [("a/3.mp4", {"allow_incomplete": True}, 0), ("a/4.mp4", {"allow_incomplete": True}, 7)], "each has its own"
    assert "incomplete_recording" not in (await commands.run("failed")).out
    assert json.loads((await commands.run("status", "a/3.mp4", "--json")).out)["jobs"][0]["state"] == "queued"


async def test_the_situation_of_one_leads_somewhere_too(failed, commands):
    assert (await commands.run("show", "a/5.mp4")).err.endswith("with: orchestrator delete a/5.mp4\n")
    assert (await commands.run("show", "a/3.mp4")).err.endswith("orchestrator retry a/3.mp4 --allow-incomplete\n")
    assert (await commands.run("show", "a/1.mp4")).err.endswith("try again with: orchestrator retry a/1.mp4\n")


def test_what_may_pass_by_itself_is_tried_again_and_what_is_wrong_is_not():
    for kind in vars(errors).values():
        if isinstance(kind, type) and issubclass(kind, ServiceError) and kind.retryable:
            assert remedy(kind.code) is Remedy.RETRY
    for kind in (
        errors.ObjectNotFound,
        errors.NotDecodable,
        errors.NoAudioTrack,
        errors.NotReadable,
        errors.PastTheEnd,
    ):
        assert remedy(kind.code) is Remedy.REPLACE


async def test_nothing_failed_is_said_so(commands):
    assert (await commands.run("failed")).out == "no job has failed\n"
    assert (await commands.run("retry", "--all-failed")).out == "no such job has failed; see: orchestrator failed\n"
