"""Recordings that are gone or forgotten are found among very many."""

from orchestrator.jobs import deletion, removed_objects
from tests.orchestrator.conftest import BUCKET

NO_SCAN = "set local enable_seqscan = off"
"""Then there is one only if no index serves: at this size, the planner may find either cheaper."""
SCANS = "select coalesce(sum(seq_scan), 0)::int from pg_stat_xact_user_tables where relname = %s"


async def test_neither_what_is_gone_nor_what_is_forgotten_needs_a_scan(pool, sql):
    await sql("insert into media (bucket, savepath) select %s, n || '/a.mp4' from generate_series(1, 30000) n", BUCKET)
    await sql("insert into jobs (kind, media_id, state) select 'transcribe', id, 'queued' from media")
    await sql("analyze jobs, media")
    async with pool.connection() as connection:
        await connection.execute(NO_SCAN)
        reported = ["7", "8/a.mp4", "9/a", "10/"]
        assert sorted(await removed_objects.known_at(connection, BUCKET, reported)) == ["7/a.mp4", "8/a.mp4"]
        assert await (await connection.execute(SCANS, ("media",))).fetchone() == (0,)
    async with pool.connection() as connection:
        await connection.execute(NO_SCAN)
        ids = list((await deletion.recordings(connection, BUCKET, None, "12", 50)).values())
        assert await deletion.lock(connection, ids) is not None
        assert (await deletion.remove(connection, ids)).jobs == 50
        assert await (await connection.execute(SCANS, ("jobs",))).fetchone() == (0,)
