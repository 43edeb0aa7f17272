"""Many savepaths: from lists and listings, refused one by one, counted, and never blocking a worker."""

import asyncio
import json
import signal
from typing import Any

import pytest
from typer.testing import CliRunner

from orchestrator.cli.main import cli
from orchestrator.cli.submission.submit_report import MOST_NAMED
from orchestrator.database.pool import make_pool
from orchestrator.intake.submission import CHUNK
from orchestrator.jobs import queries as job_queries
from orchestrator.jobs import stats
from orchestrator.jobs.models import Options
from tests.orchestrator.conftest import BUCKET


@pytest.fixture
def with_extractor(orchestrator, extractor):
    """The command line, with an extractor."""
    text = orchestrator.config.read_text()
    orchestrator.config.write_text(text.replace("[orchestrator]", f"[orchestrator]\nextractor_url = {extractor}"))
    return orchestrator


@pytest.fixture
def counts(pool):
    async def read() -> tuple[Any, Any]:
        """As they are kept, and as a scan finds them."""
        async with pool.connection() as connection:
            scan = await connection.execute(
                "select state, count(*) from transcriptions where not superseded group by state order by state"
            )
            return await stats.count_by_state(connection), dict(await scan.fetchall())

    return read


async def test_lines_that_cannot_be_savepaths_are_refused_with_their_place_and_the_rest_is_queued(
    orchestrator, tmp_path
):
    lines = [
        b"a.mp4",
        b"../secret.mp4",
        b"",
        b"/etc/passwd",
        b"a//b.mp4",
        b"x" * 300,
        b"y" * 20_000,
        b"\xff.mp4",
        b"b.mp4",
    ]
    (tmp_path / "list.txt").write_bytes(b"\n".join(lines))
    outcome = await orchestrator.run("submit", "--from-file", str(tmp_path / "list.txt"))
    assert outcome.code == 1
    assert outcome.out == "queued    a.mp4\nqueued    b.mp4\n2 submitted: 2 queued, 6 refused\n"
    refused = [line for line in outcome.err.splitlines() if line.startswith("refused")]
    assert [line.partition("list.txt:")[2] for line in refused] == [
        "2: must not contain '.' or '..' as a folder",
        "4: must not start with '/'; it is relative to the bucket, like youtube/abc123.mp4",
        "5: must not contain '//' or end with '/'",
        "6: a part between '/' is over 255 bytes",
        "7: is over 1024 bytes",
        "8: is not UTF-8 text",
    ]


async def test_refusals_and_totals_are_in_the_json(orchestrator):
    printed = json.loads((await orchestrator.run("submit", "-", "--json", stdin="a.mp4\n../b.mp4\na.mp4\n")).out)
    assert (printed["totals"]["new"], printed["totals"]["refused"], printed["dry_run"]) == (1, 1, False)
    assert printed["refused"] == [{"where": "<stdin>:2", "reason": "must not contain '.' or '..' as a folder"}]
    assert [(job["savepath"], job["outcome"], job["state"]) for job in printed["jobs"]] == [("a.mp4", "new", "queued")]


async def test_more_jobs_than_wait_follows_are_in_the_json_too(commands, tmp_path, sql):
    names = tmp_path / "names.txt"
    names.write_text("".join(f"{number}.mp4\n" for number in range(MOST_NAMED + 1)))
    outcome = await commands.run("submit", "--from-file", str(names), "--wait", "--json")
    assert (outcome.code, f"--wait follows {MOST_NAMED} jobs at most" in outcome.err) == (1, True)
    report = json.loads(outcome.out)
    assert (report["jobs"], report["totals"]["new"]) == (None, MOST_NAMED + 1)
    assert await sql("select count(*) from jobs") == [(MOST_NAMED + 1,)]


async def test_all_objects_of_the_bucket_are_submitted(with_extractor):
    assert (await with_extractor.run("submit", "--all")).out == (
        "queued    talks/a.mp4\nqueued    talks/b.mp4\nqueued    youtube/c.mp4\n3 submitted: 3 queued\n"
    )


async def test_of_a_listing_only_recordings_are_submitted(with_extractor, bucket):
    (bucket / "talks/a.jpg").write_text("a picture")
    (bucket / "talks/A.MP4").write_text("a recording")
    assert (await with_extractor.run("submit", "--prefix", "talks/")).out.splitlines() == [
        *("queued    talks/A.MP4", "queued    talks/a.mp4", "queued    talks/b.mp4"),
        "3 submitted: 3 queued, 1 skipped",
    ]
    assert (await with_extractor.run("submit", "talks/a.jpg")).out == "queued    talks/a.jpg\n"
    assert json.loads((await with_extractor.run("submit", "--all", "--json")).out)["totals"]["passed_over"] == 1


