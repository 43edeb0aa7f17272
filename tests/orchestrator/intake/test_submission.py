"""Submitting: one transaction with the queue, and the same request only once."""

import asyncio

import pytest
from psycopg.errors import CheckViolation

from orchestrator.intake.submission import Outcome, Submissions, take_all
from orchestrator.jobs import versions
from orchestrator.jobs.models import Options
from tests.orchestrator.conftest import BUCKET


async def test_a_submission_is_recorded_and_queued_together(submit, sql):
    job = await submit("talk.mp4", priority=7)
    assert job.state == "queued"
    assert await sql("select args, priority, status from procrastinate_jobs") == [({"job": job.id}, 7, "todo")]


async def test_a_failure_in_between_leaves_neither_job_nor_queue_entry(submissions, sql):
    await sql(
        """
        create function broken() returns trigger language plpgsql as $$ begin raise 'the power is out'; end $$;
        create trigger broken before insert on procrastinate_jobs for each row execute function broken();
        """
    )
    with pytest.raises(Exception, match="the power is out"):
        await submissions.submit(BUCKET, ["talk.mp4"], Options())
    assert await sql("select count(*) from transcriptions") == [(0,)]
    assert await sql("select count(*) from media") == [(0,)]


async def test_a_failure_after_queueing_leaves_neither(submissions: Submissions, sql):
    await sql(
        """
        create function broken() returns trigger language plpgsql as $$ begin raise 'the power is out'; end $$;
        create constraint trigger broken after insert on procrastinate_jobs deferrable initially deferred
            for each row execute function broken();
        """
    )
    with pytest.raises(Exception, match="the power is out"):
        await submissions.submit(BUCKET, ["talk.mp4"], Options())
    assert await sql("select count(*) from procrastinate_jobs") == [(0,)]
    assert await sql("select count(*) from transcriptions") == [(0,)]


async def test_the_same_request_is_the_same_job(submit, sql):
    first = await submit("talk.mp4", language="en")
    assert (await submit("talk.mp4", language="en")).id == first.id
    assert await sql("select count(*) from procrastinate_jobs") == [(1,)]


async def test_other_options_are_another_job(submit):
    assert (await submit("talk.mp4", language="en")).id != (await submit("talk.mp4")).id


async def test_options_at_their_default_are_no_other_options(submit):
    assert (await submit("talk.mp4", vad=True)).id == (await submit("talk.mp4")).id


async def test_the_same_savepath_in_another_bucket_is_another_job(submissions):
    [(one, _)] = await submissions.submit("videos", ["talk.mp4"], Options())
    [(other, _)] = await submissions.submit("calls", ["talk.mp4"], Options())
    assert one.id != other.id


async def test_jobs_come_back_in_the_order_of_their_first_mention(submissions):
    submitted = await submissions.submit(BUCKET, ["b.mp4", "a.mp4", "b.mp4"], Options())
    assert [job.savepath for job, _ in submitted] == ["b.mp4", "a.mp4"]


async def test_two_at_the_same_time_make_one_job(submissions, sql):
    both = await asyncio.gather(*(submissions.submit(BUCKET, ["a.mp4", "b.mp4"], Options()) for _ in range(5)))
    assert len({tuple(job.id for job, _ in submitted) for submitted in both}) == 1
    assert await sql("select count(*) from procrastinate_jobs") == [(2,)]


@pytest.fixture
def priorities(sql):
    async def read() -> tuple[list[int], list[int]]:
        """Of the jobs, and of their places in the queue."""
        jobs = await sql("select priority from transcriptions order by id")
        queued = await sql("select priority from procrastinate_jobs order by (args->>'job')::bigint")
        return [priority for (priority,) in jobs], [priority for (priority,) in queued]

    return read


async def test_a_priority_that_is_given_is_that_of_queued_jobs_too(submissions, submit, priorities):
    await submit("a.mp4")
    await submit("b.mp4", priority=3)
    submitted = await submissions.submit(BUCKET, ["a.mp4", "b.mp4", "new.mp4"], Options(), priority=500)
    assert [(job.priority, outcome) for job, outcome in submitted] == [(500, "known"), (500, "known"), (500, "new")]
    assert await priorities() == ([500] * 3, [500] * 3)


async def test_without_a_priority_jobs_keep_theirs(submissions, submit, priorities):
    job = await submit("queued.mp4", priority=500)
    again = await submit("again.mp4", priority=7)
    await submissions.cancel([again.id])
    assert [outcome for _, outcome in await submissions.submit(BUCKET, ["queued.mp4", "again.mp4"], Options())] == [
        *("known", "again"),
    ]
    assert job.priority == 500
    assert await priorities() == ([500, 7], [500, 7])


async def test_what_replaces_a_job_has_its_priority(submissions, submit, priorities):
    for savepath, priority in (("a.mp4", 500), ("b.mp4", None), ("c.mp4", 7)):
        await submit(savepath, priority=priority)
    names = ["a.mp4", "b.mp4", "c.mp4", "new.mp4"]
    submitted = await submissions.submit(BUCKET, names, Options(), force=True)
    assert [job.priority for job, _ in submitted] == [500, 0, 7, 0]
    assert await priorities() == ([500, 0, 7, 0, 500, 0, 7], [0, 500, 0, 7])
    again = await submissions.submit(BUCKET, names, Options(), priority=3, force=True)
    assert [job.priority for job, _ in again] == [3] * 4


