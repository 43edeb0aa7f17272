"""delete and cancel as commands: what they ask, and what happens meanwhile."""

import asyncio
import json
import os
import pty
import sys

import psycopg
import pytest

from tests.orchestrator.commands import read_all, read_until
from tests.orchestrator.scripted import refuses


async def test_delete_asks_with_counts_and_refuses_without_a_terminal(commands, store_transcript, submit, sql):
    await store_transcript("a.mp4", "hello")
    await submit("b/1.mp4")
    await submit("b/2.mp4")
    asked = await commands.run("delete", "a.mp4")
    assert (asked.code, "give --yes" in asked.err) == (2, True)
    assert (await commands.run("delete", "--yes")).code == 2
    unknown = await commands.run("delete", "a.mp4", "no.mp4", "--yes")
    assert (unknown.code, unknown.err) == (1, "no.mp4 has not been submitted; nothing was removed\n")
    unknown = await commands.run("delete", "2.mp4", "1.mp4", "a.mp4", *"cdefg", "--yes")
    assert unknown.err == "1.mp4, 2.mp4, c, d, e and 2 more have not been submitted; nothing was removed\n"
    assert (await commands.run("delete", "a.mp4", "--yes")).out == "removed 1 transcript, 1 job of 1 savepath\n"
    assert (await commands.run("delete", "--prefix", "b/", "--yes", "--json")).out.split() == (
        ["{", '"savepaths":', "2,", '"jobs":', "2,", '"transcripts":', "0,", '"results":', "0,", '"edits":', "0", "}"]
    )
    assert await sql("select count(*) from media") == [(0,)]
    assert (await commands.run("delete", "--prefix", "b/", "--yes")).code == 1


async def test_jobs_that_failed_with_a_code_are_removed_alone(commands, submit, working, transcriber, job_in, sql):
    transcriber.scripts = [refuses(404, "object_not_found", "videos has no talk.mp4", False)]
    await submit()
    async with working():
        await job_in(1, "failed")
    await submit("other.mp4")
    removed = await commands.run("delete", "--code", "object_not_found", "--yes")
    assert (removed.code, removed.out) == (0, "removed 1 job of 1 savepath\n")
    assert await sql("select savepath from media") == [("other.mp4",)]


@pytest.fixture
def while_it_asks(database_url, monkeypatch):
    """What someone else does between the question and the answer."""

    def do(statement: str) -> None:
        def confirmed(question: str, yes: bool) -> bool:
            with psycopg.connect(database_url) as connection:
                connection.execute(statement)
            return True

        monkeypatch.setattr("orchestrator.cli.removal.delete.confirmed", confirmed)

    return do


async def test_a_job_that_is_retried_while_delete_asks_stays(
    commands, submit, working, transcriber, job_in, sql, while_it_asks
):
    transcriber.scripts = [refuses(404, "object_not_found", "no such object", False)] * 2
    async with working():
        for savepath in ("a.mp4", "b.mp4"):
            await job_in((await submit(savepath)).id, "failed")
    while_it_asks(
        "update jobs set state = 'queued', finished_at = null, error_code = null where id = (select min(id) from jobs)"
    )
    removed = await commands.run("delete", "--code", "object_not_found", "--yes")
    assert (removed.code, removed.out) == (0, "removed 1 job of 1 savepath\n")
    assert removed.err == "1 of these jobs stays: retried or removed meanwhile\n"
    assert await sql("select savepath, state from transcriptions join media on media.id = media_id") == (
        [("a.mp4", "queued")]
    )


async def test_a_recording_that_comes_while_delete_asks_stays(commands, submit, sql, while_it_asks):
    await submit("b/1.mp4")
    while_it_asks("insert into media (bucket, savepath) values ('videos', 'b/2.mp4')")
    removed = await commands.run("delete", "--prefix", "b/", "--yes")
    assert removed.out == "removed 1 job of 1 savepath\n"
    assert await sql("select savepath from media") == [("b/2.mp4",)]


async def test_on_a_terminal_it_asks_and_takes_no_for_an_answer(orchestrator, store_transcript, sql):
    await store_transcript("a.mp4", "hello")
    for answer, code, left in (("n", 1, 1), ("y", 0, 0)):
        ours, theirs = pty.openpty()
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "orchestrator", "delete", "a.mp4", "--config", str(orchestrator.config)),
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
        )
        os.close(theirs)
        shown = await asyncio.to_thread(read_until, ours, "[y/N]")
        assert "Remove 1 transcript, 1 job of 1 savepath?" in shown
        os.write(ours, f"{answer}\n".encode())
        await asyncio.to_thread(read_all, ours)
        assert (await process.wait(), await sql("select count(*) from media")) == (code, [(left,)])


async def test_cancel_all_asks(commands, submit, sql):
    await submit()
    assert (await commands.run("cancel", "--all")).code == 2
    assert await sql("select state from jobs") == [("queued",)]
    assert (await commands.run("cancel", "--all", "--yes")).out == "cancelled talk.mp4\n"


@pytest.mark.parametrize(("command", "state"), [("cancel", "cancelled"), ("retry", "queued")])
async def test_an_unknown_savepath_leaves_the_others_to_be_changed(command, state, commands, submit, submissions, sql):
    job = await submit()
    if command == "retry":
        await submissions.cancel([job.id])
    outcome = await commands.run(command, "b.mp4", "talk.mp4", "a.mp4", "--json")
    assert outcome.code == 1
    assert [(one["savepath"], one["changed"]) for one in json.loads(outcome.out)] == [("talk.mp4", True)]
    assert outcome.err == "".join(
        f"{name} has not been submitted; do that with: orchestrator submit {name}\n" for name in ("a.mp4", "b.mp4")
    )
    assert await sql("select state from jobs") == [(state,)]