async def test_results_in_the_bucket_are_not_submitted(with_extractor, bucket):
    for ending in ("json", "srt", "txt"):
        (bucket / f"talks/a.mp4.{ending}").write_text("words")
    with with_extractor.config.open("a") as config:
        config.write("\n[events]\nsuffixes = .mp4, .txt, .json, .srt\n")
        config.write(f"[results]\nbucket = {BUCKET}\nformats = json, srt\n")
    assert (await with_extractor.run("submit", "--prefix", "talks/a")).out == (
        "queued    talks/a.mp4\nqueued    talks/a.mp4.txt\n2 submitted: 2 queued, 2 skipped\n"
    )


async def test_objects_below_a_prefix_are_submitted_and_changed_ones_again(
    with_extractor, store_transcript, sql, bucket
):
    await store_transcript("talks/a.mp4", "old words")
    await store_transcript("talks/b.mp4", "old words")
    await sql("update attempts set etag = 'of before'")
    [job] = json.loads((await with_extractor.run("submit", "talks/a.mp4", "--json")).out)["jobs"]
    assert (job["savepath"], job["outcome"], job["state"]) == ("talks/a.mp4", "changed", "queued")
    assert (await with_extractor.run("submit", "--prefix", "talks/")).out == (
        "known     talks/a.mp4: it is queued\n"
        "changed   talks/b.mp4: the object has changed since it was transcribed; a new version is queued\n"
        "2 submitted: 1 changed, 1 known\n"
    )


async def test_a_prefix_without_objects_is_exit_code_1(with_extractor):
    outcome = await with_extractor.run("submit", "--prefix", "nothing/")
    assert (outcome.code, outcome.out) == (1, "0 submitted: nothing\n")


async def test_a_listing_without_the_extractor_is_a_sentence(orchestrator, free_port):
    text = orchestrator.config.read_text()
    orchestrator.config.write_text(
        text.replace("[orchestrator]", f"[orchestrator]\nextractor_url = http://127.0.0.1:{free_port}")
    )
    outcome = await orchestrator.run("submit", "--all")
    assert outcome.code == 1
    assert f"the extractor at http://127.0.0.1:{free_port} does not answer" in outcome.err
    assert "see [orchestrator] extractor_url" in outcome.err


async def test_a_dry_run_says_what_would_happen_and_changes_nothing(orchestrator, store_transcript, submit, sql):
    await store_transcript("done.mp4", "words")
    await submit("queued.mp4")
    before = await sql("select * from transcriptions order by id")
    outcome = await orchestrator.run("submit", "new.mp4", "queued.mp4", "done.mp4", "--dry-run")
    assert outcome.out.splitlines()[-1] == "3 would be submitted: 1 queued, 1 known, 1 done"
    assert await sql("select * from transcriptions order by id") == before
    assert await sql("select count(*) from media") == [(2,)]


async def test_a_dry_run_says_which_objects_are_not_there(with_extractor, store_transcript, bucket, sql):
    await store_transcript("talks/b.mp4", "words")
    (bucket / "talks/b.mp4").unlink()
    outcome = await with_extractor.run("submit", "talks/a.mp4", "talks/b.mp4", "talks/tpyo.mp4", "--dry-run")
    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.out == (
        "queued    talks/a.mp4\n"
        "missing   talks/b.mp4: the object no longer exists; its transcript is kept\n"
        "missing   talks/tpyo.mp4: there is no such object\n"
        "1 would be submitted: 1 queued, 2 missing\n"
    )


async def test_a_dry_run_without_the_extractor_says_what_it_does_not_know(orchestrator, free_port):
    text = orchestrator.config.read_text()
    orchestrator.config.write_text(
        text.replace("[orchestrator]", f"[orchestrator]\nextractor_url = http://127.0.0.1:{free_port}")
    )
    outcome = await orchestrator.run("submit", "tpyo.mp4", "--dry-run")
    assert (outcome.code, outcome.out.splitlines()[-1]) == (0, "1 would be submitted: 1 queued")
    assert outcome.err.startswith("what is new counts as existing, and what is done as unchanged: the extractor at ")


