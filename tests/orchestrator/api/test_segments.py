"""The segments of a recording page by page, also while its job runs."""

from collections.abc import AsyncIterator

import httpx
import pytest

from orchestrator.jobs import queries as job_queries
from orchestrator.jobs import transitions
from orchestrator.transcripts import queries as transcript_queries
from orchestrator.worker.progress import TranscriptionProgress
from reelscribe.http.access.tokens import Tokens
from tests.orchestrator.contract import CONTRACT
from tests.orchestrator.scripted import segment, started


@pytest.fixture
async def api(serving) -> AsyncIterator[httpx.AsyncClient]:
    hooks = {"response": [CONTRACT.check]}
    async with httpx.AsyncClient(base_url=serving(Tokens()), event_hooks=hooks) as client:
        yield client


def texts(page: httpx.Response) -> list[str]:
    return [segment["text"] for segment in page.json()["segments"]]


async def test_all_segments_come_in_pages_and_the_savepath_may_end_like_the_route(api, store_transcript):
    job = await store_transcript("talks/segments", *"abcde")
    url, pages, after = "/api/transcripts/talks%2Fsegments/segments", [], -1
    while after is not None:
        page = await api.get(url, params={"after": after, "limit": 2})
        pages.append(texts(page))
        after = page.json()["next"]
    assert pages == [["a", "b"], ["c", "d"], ["e"]]
    assert (page.json()["job"]["id"], page.json()["job"]["complete"]) == (job.id, True)
    assert (await api.get("/api/transcripts/talks%2Fsegments?format=txt")).text == "a\nb\nc\nd\ne\n"


async def test_a_job_that_runs_shows_what_is_stored_of_it(api, pool, queue, submit, sql):
    job = await submit("a.mp4")
    [(queue_job,)] = await sql("select queue_job from transcriptions where id = %s", job.id)
    page = await api.get("/api/transcripts/a.mp4/segments")
    assert (page.json()["job"]["state"], page.json()["segments"], page.json()["next"]) == ("queued", [], None)
    async with pool.connection() as connection:
        attempt = await transitions.begin(connection, queue_job, job.id)
    assert attempt
    progress = TranscriptionProgress(pool, queue)
    await progress.start(attempt, "http://transcriber", started(20))
    for index in range(2):
        await progress.store(attempt, [segment(10 * index, 10 * index + 5, f"word {index}")], 10 * index + 10)
        page = await api.get("/api/transcripts/a.mp4/segments", params={"after": index - 1})
        assert (texts(page), page.json()["job"]["progress_seconds"]) == ([f"word {index}"], 10 * index + 10)


async def test_a_transcript_is_shown_until_its_new_version_is_done_and_each_can_be_asked_for(
    api, submit, store_transcript
):
    old = await store_transcript("a.mp4", "old")
    new = await submit("a.mp4", force=True)
    other = await store_transcript("b.mp4", "other")
    asked = {id: await api.get("/api/transcripts/a.mp4/segments", params=id and {"job": id}) for id in (None, new.id)}
    assert [(texts(page), page.json()["job"]["id"]) for page in asked.values()] == [(["old"], old.id), ([], new.id)]
    for url in ("a.mp4/segments?job=999999", f"a.mp4/segments?job={other.id}", "none.mp4/segments"):
        missing = await api.get(f"/api/transcripts/{url}")
        assert (missing.status_code, missing.json()["error"]["code"]) == (404, "transcript_not_found")


async def test_lines_are_what_a_reader_sees_of_the_segments(pool, store_transcript):
    job = await store_transcript("a.mp4", *"abc")
    async with pool.connection() as connection:
        [stored] = await job_queries.jobs_by_id(connection, [job.id])
        segments = await transcript_queries.segments(connection, stored.id, 0)
        lines = await transcript_queries.lines(connection, stored.id, 1, 10)
    assert [(line.index, line.start, line.end, line.text) for line in lines] == [
        (segment.index, segment.start, segment.end, segment.text) for segment in segments
    ]
    assert len(lines) == 2
