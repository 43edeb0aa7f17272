"""What is stored of an attempt does not depend on which events have arrived together."""

import pytest

from orchestrator.errors import Superseded
from orchestrator.exports.deletion import Deletions
from orchestrator.jobs import transitions
from orchestrator.worker.progress import Beginning, TranscriptionProgress
from reelscribe.settings.shared import MinioSection
from tests.orchestrator.conftest import BUCKET
from tests.orchestrator.scripted import finished, started, window

URL = "http://transcriber"
STORED = """
    select to_jsonb(j) - '{id,media_id,queue_job,created_at,started_at,finished_at}'::text[]
        - '{previous_seconds,furthest_seconds}'::text[],
        to_jsonb(a) - '{transcription_id,started_at,ended_at}'::text[], a.ended_at is not null,
        (select jsonb_agg(to_jsonb(s) - 'transcription_id') from segments s where transcription_id = j.id)
    from jobs j join attempts a on a.transcription_id = j.id order by j.id
"""


@pytest.fixture
def progress(pool, queue) -> TranscriptionProgress:
    return TranscriptionProgress(pool, queue)


@pytest.fixture
def begun(pool, submit, sql):
    async def begun(savepath: str):
        job = await submit(savepath)
        [(queue_job,)] = await sql("select queue_job from jobs where id = %s", job.id)
        async with pool.connection() as connection:
            return await transitions.begin(connection, queue_job, job.id)

    return begun


async def test_one_write_stores_what_three_do(progress, begun, sql):
    *segments, reached = window(0)
    slow = await begun("slow.mp4")
    await progress.start(slow, URL, started(10))
    await progress.store(slow, segments, reached.seconds)
    await progress.finish(slow, [], finished(10, segments=2))
    fast = await begun("fast.mp4")
    await progress.finish(fast, segments, finished(10, segments=2), Beginning(URL, started(10)))
    first, second = await sql(STORED)
    assert first == second
    assert first[0]["state"] == "done" and len(first[3]) == 2


async def test_a_beginning_is_stored_with_the_first_segments(progress, begun, sql):
    *segments, reached = window(0)
    for savepath, together in (("slow.mp4", False), ("fast.mp4", True)):
        attempt = await begun(savepath)
        if not together:
            await progress.start(attempt, URL, started(20))
        beginning = Beginning(URL, started(20)) if together else None
        await progress.store(attempt, segments, reached.seconds, None, beginning)
    first, second = await sql(STORED)
    assert first == second
    assert first[0]["state"] == "running" and first[1]["segments"] == 2


@pytest.mark.parametrize("together", [False, True])
async def test_an_object_that_is_read_exists_again(progress, begun, sql, together):
    attempt = await begun("talk.mp4")
    await sql("update media set removed_at = now()")
    if not together:
        await progress.start(attempt, URL, started(10))
    await progress.finish(attempt, [], finished(10), Beginning(URL, started(10)) if together else None)
    assert await sql("select removed_at from media") == [(None,)]


@pytest.mark.parametrize("together", [False, True])
async def test_the_end_of_what_was_forgotten_meanwhile_is_rejected_as_any_other_write(
    progress, begun, pool, queue, sql, together
):
    attempt = await begun("talk.mp4")
    if not together:
        await progress.start(attempt, URL, started(10))
    await Deletions(pool, queue, MinioSection()).delete(BUCKET, ["talk.mp4"])
    with pytest.raises(Superseded):
        await progress.finish(attempt, [], finished(10), Beginning(URL, started(10)) if together else None)
    assert await sql("select count(*) from attempts") == [(0,)]
