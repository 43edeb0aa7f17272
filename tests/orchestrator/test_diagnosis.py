"""What an operator is to know of database and queue."""

import pytest

from orchestrator import diagnosis
from orchestrator.database.pool import make_pool
from orchestrator.queue import rules
from orchestrator.queue.entries import QueueEntries
from reelscribe.contracts.diagnosis import Finding


@pytest.fixture
def look(database_url):
    """The findings by subject, by a connection that may change nothing."""

    async def look() -> dict[str, Finding]:
        async with make_pool(f"{database_url}&options=-c%20default_transaction_read_only%3Don") as pool:
            return {found.subject: found for found in await diagnosis.diagnose(pool, QueueEntries(pool))}

    return look


async def test_an_empty_queue_without_a_worker_is_no_fault(look):
    found = await look()
    assert {subject: finding.level for subject, finding in found.items()} == {
        "database": "ok",
        "workers": "warning",
        "queue": "ok",
        "pauses": "ok",
        "failed jobs": "ok",
    }
    assert found["database"].message.startswith("PostgreSQL ") and " MB" in found["database"].message


async def test_jobs_that_no_worker_takes_are_a_fault(look, submit):
    await submit()
    found = (await look())["workers"]
    assert found.level == "fault" and "systemctl start reelscribe-orchestrator" in found.fix


async def test_a_worker_with_a_heartbeat_is_counted(look, submit, sql):
    await submit()
    await sql("insert into procrastinate_workers default values")
    assert (await look())["workers"].message == "1 at work"


async def test_a_job_that_has_waited_for_long_is_a_warning(look, submit, sql):
    job = await submit()
    await sql("update jobs set created_at = now() - interval '30 hours' where id = %s", job.id)
    found = (await look())["queue"]
    assert found.level == "warning" and "the oldest waits for 30.0 h" in found.message and "transcribers" in found.fix


async def test_jobs_that_wait_for_a_transcriber_are_a_fault_with_its_reason(look, submit, sql):
    job = await submit()
    reason = "error_code = 'no_transcriber', error_message = 'all are away'"
    await sql(f"update jobs set state = 'waiting', {reason} where id = %s", job.id)
    found = (await look())["queue"]
    assert found.level == "fault" and "all are away" in found.message


async def test_jobs_that_wait_for_their_bucket_are_a_fault_with_its_reason(look, submit, sql):
    job = await submit(bucket="other")
    reason = "error_code = 'bucket_unavailable', error_message = 'it is not mounted'"
    await sql(f"update jobs set state = 'waiting', {reason} where id = %s", job.id)
    found = (await look())["queue"]
    assert found.level == "fault" and "bucket other is away: it is not mounted" in found.message


async def test_a_pause_is_named_with_who_made_it(look, pool):
    async with pool.connection() as connection:
        await rules.pause(connection, "talks/", "ann@archive")
    found = (await look())["pauses"]
    assert found.level == "warning" and found.message.startswith("talks/ since ") and "ann@archive" in found.message


async def test_failed_jobs_are_counted_by_reason(look, submit, sql):
    for number in range(3):
        job = await submit(f"{number}.mp4")
        await sql(
            "update jobs set state = 'failed', finished_at = now(), error_code = %s, error_message = 'x' where id = %s",
            "busy" if number else "not_decodable",
            job.id,
        )
    assert (await look())["failed jobs"].message == "3; of the newest: 2 busy, 1 not_decodable"


async def test_a_schema_that_this_version_would_migrate_is_a_fault_and_stays_as_it_is(look, sql):
    [(newest,)] = await sql("select max(migration_id) from _yoyo_migration")
    await sql("delete from _yoyo_migration where migration_id = %s", newest)
    found = await look()
    assert list(found) == ["database"] and found["database"].level == "fault"
    assert f"lacks 1 migrations of this version ({newest}" in found["database"].message
    assert await sql("select from _yoyo_migration where migration_id = %s", newest) == []


async def test_a_schema_of_a_newer_version_is_a_fault(look, sql):
    await sql("insert into _yoyo_migration (migration_hash, migration_id) values ('x', '9999-newer')")
    found = (await look())["database"]
    assert found.level == "fault" and "9999-newer" in found.message and "upgrade" in found.fix


async def test_a_database_that_is_away_is_a_fault(monkeypatch):
    monkeypatch.setattr(diagnosis, "ANSWER_SECONDS", 0.5)
    async with make_pool("postgresql://127.0.0.1:1/reelscribe") as pool:
        [found] = await diagnosis.diagnose(pool, QueueEntries(pool))
    assert (found.subject, found.level) == ("database", "fault") and "start PostgreSQL" in found.fix
