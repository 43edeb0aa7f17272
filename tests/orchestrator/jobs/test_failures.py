"""What was given up: grouped by reason, and tried again by group."""

import json

import pytest

from tests.orchestrator.scripted import fails, transcribes


@pytest.fixture
async def failed(submit, working, job_in, transcriber):
    """Two recordings that cannot be decoded, one too short and one that is not there."""
    transcriber.scripts = [
        fails("not_decodable", "a/1.mp4 holds no audio that ffmpeg can decode", False),
        fails("not_decodable", "a/2.mp4 holds no audio that ffmpeg can decode", False),
        fails("not_decodable", "a/3.mp4: 12.5 of 60 s", False),
        fails("object_not_found", "videos has no a/4.mp4", False),
        transcribes(),
    ]
    async with working():
        for number in range(1, 5):
            await job_in((await submit(f"a/{number}.mp4")).id, "failed")


async def test_failures_are_grouped_by_code_and_reason(failed, orchestrator):
    groups = json.loads((await orchestrator.run("failed", "--json")).out)
    assert [(group["count"], group["code"], group["reason"], group["example"]) for group in groups] == [
        (2, "not_decodable", "SAVEPATH holds no audio that ffmpeg can decode", "a/2.mp4"),
        (1, "not_decodable", "SAVEPATH: N of N s", "a/3.mp4"),
        (1, "object_not_found", "videos has no SAVEPATH", "a/4.mp4"),
    ]
    assert groups[2]["retry"] == "orchestrator retry --code object_not_found"
    assert groups[1]["retry"] == "orchestrator retry --code not_decodable --reason 'SAVEPATH: N of N s'"


async def test_the_command_that_is_printed_queues_just_that_group(failed, orchestrator, sql):
    again = await orchestrator.run("retry", "--code", "not_decodable", "--reason", "SAVEPATH: N of N s")
    assert again.out == "again     a/3.mp4\n"
    assert await sql("select count(*) from transcriptions where state = 'failed'") == [(3,)]


async def test_the_table_has_a_line_for_each_group(failed, orchestrator):
    lines = (await orchestrator.run("failed")).out.splitlines()
    assert " ".join(lines[1].split()) == "2 not_decodable SAVEPATH holds no audio that ffmpeg can decode a/2.mp4"


async def test_nothing_failed_is_said_so(orchestrator):
    assert (await orchestrator.run("failed")).out == "no job has failed\n"
    assert (await orchestrator.run("retry", "--all-failed")).out == "no such job has failed; see: orchestrator failed\n"