@pytest.mark.parametrize("state", ["failed", "cancelled"])
async def test_what_failed_or_was_cancelled_is_queued_again(state, submissions, submit, sql):
    job = await submit("talk.mp4")
    await sql("delete from procrastinate_jobs")
    await sql(
        """
        update transcriptions
        set state = %s, failures = 3, error_code = 'x', error_message = 'y', finished_at = now()
        """,
        state,
    )
    [(again, outcome)] = await submissions.submit(BUCKET, ["talk.mp4"], Options())
    assert (again.id, outcome, again.state, again.failures, again.error) == (job.id, "again", "queued", 0, None)
    assert await sql("select count(*) from procrastinate_jobs where status = 'todo'") == [(1,)]


async def test_force_makes_a_new_version_and_keeps_the_old(submit, sql):
    old = await submit("talk.mp4")
    await sql("update transcriptions set state = 'done', complete = true, finished_at = now()")
    new = await submit("talk.mp4", force=True)
    assert new.id != old.id
    assert await sql("select id, superseded, state from transcriptions order by id") == [
        (old.id, True, "done"),
        (new.id, False, "queued"),
    ]


async def test_force_cancels_a_version_that_is_not_finished(submit, sql):
    await submit("talk.mp4")
    await submit("talk.mp4", force=True)
    assert await sql("select state from transcriptions order by id") == [("cancelled",), ("queued",)]
    assert await sql("select count(*) from procrastinate_jobs") == [(1,)]


async def test_retry_takes_only_what_failed_or_was_cancelled(submit, submissions, sql):
    failed, queued = await submit("failed.mp4"), await submit("queued.mp4")
    await submissions.cancel([failed.id])
    assert await submissions.retry([failed.id, queued.id]) == [failed.id]
    assert await sql("select count(*) from procrastinate_jobs where status = 'todo'") == [(2,)]


async def test_a_cancelled_job_leaves_the_queue(submit, submissions, sql):
    job = await submit("talk.mp4")
    assert await submissions.cancel([job.id]) == [job.id]
    assert await sql("select count(*) from procrastinate_jobs") == [(0,)]


async def chunks(*names: str):
    for name in names:
        yield {f"{name}/{number}.mp4": None for number in range(3)}


async def test_chunks_of_a_long_submission_are_reported_in_their_order(submissions, sql):
    reported = []
    submission = submissions.begin(BUCKET, Options())
    await take_all(submission.take, chunks(*"zyxwvuab", "z"), lambda outcomes: reported.append(list(outcomes.items())))
    assert [outcomes[0] for outcomes in reported] == [
        *((f"{name}/0.mp4", "new") for name in "zyxwvuab"),
        ("z/0.mp4", "known"),
    ]
    assert await sql("select count(*), count(distinct queue_job) from jobs") == [(24, 24)]


async def test_what_breaks_a_chunk_ends_the_submission_with_that_error(submissions, sql):
    await sql("alter table media add check (savepath <> 'b/1.mp4')")
    reported: list[dict[str, Outcome]] = []
    with pytest.raises(CheckViolation):
        await take_all(submissions.begin(BUCKET, Options()).take, chunks(*"abcdefgh"), reported.append)
    assert [next(iter(outcomes)) for outcomes in reported] in ([], ["a/0.mp4"])
    assert await sql("select count(*) from media where savepath like 'b/%%'") == [(0,)]


async def test_while_one_chunk_waits_only_two_others_are_taken(submissions):
    """Else the rest of a million savepaths would be in memory until the first chunk has its lock."""
    ended: list[str] = []

    async def take(requested) -> dict[str, Outcome]:
        [name] = {savepath[0] for savepath in requested}
        if name == "a":
            for _ in range(100):
                await asyncio.sleep(0)
        else:
            assert name in "bc" or "a" in ended
        ended.append(name)
        return dict.fromkeys(requested, "new")

    await take_all(take, chunks(*"abcdefgh"), lambda outcomes: None)
    assert ended == list("bcadefgh")


async def test_force_makes_one_version_of_what_is_in_two_chunks_however_late_the_second_begins(
    submissions, sql, monkeypatch
):
    read, made = versions.newest_id, asyncio.Event()
    late: list[bool] = []

    async def newest_id(connection) -> int:
        if late:
            await made.wait()
        late.append(True)
        return await read(connection)

    monkeypatch.setattr(versions, "newest_id", newest_id)
    submission = submissions.begin(BUCKET, Options(), force=True)
    first = asyncio.create_task(submission.take({"a.mp4": None}))
    second = asyncio.create_task(submission.take({"b.mp4": None}))
    await first
    made.set()
    await second
    assert await submission.take({"a.mp4": None, "b.mp4": None}) == {"a.mp4": "known", "b.mp4": "known"}
    assert await sql("select count(*) from jobs") == [(2,)]