async def test_ctrl_c_says_how_far_it_got_and_the_same_command_continues(orchestrator, sql):
    names = [f"videos/{number}.mp4" for number in range(CHUNK + 10)]
    command = await orchestrator.start("submit", "-")
    assert command.process.stdin
    command.process.stdin.write("\n".join([*names, ""]).encode())
    while await sql("select count(*) from transcriptions") != [(CHUNK,)]:
        await asyncio.sleep(0.05)
    outcome = await command.ends(signal.SIGINT)
    assert outcome.code == 130
    assert f"stopped after {CHUNK} savepaths ({CHUNK} queued); run it again to continue" in outcome.err
    outcome = await orchestrator.run("submit", "-", stdin="\n".join(names))
    assert outcome.out == f"{CHUNK + 10} submitted: 10 queued, {CHUNK} known\n"
    assert await sql("select count(*), count(distinct args) from procrastinate_jobs") == [(CHUNK + 10, CHUNK + 10)]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["a.mp4", "--all"], "name at least one savepath"),
        (["--prefix", "a/", "--all"], "name at least one savepath"),
        (["a.mp4", "--dry-run", "--wait"], "--dry-run queues nothing"),
        (["../a.mp4"], "SAVEPATH: must not contain '.' or '..' as a folder"),
        (["a.mp4", "../b.mp4"], "SAVEPATH '../b.mp4': must not contain '.' or '..' as a folder"),
        (["a.mp4", "--option", "colour=red"], "--option colour: there is no such option; there are "),
        (["a.mp4", "--option", "task"], "--option task: write NAME=VALUE"),
        (["a.mp4", "--option", "task=sing"], "task: must be 'transcribe' or 'translate'"),
        (["a.mp4", "--language", "en", "--option", "language=de"], "language is given twice"),
    ],
)
def test_a_wrong_submission_is_exit_code_2_and_a_sentence(arguments, sentence):
    outcome = CliRunner().invoke(cli, ["submit", *arguments])
    assert outcome.exit_code == 2
    assert sentence in outcome.stderr


async def test_every_option_of_the_transcriber_can_be_given_by_name(orchestrator, sql):
    await orchestrator.run(
        "submit", "a.mp4", "--option", "task=translate", "--option", "track=1", "--option", "vad=false",
        "--option", "initial_prompt=5", "--word-timestamps",
    )  # fmt: skip
    assert await sql("select options from transcriptions") == [
        ({"task": "translate", "track": 1, "vad": False, "initial_prompt": "5", "word_timestamps": True},)
    ]


async def test_counts_are_those_of_a_scan_whatever_happens(submissions, submit, store_transcript, sql, counts):
    jobs = await submissions.submit(BUCKET, [f"{number}.mp4" for number in range(50)], Options())
    for number, (job, _) in enumerate(jobs[:20]):
        if number % 3:
            await submissions.cancel([job.id])
    await submissions.retry([job.id for job, _ in jobs])
    await store_transcript("0.mp4", "words", force=True)
    await store_transcript("1.mp4", "words")
    await sql("update transcriptions set progress_seconds = 1")
    await sql("delete from media where savepath = '2.mp4'")
    kept, scanned = await counts()
    assert kept == scanned == {"done": 2, "queued": 47}
    for _ in range(300):  # among which some put the rows together
        await sql("update transcriptions set state = case state when 'queued' then 'running' else 'queued' end"
                  " where state in ('queued', 'running')")  # fmt: skip
    assert await counts() == (kept, scanned)
    [(rows,)] = await sql("select count(*) from state_changes")
    assert rows < 600


async def test_neither_counts_nor_a_submission_wait_for_a_transaction_that_is_open(
    submit, submissions, database_url, counts
):
    job = await submit("talk.mp4")
    async with make_pool(database_url) as others, others.connection() as worker:
        await worker.execute("update transcriptions set state = 'running'")
        submitted = await asyncio.wait_for(submissions.submit(BUCKET, ["talk.mp4", "other.mp4"], Options()), 60)
        assert [outcome for _, outcome in submitted] == ["known", "new"]
        assert await asyncio.wait_for(submissions.cancel([submitted[1].job.id]), 60)
        assert await counts() == ({"cancelled": 1, "queued": 1},) * 2
        await worker.rollback()
    assert job.state == "queued"


async def test_no_query_of_status_reads_all_jobs(pool, submissions, sql):
    await submissions.submit(BUCKET, [f"{number}.mp4" for number in range(3000)], Options())
    await sql("update transcriptions set state = 'running' where id in (1000, 2000, 3000)")
    await sql("analyze")
    async with pool.connection() as connection:
        await connection.execute("set enable_seqscan = off")  # as PostgreSQL decides by itself for more rows
        await connection.execute("set enable_bitmapscan = off")
        before = await rows_read(connection)
        await job_queries.list_jobs(connection, limit=20)
        await job_queries.list_jobs(connection, "queued", after=2000, limit=20)
        await job_queries.list_jobs(connection, "running", limit=20)
        await job_queries.current_jobs(connection, BUCKET, ["17.mp4"])
        await stats.count_by_state(connection)
        assert 40 <= await rows_read(connection) - before < 60


async def rows_read(connection) -> int:
    read = await connection.execute(
        "select seq_tup_read + idx_tup_fetch from pg_stat_xact_user_tables where relname = 'jobs'"
    )
    return (await read.fetchone())[0]
