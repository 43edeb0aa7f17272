"""verify finds whatever a whole transcript would not have."""

import pytest

from orchestrator.transcripts import queries as transcript_queries
from orchestrator.transcripts.verify import evidence, findings
from reelscribe.contracts.events import Progress
from tests.orchestrator.conftest import BUCKET
from tests.orchestrator.scripted import (
    LONG,
    breaks_off_after,
    breaks_off_at_the_end,
    fails,
    finished,
    started,
    transcribes,
)


@pytest.fixture
def found(pool):
    async def verify(*savepaths: str):
        checked = [of async for some in evidence(pool, BUCKET, savepaths or None) for of in some]
        return [(finding.savepath, finding.code) for of in checked for finding in findings(of)]

    return verify


async def test_a_transcript_as_it_was_stored_is_intact(store_transcript, found):
    await store_transcript("talk.mp4", "one", "two", "three")
    assert await found() == []


async def test_a_transcript_of_several_parts_is_intact(submit, working, job_in, transcriber, found):
    transcriber.scripts = [breaks_off_after(1), breaks_off_after(2), transcribes()]
    async with working():
        await job_in((await submit()).id, "done")
    assert await found() == []


@pytest.fixture
async def in_two_parts(submit, working, job_in, transcriber):
    """A transcript of two parts, of which the second is silent."""

    async def transcribes_nothing(b):
        await b.tell(started(LONG), Progress(seconds=LONG), finished(LONG - b.start))

    transcriber.scripts = [breaks_off_after(2), transcribes_nothing]
    async with working():
        return await job_in((await submit()).id, "done")


@pytest.mark.parametrize(("lost", "left"), [("index >= 2", 2), ("true", 0)])
async def test_segments_of_an_earlier_part_that_are_lost_are_found(lost, left, in_two_parts, found, sql):
    assert await found() == []
    await sql(f"delete from segments where {lost}")
    assert await sql("select count(*) from segments") == [(left,)]
    assert await found() == [("talk.mp4", "segments_lost")]


async def test_parts_that_were_stored_before_segments_were_counted_are_no_finding(in_two_parts, found, sql):
    await sql("update attempts set segments = null where sha256 is null")
    assert await found() == []


async def test_what_is_transcribed_again_after_a_step_back_is_counted_once(submit, working, job_in, transcriber, found):
    transcriber.scripts = [breaks_off_at_the_end, fails("past_the_end", "there is no more", False), transcribes()]
    async with working():
        await job_in((await submit()).id, "done")
    assert [request.get("start", 0) for request in transcriber.requests] == [0, LONG, 20.0]
    assert await found() == []


async def test_an_attempt_that_brought_nothing_is_no_part(submit, working, job_in, transcriber, pool, found):
    async def is_cut_immediately(b):
        await b.tell(started(LONG, "etag of before"))
        b.detach().close()

    transcriber.scripts = [is_cut_immediately, transcribes()]
    async with working():
        job = await job_in((await submit()).id, "done")
    assert await found() == []
    async with pool.connection() as connection:
        receipt = (await transcript_queries.about_transcript(connection, job)).receipt
    assert (receipt.sha256, receipt.samples, len(receipt.parts)) == ("5" * 64, LONG * 16_000, 1)


async def test_a_transcript_without_a_word_is_intact(store_transcript, found):
    await store_transcript("talk.mp4")
    assert await found() == []


async def test_an_incomplete_transcript_that_says_so_is_no_finding(store_transcript, found, sql):
    await store_transcript("talk.mp4", "one", incomplete="4 of 60 s came out")
    await sql("update attempts set declared_seconds = 60")
    assert await found() == []


DAMAGES = {
    "segments_missing": "delete from segments where index = 1",
    "segments_disordered": "update segments set start_seconds = 0, end_seconds = 1 where index = 2",
    "outside": "update segments set end_seconds = 13 where index = 2",
    "parts_apart": "update attempts set start_seconds = 1",
    "objects_mixed": """
        insert into attempts (transcription_id, attempt, transcriber_url, start_seconds, covered_seconds, etag)
        select transcription_id, 0, 'http://b', 0, 1, 'other' from attempts
    """,
    "receipt_missing": "delete from attempts",
    "sha256_missing": "update attempts set sha256 = null",
    "incomplete": "update attempts set declared_seconds = 60",
    "samples_differ": "update attempts set samples = samples - 1600",
    "not_heard": "update attempts set covered_seconds = 10",
    "progress_differs": "update transcriptions set progress_seconds = 13",
    "segments_lost": "update attempts set segments = 4",
}


@pytest.mark.parametrize("code", DAMAGES)
async def test_each_damage_is_found(code, store_transcript, found, sql):
    await store_transcript("intact.mp4", "one", "two", "three")
    await store_transcript("talk.mp4", "one", "two", "three")
    where = "transcription_id = (select max(id) from transcriptions)"
    damage = DAMAGES[code].replace("update transcriptions", "update transcriptions t").strip()
    if "transcriptions t" in damage:
        damage += " where id = (select max(id) from transcriptions)"
    else:
        damage += f" {'and' if 'where' in damage else 'where'} {where}"
    await sql(damage)
    assert ("talk.mp4", code) in await found()
    assert all(savepath == "talk.mp4" for savepath, _ in await found())


async def test_savepaths_narrow_it(store_transcript, found, sql):
    await store_transcript("talk.mp4", "one")
    await store_transcript("other.mp4", "one")
    await sql("update attempts set sha256 = null")
    assert await found("other.mp4") == [("other.mp4", "sha256_missing")]


async def test_a_cut_part_must_end_where_the_next_begins(submit, working, job_in, transcriber, found, sql):
    transcriber.scripts = [breaks_off_after(1), transcribes()]
    async with working():
        await job_in((await submit()).id, "done")
    await sql("update attempts set covered_seconds = 9 where sha256 is null")
    assert await found() == [("talk.mp4", "parts_apart")]


async def test_a_transcript_is_verified_until_the_one_that_replaces_it_is_done(store_transcript, submit, found, sql):
    await store_transcript("talk.mp4", "one")
    await sql("update attempts set sha256 = null")
    await submit("talk.mp4", force=True)
    assert await found() == await found("talk.mp4") == [("talk.mp4", "sha256_missing")]
    await store_transcript("talk.mp4", "one", force=True)
    assert await found() == []


async def test_verify_prints_a_line_for_each_finding_and_is_exit_code_1(orchestrator, store_transcript, sql):
    await store_transcript("talk.mp4", "one")
    assert (await orchestrator.run("verify", "--all")).out == "1 transcript verified; 0 wrong\n"
    await sql("update attempts set sha256 = null")
    outcome = await orchestrator.run("verify", "talk.mp4")
    assert outcome.code == 1
    assert outcome.out == (
        "talk.mp4: the receipt has no SHA-256 of the audio; have it made again: orchestrator submit --force talk.mp4\n"
        "1 transcript verified; 1 wrong\n"
    )


async def test_verify_of_what_has_no_transcript_is_exit_code_1(orchestrator, submit):
    await submit("talk.mp4")
    outcome = await orchestrator.run("verify", "talk.mp4")
    assert (outcome.code, outcome.err) == (1, "talk.mp4 has no transcript yet: it is queued\n")
