"""The entries of the queue: as procrastinate makes them, in fewer statements."""

import asyncio

import psycopg

from orchestrator.jobs.models import TRANSCRIBE, Options
from orchestrator.queue import fetch, rules
from tests.orchestrator.conftest import BUCKET
from tests.waiting import eventually

TRIGGERS = {
    "complete_entry": True,
    "notify_gone_entries": True,
    "notify_new_entries": True,
    "procrastinate_jobs_notify_queue_job_aborted_v1": True,
    "procrastinate_jobs_notify_queue_job_inserted_v1": False,
    "procrastinate_trigger_abort_requested_events_v1": False,
    "procrastinate_trigger_delete_jobs_v1": True,
    "procrastinate_trigger_scheduled_events_v1": False,
    "procrastinate_trigger_status_events_insert_v1": False,
    "procrastinate_trigger_status_events_update_v1": False,
}

INDEXES = {
    "idx_procrastinate_jobs_worker_not_null": True,
    "procrastinate_jobs_id_lock_idx_v1": False,
    "procrastinate_jobs_lock_idx_v1": False,
    "procrastinate_jobs_pkey": True,
    "procrastinate_jobs_priority_idx_v1": False,
    "procrastinate_jobs_queue_name_idx_v1": False,
    "procrastinate_jobs_queueing_lock_idx_v1": False,
    "queue_order": True,
}


async def notified(database_url, then) -> list[str]:
    """The channels of procrastinate that are notified while this is done."""
    async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as listening:
        for channel in (f"procrastinate_queue_v1#{TRANSCRIBE}", "procrastinate_any_queue_v1"):
            await listening.execute(f'listen "{channel}"')
        await then()
        await listening.execute("notify procrastinate_any_queue_v1, 'last'")
        channels: list[str] = []
        async for notify in listening.notifies():
            if notify.payload == "last":
                return channels
            channels.append(notify.channel)
    raise AssertionError("the connection ended")


async def test_an_entry_is_what_procrastinate_makes_of_the_same_job(submit, sql):
    job = await submit("talk.mp4", priority=3)
    await sql(
        """
        select procrastinate_defer_jobs_v1(array[
            row (%s, %s, 3, null, null, jsonb_build_object('job', %s::bigint), null)::procrastinate_job_to_defer_v1
        ])
        """,
        *(TRANSCRIBE, TRANSCRIBE, job.id),
    )
    ours, its = [row for (row,) in await sql("select to_jsonb(j) - 'id' from procrastinate_jobs j order by id")]
    assert ours == its | {"savepath": "talk.mp4"}
    [(ids,)] = await sql("select array_agg(id order by id) from procrastinate_jobs")
    assert await sql("select queue_job from jobs") == [(ids[0],)] and ids[1] > ids[0], "of one sequence"


async def test_only_these_triggers_run_for_each_entry(sql):
    """A version of procrastinate that adds one would cost that for each job, or need it."""
    rows = await sql(
        "select tgname, tgenabled <> 'D' from pg_trigger where tgrelid = 'procrastinate_jobs'::regclass"
        " and not tgisinternal"
    )
    assert dict(rows) == TRIGGERS


async def test_each_entry_is_written_into_these_indexes_only(sql):
    """The others are procrastinate's, for what is not used here: they are of no row."""
    rows = await sql(
        """
        select relname, coalesce(pg_get_expr(indpred, indrelid), '') <> 'false' from pg_index
        join pg_class on pg_class.oid = indexrelid where indrelid = 'procrastinate_jobs'::regclass
        """
    )
    assert dict(rows) == INDEXES


async def test_workers_are_notified_once_of_many_new_jobs(database_url, submissions):
    async def submit_many() -> None:
        await submissions.submit(BUCKET, [f"{number}.mp4" for number in range(50)], Options())

    assert sorted(await notified(database_url, submit_many)) == [
        "procrastinate_any_queue_v1",
        f"procrastinate_queue_v1#{TRANSCRIBE}",
    ]


async def test_the_end_of_a_job_is_notified_only_where_it_makes_room_under_a_limit(database_url, submit, sql):
    async def end_all() -> None:
        await sql("delete from procrastinate_jobs")

    await submit()
    assert await notified(database_url, end_all) == []
    await sql("insert into queue_rules (prefix, max_running) values ('', 5)")
    assert await notified(database_url, end_all) == ["procrastinate_any_queue_v1"]


async def test_a_job_is_done_and_out_of_the_queue_in_one_transaction(store_transcript, sql):
    job = await store_transcript("talk.mp4", "All of it.")
    assert job.state == "done"
    assert await sql("select count(*) from procrastinate_jobs") == [(0,)]


