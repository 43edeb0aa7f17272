"""Pages of jobs that match a filter: together they are all that match, and each reads a bounded number of jobs."""

import pytest

from orchestrator.database.sql import fetch_value
from orchestrator.jobs import matching
from orchestrator.jobs.matching import JobFilter, page_of_jobs
from orchestrator.jobs.models import Options
from orchestrator.jobs.stats import oldest_waiting_seconds
from tests.orchestrator.conftest import BUCKET

OTHER_BUCKET = "archive"


@pytest.fixture
async def jobs(submissions, sql):
    """30 jobs in two buckets, some of them failed, and one that a newer version replaces."""
    names = [f"{'Talks' if number % 3 else '50%_off'}/{number:02}.mp4" for number in range(24)]
    await submissions.submit(BUCKET, names, Options())
    await submissions.submit(OTHER_BUCKET, [f"Talks/{number}.mkv" for number in range(6)], Options())
    await sql(
        "update transcriptions set state = 'failed', error_code = 'no_audio', error_message = 'It has no Audio track',"
        " finished_at = now() where mod(id, 4) = 0"
    )
    await sql("update transcriptions set superseded = true, superseded_at = now() where id = 7")
    rows = await sql(
        "select t.id, t.state, m.savepath, coalesce(t.error_message, '') from transcriptions t"
        " join media m on m.id = t.media_id where not t.superseded order by t.id desc"
    )
    assert len(rows) == 29
    return rows


async def all_pages(pool, wanted: JobFilter, limit: int) -> tuple[list[int], int]:
    """The ids of all pages, and how many pages there were."""
    ids, after, pages = [], None, 0
    while True:
        async with pool.connection() as connection:
            page = await page_of_jobs(connection, wanted, after, limit)
        assert len(page.jobs) <= limit
        ids += [job.id for job in page.jobs]
        pages += 1
        if page.next is None:
            return ids, pages
        assert after is None or page.next < after
        after = page.next


FILTERS = [
    JobFilter(),
    JobFilter("failed"),
    JobFilter(prefix="Talks/"),
    JobFilter("failed", prefix="Talks/1"),
    JobFilter(prefix="talks/"),
    JobFilter(prefix="50%"),
    JobFilter(prefix="%"),
    JobFilter(text="tALKS/1"),
    JobFilter(text="audio TRACK"),
    JobFilter("queued", text="audio track"),
    JobFilter(prefix="Talks/", text=".mkv"),
    JobFilter("failed", prefix="50%_off/", text="no audio"),
    JobFilter(text="'; drop table jobs --"),
]


@pytest.mark.parametrize("most_recordings", [0, 1000], ids=["walked", "by recordings"])
async def test_the_pages_together_are_all_jobs_that_match(jobs, pool, monkeypatch, most_recordings):
    monkeypatch.setattr(matching, "MOST_RECORDINGS", most_recordings)
    monkeypatch.setattr(matching, "WALKED_TOGETHER", 5)
    monkeypatch.setattr(matching, "WALKING_SECONDS", 0)
    for wanted in FILTERS:
        expected = [
            id
            for id, state, savepath, error in jobs
            if wanted.state in (None, state)
            and savepath.startswith(wanted.prefix or "")
            and any((wanted.text or "").lower() in text.lower() for text in (savepath, error))
        ]
        for limit in (4, 100):
            assert (await all_pages(pool, wanted, limit))[0] == expected, wanted


async def test_text_is_found_in_savepaths_whatever_its_case_in_any_language(submissions, pool):
    [(job, _)] = await submissions.submit(BUCKET, ["Ärger/ÉTÉ.mp4"], Options())
    for text in ("Ärger", "ärger", "ÄRGER", "été"):
        assert (await all_pages(pool, JobFilter(text=text), 10))[0] == [job.id], text


async def test_a_page_ends_after_its_time_with_what_was_found_and_says_where_it_was(jobs, pool, monkeypatch):
    monkeypatch.setattr(matching, "WALKED_TOGETHER", 5)
    monkeypatch.setattr(matching, "WALKING_SECONDS", 0)
    assert await all_pages(pool, JobFilter(text="nowhere"), 10) == ([], 6)
    monkeypatch.setattr(matching, "WALKING_SECONDS", 60)
    assert await all_pages(pool, JobFilter(text="nowhere"), 10) == ([], 1)


async def test_no_page_reads_more_jobs_than_it_compares(pool, submissions, sql):
    await submissions.submit(BUCKET, [f"{number % 10}/{number}.mp4" for number in range(3000)], Options())
    await sql("analyze")
    async with pool.connection() as connection:
        await connection.execute("set enable_seqscan = off")  # as PostgreSQL decides by itself for more rows
        await connection.execute("set enable_bitmapscan = off")

        async def read(wanted: JobFilter, after: int | None = None) -> int:
            counted = (
                "select sum(seq_tup_read + idx_tup_fetch)::bigint from pg_stat_xact_user_tables"
                " where relname in ('jobs', 'media')"
            )
            before = (await (await connection.execute(counted)).fetchone())[0]
            await page_of_jobs(connection, wanted, after, 20)
            return (await (await connection.execute(counted)).fetchone())[0] - before

        assert await read(JobFilter()) < 100
        assert await read(JobFilter("queued"), after=2000) < 100
        assert await read(JobFilter("failed")) < 100
        assert await read(JobFilter(prefix="7/")) < 1500
        assert await read(JobFilter(prefix="none/")) < 10
        assert await read(JobFilter(text="MP4")) < 200


async def test_no_job_of_another_kind_is_read_however_many_there_are(pool, submissions, sql):
    await submissions.submit(BUCKET, [f"{number}.mp4" for number in range(100)], Options())
    await sql("insert into jobs (kind, state) select 'other', 'waiting' from generate_series(1, 5000)")
    await sql("analyze jobs")
    read = "select seq_tup_read + idx_tup_fetch from pg_stat_xact_user_tables where relname = 'jobs'"
    async with pool.connection() as connection:
        before = await fetch_value(connection, read)
        for wanted in (JobFilter(), JobFilter("queued"), JobFilter("waiting"), JobFilter(text="none")):
            await page_of_jobs(connection, wanted, None, 10)
        assert await oldest_waiting_seconds(connection) is not None
        assert await fetch_value(connection, read) - before <= 1000
