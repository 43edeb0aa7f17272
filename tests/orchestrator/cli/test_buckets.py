"""``--bucket`` narrows what else was asked for, and hints lead back to the bucket that was meant."""

import json
import re

import pytest

from orchestrator.jobs.models import Options
from tests.orchestrator.conftest import BUCKET


@pytest.fixture
async def failed(submissions, sql):
    """A failed job in each of two buckets."""
    await submissions.submit(BUCKET, ["mine.mp4"], Options())
    await submissions.submit("calls", ["theirs.mp4"], Options())
    await sql("delete from procrastinate_jobs")
    await sql(
        "update transcriptions set state = 'failed', error_code = 'no_audio', error_message = 'no', finished_at = now()"
    )


@pytest.fixture
def queued(sql):
    async def read() -> list[str]:
        rows = await sql(
            "select savepath from media m join transcriptions t on t.media_id = m.id where state = 'queued' order by 1"
        )
        return [savepath for (savepath,) in rows]

    return read


@pytest.mark.parametrize("which", [["--all-failed"], ["--code", "no_audio"]])
async def test_retry_takes_those_of_the_bucket(which, orchestrator, failed, queued):
    await orchestrator.run("retry", *which, "--bucket", "nosuch")
    assert await queued() == []
    assert (await orchestrator.run("retry", *which, "--bucket", "calls")).out == "again     theirs.mp4\n"
    assert await queued() == ["theirs.mp4"]
    await orchestrator.run("retry", *which)
    assert await queued() == ["mine.mp4", "theirs.mp4"]


async def test_a_code_that_nothing_failed_with_is_exit_code_1_and_nothing_failed_at_all_is_not(orchestrator, failed):
    outcome = await orchestrator.run("retry", "--code", "nonsense")
    assert (outcome.code, outcome.err) == (1, "no such job has failed; see: orchestrator failed\n")
    assert (await orchestrator.run("retry", "--code", "no_audio", "--bucket", "nosuch")).code == 1
    outcome = await orchestrator.run("retry", "--all-failed", "--bucket", "nosuch")
    assert (outcome.code, outcome.out) == (0, "no such job has failed; see: orchestrator failed\n")


async def test_status_counts_and_shows_those_of_the_bucket(orchestrator, store_transcript, submissions):
    await store_transcript("mine.mp4", "one")
    await submissions.submit("calls", ["theirs.mp4"], Options())
    shown = json.loads((await orchestrator.run("status", "--bucket", "calls", "--json")).out)
    assert ([job["savepath"] for job in shown["jobs"]], shown["totals"]) == (["theirs.mp4"], {"queued": 1})
    assert (shown["done_seconds"], shown["speed"]) == (0, None)
    shown = json.loads((await orchestrator.run("status", "--bucket", BUCKET, "--json")).out)
    assert (shown["totals"], shown["done_seconds"], shown["speed"] is not None) == ({"done": 1}, 4, True)
    assert (await orchestrator.run("status", "--bucket", "nosuch")).out == (
        "no jobs of bucket nosuch yet; make one with: orchestrator submit SAVEPATH --bucket nosuch\n"
    )


async def test_status_names_the_buckets_if_there_is_more_than_one(orchestrator, submit, submissions):
    await submit("mine.mp4")
    assert "BUCKET" not in (await orchestrator.run("status")).out
    await submissions.submit("calls", ["theirs.mp4"], Options())
    shown = re.sub(r"for \d+ s", "for N s", (await orchestrator.run("status")).out)
    assert [" ".join(line.split()) for line in shown.splitlines()][-3:] == [
        "ID STATE WHEN TRANSCRIBED BUCKET SAVEPATH",
        "2 queued for N s calls theirs.mp4",
        "1 queued for N s videos mine.mp4",
    ]


async def test_verify_all_is_of_the_bucket(orchestrator, store_transcript, sql):
    await store_transcript("mine.mp4", "one")
    await store_transcript("theirs.mp4", "one")
    await sql("update media set bucket = 'calls' where savepath = 'theirs.mp4'")
    assert (await orchestrator.run("verify", "--all")).out == "2 transcripts verified; 0 wrong\n"
    assert (await orchestrator.run("verify", "--all", "--bucket", "calls")).out == "1 transcript verified; 0 wrong\n"
    assert (await orchestrator.run("verify", "theirs.mp4", "--bucket", "calls")).code == 0
    outcome = await orchestrator.run("verify", "theirs.mp4")
    assert (outcome.code, outcome.out) == (1, "0 transcripts verified; 0 wrong\n")


async def test_hints_name_a_bucket_that_is_not_the_default(orchestrator, store_transcript, failed, sql):
    for command in ("show", "status", "retry", "export", "verify"):
        hint = (await orchestrator.run(command, "other.mp4", "--bucket", "calls")).err
        assert "orchestrator submit other.mp4 --bucket calls\n" in hint
        assert (await orchestrator.run(command, "other.mp4")).err.endswith("orchestrator submit other.mp4\n")
    hint = (await orchestrator.run("show", "theirs.mp4", "--bucket", "calls")).err
    assert hint.endswith("try again with: orchestrator retry theirs.mp4 --bucket calls\n")
    await store_transcript("talk.mp4", "one")
    await sql("update media set bucket = 'calls'")
    await sql("update attempts set sha256 = null")
    hint = (await orchestrator.run("verify", "--all")).out
    assert "have it made again: orchestrator submit --force talk.mp4 --bucket calls\n" in hint


async def test_a_job_to_be_followed_is_named_with_its_bucket(orchestrator, submissions):
    await submissions.submit("calls", ["theirs.mp4"], Options())
    hint = (await orchestrator.run("show", "theirs.mp4", "--bucket", "calls")).err
    assert hint.endswith("follow it with: orchestrator status theirs.mp4 --bucket calls --watch\n")
