"""``orchestrator status``: how far the queue is, how fast, and how long it may still take."""

import asyncio
import json
import os
import pty
import re
import signal
import sys

import pytest

from orchestrator.jobs.stats import overview
from tests.orchestrator.commands import read_all, read_until

SCAN = """
    select state, count(*), count(length), coalesce(sum(length), 0) from (
        select state, (case state when 'done' then progress_seconds else declared_seconds end)::numeric as length
        from transcriptions where not superseded
    ) now group by state order by state
"""
SUMS = """
    select state, sum(delta), sum(timed), sum(seconds) from state_changes group by state
    having sum(delta) <> 0 or sum(timed) <> 0 or sum(seconds) <> 0 order by state
"""


@pytest.fixture
def seen(pool):
    async def look():
        async with pool.connection() as connection:
            return await overview(connection)

    return look


async def test_the_sums_of_seconds_are_those_of_a_scan_whatever_happens(store_transcript, submit, submissions, sql):
    await store_transcript("a.mp4", "one", "two", "three")
    await store_transcript("a.mp4", "one", "two", force=True)
    await store_transcript("b.mp4", "one")
    await submit("c.mp4")
    await sql("update transcriptions set declared_seconds = 7.1 where state = 'queued'")
    await submissions.cancel([(await submit("d.mp4")).id])
    await sql("update transcriptions set declared_seconds = null where state = 'queued'")
    await sql("update transcriptions set declared_seconds = 0 where state = 'queued'")
    await sql("delete from transcriptions where state = 'cancelled'")
    assert await sql(SUMS) == await sql(SCAN) != []


async def test_jobs_of_unknown_length_count_as_long_as_those_that_are_done(store_transcript, submit, sql, seen):
    await store_transcript("a.mp4", "one")  # 4 s
    await store_transcript("b.mp4", "one", "two")  # 8 s
    for number in range(3):
        await submit(f"{number}.mp4")
    await sql("update transcriptions set declared_seconds = 100 where id = (select max(id) from transcriptions)")
    now = await seen()
    assert (now.totals, now.done_seconds, now.left_seconds) == ({"done": 2, "queued": 3}, 12, 112)


async def test_what_nothing_is_known_of_is_not_guessed(submit, seen):
    await submit()
    now = await seen()
    assert (now.left_seconds, now.speed, now.eta_seconds) == (None, None, None)


async def test_speed_is_audio_by_the_time_in_which_a_worker_worked(store_transcript, sql, seen):
    for name in ("a.mp4", "b.mp4", "c.mp4"):
        await store_transcript(name, *["word"] * 15)  # 60 s each
    await sql(
        """
        update attempts a set started_at = now() - span.start, ended_at = now() - span.ends
        from (values (1, interval '100 s', interval '90 s'), (2, '95 s', '85 s'), (3, '50 s', '45 s'))
            span (id, start, ends)
        where a.transcription_id = (select t.id from transcriptions t order by t.id offset span.id - 1 limit 1)
        """
    )
    assert (await seen()).speed == pytest.approx(180 / (15 + 5))


async def test_a_long_job_counts_as_far_as_it_was_transcribed_recently(store_transcript, sql, seen):
    await store_transcript("a.mp4", *["word"] * 150)  # 600 s
    await sql("update attempts set started_at = now() - interval '2 hours', ended_at = now()")
    assert (await seen()).speed == pytest.approx(600 / 7200, rel=0.01)


async def test_status_shows_states_audio_and_what_to_do_next(orchestrator, store_transcript, submit):
    await store_transcript("a.mp4", *["word"] * 30)
    await submit("b.mp4")
    outcome = await orchestrator.run("status")
    assert outcome.code == 0
    assert [" ".join(re.sub(r" \d+ s ", " 0 s ", line).split()) for line in outcome.out.splitlines()] == [
        "STATE JOBS AUDIO",
        "queued 1 about 2 min",
        "done 1 2 min",
        "total 2",
        "about 2 min of audio left; no worker is running; start one with: orchestrator up (or serve, or worker)",
        "",
        "ID STATE WHEN TRANSCRIBED SAVEPATH",
        "2 queued for 0 s b.mp4",
        "1 done 0 s ago 120.0 of 120.0 s a.mp4",
    ]


async def test_states_are_in_the_order_of_a_jobs_life(orchestrator, store_transcript, submit, submissions):
    await store_transcript("a.mp4", "one")
    await submissions.cancel([(await submit("b.mp4")).id])
    await submit("c.mp4")
    lines = (await orchestrator.run("status")).out.splitlines()
    assert [line.split()[0] for line in lines[1:4]] == ["queued", "done", "cancelled"]


async def test_json_says_the_same_in_seconds(orchestrator, store_transcript, submit):
    await store_transcript("a.mp4", "one")
    await submit("b.mp4")
    shown = json.loads((await orchestrator.run("status", "--json")).out)
    assert [job["savepath"] for job in shown["jobs"]] == ["b.mp4", "a.mp4"]
    assert shown["totals"] == {"done": 1, "queued": 1}
    assert (shown["done_seconds"], shown["left_seconds"], shown["workers"]) == (4, 4, 0)
    assert shown["speed"] > 0
    assert shown["eta_seconds"] is None, "no worker is there"


async def test_watch_in_a_pipe_is_a_line_for_each_change(orchestrator, submit, submissions):
    command = await orchestrator.start("status", "--watch")
    assert command.process.stdout
    assert await command.process.stdout.readline() == b"no jobs yet; make one with: orchestrator submit SAVEPATH\n"
    job = await submit()
    assert await command.process.stdout.readline() == b"1 queued\n"
    await submissions.cancel([job.id])
    assert await command.process.stdout.readline() == b"1 cancelled\n"
    outcome = await command.ends(signal.SIGINT)
    assert (outcome.code, outcome.out, outcome.err) == (130, "", "")


async def test_watch_json_is_a_document_a_line(orchestrator, submit):
    command = await orchestrator.start("status", "--watch", "--json")
    assert command.process.stdout
    assert json.loads(await command.process.stdout.readline())["totals"] == {}
    await submit()
    assert json.loads(await command.process.stdout.readline())["totals"] == {"queued": 1}
    assert (await command.ends(signal.SIGINT)).code == 130


async def test_watching_a_savepath_ends_with_its_job(orchestrator, submit, working, submissions):
    await submit()
    command = await orchestrator.start("status", "talk.mp4", "--watch")
    assert command.process.stdout
    assert await command.process.stdout.readline() == b"talk.mp4: it is queued\n"
    async with working():
        outcome = await command.ends()
    assert (outcome.code, outcome.out.splitlines()[-1]) == (0, "talk.mp4: it is done")
    await submissions.cancel([(await submit("gone.mp4")).id])
    assert (await orchestrator.run("status", "gone.mp4", "--watch")).code == 1


async def test_watch_on_a_terminal_ends_cleanly_with_ctrl_c(orchestrator, submit, working):
    await submit()
    ours, theirs = pty.openpty()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "orchestrator", "status", "--watch", "--config", str(orchestrator.config)),
        stdout=theirs,
        stderr=theirs,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "80"},
    )
    os.close(theirs)
    shown = await asyncio.to_thread(read_until, ours, "talk.mp4")
    assert "queued" in shown
    async with working():
        shown = await asyncio.to_thread(read_until, ours, "30.0 of 30.0 s")
    assert "nothing is left to do" in shown
    process.send_signal(signal.SIGINT)
    shown = await asyncio.to_thread(read_all, ours)
    assert await process.wait() == 130
    assert shown.endswith("\x1b[?25h"), "the cursor is there again"
    assert "Traceback" not in shown
