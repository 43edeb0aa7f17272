"""What is wrong with a database is found, and repaired or named with what to do."""

import json

import psycopg
import pytest

from tests.orchestrator.commands import InProcess

DAMAGES = {
    "indexes": (
        "update pg_index set indisvalid = false where indexrelid = 'segments_search'::regclass",
        "segments_search is invalid; orchestrator database check --repair",
    ),
    "references": (
        """
        set session_replication_role = replica;
        insert into peaks (media_id, etag, seconds, low, high) values (4711, 'x', 1, '', '')
        """,
        "1 rows of peaks refer to rows of media that are gone; make a backup, then remove them: "
        "orchestrator database check --repair",
    ),
    "totals": (
        "insert into state_changes values ('transcribe', 'done', 5, 5, 20)",
        "1 numbers of jobs by state are wrong; orchestrator database check --repair",
    ),
}


@pytest.mark.parametrize("subject", DAMAGES)
async def test_what_is_damaged_is_found_and_repaired(subject, store_transcript, database_url, commands: InProcess):
    await store_transcript("talk.mp4", "A very happy horse.")
    well = await commands.run("database", "check")
    assert (well.code, well.out.count("ok  ")) == (0, 7)
    damage, sentence = DAMAGES[subject]
    with psycopg.connect(database_url) as connection:
        connection.execute(damage)
    found = await commands.run("database", "check")
    assert found.code == 1
    assert [line for line in found.out.splitlines() if "FAIL" in line] == [f"FAIL {subject}: {sentence}"]
    repaired = await commands.run("database", "check", "--repair", "--json")
    assert repaired.code == 0
    assert all(finding["ok"] for finding in json.loads(repaired.out))
    with psycopg.connect(database_url) as connection:
        assert connection.execute("select count(*) from segments").fetchone() == (1,)


async def test_a_job_that_no_worker_will_ever_take_is_named_and_the_fix_helps(submit, sql, commands: InProcess):
    await submit("lost.mp4")
    await sql("delete from procrastinate_jobs")
    found = await commands.run("database", "check")
    assert found.code == 1
    assert (
        "FAIL queue: 'lost.mp4' is queued, and no worker will ever take it; orchestrator cancel SAVEPATH" in found.out
    )
    assert (await commands.run("cancel", "lost.mp4")).code == 0
    assert (await commands.run("retry", "lost.mp4")).code == 0
    assert (await commands.run("database", "check")).code == 0


async def test_a_repair_that_fails_has_changed_nothing_as_it_says(store_transcript, database_url, commands: InProcess):
    await store_transcript("talk.mp4", "A very happy horse.")
    with psycopg.connect(database_url) as connection:
        for subject in ("references", "totals"):
            connection.execute(DAMAGES[subject][0])
        connection.execute(
            """
            create function refuse() returns trigger language plpgsql as $$ begin raise 'the disk is full'; end $$;
            create trigger refuse before delete on state_changes for each row execute function refuse();
            """
        )
    failed = await commands.run("database", "check", "--repair")
    assert failed.code == 1 and "the disk is full" in failed.err and "nothing was changed" in failed.err
    with psycopg.connect(database_url) as connection:
        assert connection.execute("select count(*) from peaks").fetchone() == (1,)