async def test_a_worker_that_takes_a_job_does_not_wait_for_whoever_changes_it(submit, pool, sql, database_url):
    """Else two would wait for each other: a cancellation locks the job, then its entry."""
    job = await submit()
    [(worker,)] = await sql("insert into procrastinate_workers default values returning id")
    async with await psycopg.AsyncConnection.connect(database_url) as other:
        await other.execute("select from jobs where id = %s for no key update", (job.id,))
        async with asyncio.timeout(60):
            entry, attempt = await fetch.take(pool, worker, [TRANSCRIBE])
        assert entry["args"] == {"job": job.id} and attempt is None
    assert await sql("select state, attempt from jobs") == [("queued", 0)]


async def test_a_job_whose_task_ended_before_its_first_step_is_taken_again_and_occupies_no_slot(submit, queue, sql):
    """procrastinate writes no end of such a task: that of a job that is cancelled as it is taken."""
    await queue.open()
    queue.take_kinds({TRANSCRIBE: lambda: 1})
    [(worker,)] = await sql("insert into procrastinate_workers default values returning id")
    first, second = await submit("first.mp4"), await submit("second.mp4")

    async def take() -> int:
        async with asyncio.timeout(60):
            taken = await queue.app.job_manager.fetch_job(None, worker)
        return taken.task_kwargs["job"]

    assert [await take(), await take()] == [first.id, first.id]
    assert await sql("select state, attempt from jobs order by id") == [("running", 2), ("queued", 0)]
    [(entry,)] = await sql("select queue_job from jobs where id = %s", first.id)
    assert queue.begun(entry).number == 2
    assert await queue.app.job_manager.fetch_job(None, worker) is None, "it runs, in the only slot"
    assert second.id != first.id


async def test_an_entry_of_an_older_version_that_still_runs_is_paused_too(submit, pool, sql):
    """It knows no savepaths of entries; the documentation says that no worker has to be stopped for an update."""
    job = await submit("secret/talk.mp4")
    await sql("delete from procrastinate_jobs")
    await sql(
        """
        insert into procrastinate_jobs (id, queue_name, task_name, priority, args)
        select queue_job, kind, kind, priority, jsonb_build_object('job', id) from jobs where id = %s
        """,
        job.id,
    )
    assert await sql("select savepath from procrastinate_jobs") == [("secret/talk.mp4",)]
    [(worker,)] = await sql("insert into procrastinate_workers default values returning id")
    async with pool.connection() as connection:
        await rules.pause(connection, "secret/", "someone")
    assert await fetch.take(pool, worker, [TRANSCRIBE]) is None


async def test_a_worker_continues_while_a_newer_version_adds_a_column_to_the_queue(
    submissions, pool, sql, database_url
):
    """PostgreSQL refuses a prepared statement whose columns change."""
    await submissions.submit(BUCKET, [f"{number}.mp4" for number in range(40)], Options())
    [(worker,)] = await sql("insert into procrastinate_workers default values returning id")
    for number in range(40):  # a statement is prepared once a connection has executed it five times
        if number == 30:
            async with await psycopg.AsyncConnection.connect(database_url) as newer:
                await newer.execute("alter table procrastinate_jobs add column newer text")
        assert await fetch.take(pool, worker, [TRANSCRIBE])


async def test_a_recording_that_another_transaction_records_meanwhile_is_queued_once(submissions, database_url, sql):
    async with await psycopg.AsyncConnection.connect(database_url) as other:
        await other.execute("insert into media (bucket, savepath) values (%s, 'b.mp4')", (BUCKET,))
        submission = asyncio.create_task(submissions.submit(BUCKET, ["a.mp4", "b.mp4"], Options()))
        waiting = "select pid from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'"
        await eventually(lambda: sql(waiting))
        await other.commit()
        submitted = await submission
    assert [(job.savepath, outcome) for job, outcome in submitted] == [("a.mp4", "new"), ("b.mp4", "new")]
    assert await sql("select savepath from procrastinate_jobs order by savepath") == [("a.mp4",), ("b.mp4",)]


async def test_savepaths_arrive_as_they_are_whatever_means_something_in_an_array(submissions, sql):
    savepaths = ['a "b".mp4', "c\\d.mp4", "e,f.mp4", "{g}", "NULL", "h\ni.mp4", "\u00fc.mp4", '\\"']
    await submissions.submit(BUCKET, savepaths, Options())
    assert [savepath for (savepath,) in await sql("select savepath from media")] == sorted(savepaths)
