"""The HTTP API over a real server and a real database."""

import json
from collections.abc import AsyncIterator
from io import BytesIO

import httpx
import pytest
from docx import Document

from orchestrator.queue import rules
from orchestrator.transcripts import formats, reader
from orchestrator.transcripts import queries as transcript_queries
from reelscribe.http.access.tokens import Tokens
from reelscribe.text.formats import Format
from tests.contract import assert_head_is_get_without_its_body
from tests.orchestrator.conftest import BUCKET
from tests.orchestrator.contract import CONTRACT


@pytest.fixture
async def api(serving) -> AsyncIterator[httpx.AsyncClient]:
    hooks = {"response": [CONTRACT.check]}
    async with httpx.AsyncClient(base_url=serving(Tokens()), event_hooks=hooks) as client:
        yield client


@pytest.fixture
async def done(submit, working, job_in):
    async def make(savepath: str):
        job = await submit(savepath)
        async with working():
            return await job_in(job.id, "done")

    return make


async def test_what_can_be_read_takes_head_too(api, store_transcript, orchestrator_service):
    job = await store_transcript("a.mp4", "hello", "world")
    queued = (await api.post("/api/jobs", json={"savepath": "b.mp4"})).json()["jobs"][0]
    for url in (
        *("/healthz", "/metrics", "/openapi.json", "/api/jobs", "/api/status", "/api/search?q=hello", "/api/search"),
        *(f"/api/jobs/{job.id}", "/api/jobs/0", f"/api/jobs/{job.id}/events", f"/api/jobs/{queued['id']}/events"),
        *("/api/events", "/api/transcripts/a.mp4", "/api/transcripts/a.mp4?format=srt", "/api/transcripts/none"),
    ):
        await assert_head_is_get_without_its_body(api, url)
    assert not orchestrator_service.feed.followers and not orchestrator_service.running


async def test_one_savepath_is_submitted(api):
    answer = await api.post("/api/jobs", json={"savepath": "talks/one.mp4", "language": "en", "priority": 3})
    [job] = answer.json()["jobs"]
    assert answer.status_code == 202
    assert (job["savepath"], job["bucket"], job["state"], job["priority"]) == ("talks/one.mp4", BUCKET, "queued", 3)
    assert (job["options"], job["outcome"]) == ({"language": "en"}, "new")


async def test_several_savepaths_are_submitted(api):
    answer = await api.post("/api/jobs", json={"savepaths": ["b.mp4", "a.mp4"]})
    assert [job["savepath"] for job in answer.json()["jobs"]] == ["b.mp4", "a.mp4"]


async def test_a_second_submission_is_the_first_one(api):
    first, second = [(await api.post("/api/jobs", json={"savepath": "a.mp4"})).json()["jobs"][0] for _ in range(2)]
    assert (second["id"], second["outcome"]) == (first["id"], "known")


async def test_a_priority_applies_to_a_job_that_waits_already_and_stays_if_none_is_given(api):
    submitted = []
    for priority in ({}, {"priority": 9}, {}):
        answer = await api.post("/api/jobs", json={"savepath": "a.mp4", **priority})
        submitted += [(job["outcome"], job["priority"]) for job in answer.json()["jobs"]]
    assert submitted == [("new", 0), ("known", 9), ("known", 9)]


async def test_force_makes_a_new_job(api):
    first = (await api.post("/api/jobs", json={"savepath": "a.mp4"})).json()["jobs"][0]
    forced = (await api.post("/api/jobs", json={"savepath": "a.mp4", "force": True})).json()["jobs"][0]
    assert forced["id"] != first["id"]


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (b"", "the body is empty"),
        (b"{}", "give either savepath, or savepaths with at least one"),
        (b'{"savepath":"a","savepaths":["b"]}', "give either savepath"),
        (b'{"savepath":""}', "savepath: must not be empty"),
        (b'{"savepath":"a\\u0000b"}', "savepath: must not contain NUL"),
        (b'{"savepath":"a","hotwords":"a\\u0000b"}', "hotwords: a NUL character cannot be stored"),
        (b'{"savepath":"a","bucket_name":"a\\u0000b"}', "is not a bucket name"),
        (b'{"savepath":7}', "savepath: must be text"),
        (b'{"savepath":"a","colour":"red"}', "colour: is not known here; there are "),
        (b'{"savepath":"a","language":"english"}', "language: 'english' is written en here"),
        (b'{"savepath":"a","language":"eng"}', "language: 'eng' is written en here"),
        (b'{"savepath":"a","language":"a\\u0000"}', "is not the code of a language"),
        (b'{"savepath":"a","language":"\\ud800x"}', "is not valid JSON, from line 1"),
        (b'["a"]', "must be an object"),
    ],
)
async def test_a_wrong_body_is_400_with_a_sentence(body, sentence, api):
    answer = await api.post("/api/jobs", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == "bad_request"
    assert sentence in answer.json()["error"]["message"]


@pytest.mark.parametrize("text", ["%00%00", "%ff%ff"])
@pytest.mark.parametrize(
    "path",
    [
        "/api/search?q={}",
        *(f"/api/search?q=horse&{name}={{}}" for name in ("prefix", "language", "since", "after", "bucket_name")),
        *(f"/api/jobs?{name}={{}}" for name in ("state", "after", "limit")),
        *(f"/api/transcripts/a?{name}={{}}" for name in ("format", "timestamps", "bucket_name")),
        "/api/transcripts/{}",
        "/api/transcripts/a{}",
    ],
)
async def test_text_that_cannot_be_stored_is_400(path, text, api):
    answer = await api.get(path.format(text))
    assert (answer.status_code, answer.json()["error"]["retryable"]) == (400, False)


async def test_a_job_is_read_by_its_id(api, submit):
    job = await submit("a.mp4")
    answer = await api.get(f"/api/jobs/{job.id}")
    assert (answer.status_code, answer.json()["savepath"]) == (200, "a.mp4")


async def test_an_unknown_job_is_404(api):
    answer = await api.get("/api/jobs/12345")
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "job_not_found")


async def test_an_id_that_is_no_number_is_no_route(api):
    assert (await api.get("/api/jobs/abc")).json()["error"]["code"] == "route_not_found"


async def test_jobs_are_listed_in_pages_the_newest_first(api, submit):
    ids = [(await submit(f"{number}.mp4")).id for number in range(5)]
    seen, after = [], ""
    while after is not None:
        page = (await api.get(f"/api/jobs?limit=2{after and f'&after={after}'}")).json()
        seen += [job["id"] for job in page["jobs"]]
        after = page["next"]
    assert seen == ids[::-1]


async def test_jobs_are_listed_by_state(api, submit, submissions):
    cancelled, _ = await submit("a.mp4"), await submit("b.mp4")
    await submissions.cancel([cancelled.id])
    page = (await api.get("/api/jobs?state=cancelled")).json()
    assert [job["id"] for job in page["jobs"]] == [cancelled.id]


@pytest.mark.parametrize(
    "query", ["state=asleep", "limit=0", "limit=many", "limit=1001", "after=-1", f"after={'9' * 30}"]
)
async def test_a_wrong_query_is_400(query, api):
    answer = await api.get(f"/api/jobs?{query}")
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "bad_request")


@pytest.mark.parametrize(
    ("format", "content_type", "beginning"),
    [
        ("txt", "text/plain", "sentence 0\n"),
        ("srt", "application/x-subrip", "1\n00:00:01,000 --> 00:00:04,000\nsentence 0\n"),
        ("vtt", "text/vtt", "WEBVTT\n\n00:00:01.000 --> "),
        ("json", "application/json", "{"),
    ],
)
async def test_a_transcript_comes_in_each_format(format, content_type, beginning, api, done):
    await done("talks/one.mp4")
    answer = await api.get(f"/api/transcripts/talks/one.mp4?format={format}")
    assert answer.status_code == 200
    assert answer.headers["Content-Type"].startswith(content_type)
    assert answer.text.startswith(beginning)


async def test_a_json_transcript_carries_segments_and_receipt(api, done):
    await done("one.mp4")
    transcript = (await api.get("/api/transcripts/one.mp4")).json()
    assert transcript["text"].startswith("sentence 0 sentence 1")
    assert transcript["segments"][0]["tokens"] == [0, 1]
    receipt = transcript["receipt"]
    assert (receipt["covered_seconds"], receipt["track"], receipt["track_choice"]) == (30.0, 1, "the default track")
    assert receipt["remarks"]


async def test_a_savepath_may_hold_any_letters(api, done):
    await done("talks/ä b#1?.mp4")
    assert (await api.get("/api/transcripts/talks/%C3%A4%20b%231%3F.mp4?format=txt")).status_code == 200


async def test_an_unknown_savepath_is_404_and_says_what_to_do(api):
    answer = await api.get("/api/transcripts/unknown.mp4")
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "transcript_not_found")
    assert "orchestrator submit unknown.mp4" in answer.json()["error"]["message"]


async def test_an_unfinished_savepath_is_404_and_says_how_far_it_is(api, submit):
    await submit("one.mp4")
    assert "it is queued" in (await api.get("/api/transcripts/one.mp4")).json()["error"]["message"]


async def test_an_unknown_format_is_400_and_lists_those_there_are(api):
    error = (await api.get("/api/transcripts/one.mp4?format=doc")).json()["error"]
    assert (error["code"], error["allowed"]) == ("unsupported_format", list(Format))


async def test_health_shows_the_database_and_the_jobs(api, submit):
    await submit("one.mp4")
    answer = await api.get("/healthz")
    assert answer.json() == {
        "machine": "orchestrator",
        "status": "ok",
        "problems": [],
        "warnings": [],
        "database": "ok",
        "jobs": {"queued": 1},
    }


async def test_health_is_503_without_the_database(api, pool):
    await pool.close()
    answer = await api.get("/healthz")
    assert (answer.status_code, answer.json()["database"]) == (503, "unreachable")


async def test_a_lost_database_is_503_with_a_sentence(api, pool):
    await pool.close()
    answer = await api.get("/api/jobs")
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "database_unavailable")


async def test_the_token_is_asked_for_everywhere_but_at_health(serving):
    async with httpx.AsyncClient(base_url=serving(Tokens(("secret",)))) as client:
        refused = [(await client.get(path)).status_code for path in ("/api/jobs", "/api/jobs/1", "/api/transcripts/a")]
        assert refused == [401, 401, 401]
        assert (await client.post("/api/jobs", json={"savepath": "a"})).status_code == 401
        assert (await client.get("/healthz")).status_code == 200
        assert (await client.get("/api/jobs", headers={"Authorization": "Bearer secret"})).status_code == 200


async def test_a_job_is_cancelled_and_retried(api, submit):
    job = await submit("a.mp4")
    cancelled = (await api.post(f"/api/jobs/{job.id}/cancel")).json()
    assert (cancelled["state"], cancelled["changed"]) == ("cancelled", True)
    retried = (await api.post(f"/api/jobs/{job.id}/retry")).json()
    assert (retried["state"], retried["changed"]) == ("queued", True)


async def test_what_is_done_is_not_changed_by_cancel_and_retry(api, store_transcript):
    job = await store_transcript("a.mp4", "hello")
    for verb in ("cancel", "retry"):
        answer = (await api.post(f"/api/jobs/{job.id}/{verb}")).json()
        assert (answer["state"], answer["changed"]) == ("done", False)


@pytest.mark.parametrize("verb", ["cancel", "retry"])
async def test_an_unknown_job_is_neither_cancelled_nor_retried(verb, api):
    assert (await api.post(f"/api/jobs/12345/{verb}")).json()["error"]["code"] == "job_not_found"


async def test_status_shows_totals_audio_and_workers(api, submit, store_transcript):
    await store_transcript("done.mp4", "one", "two")
    await submit("one.mp4")
    answer = (await api.get("/api/status")).json()
    assert answer.pop("speed") > 0
    assert 0 <= answer.pop("oldest_seconds") < 60
    assert answer == {
        "eta_seconds": None,  # no worker is there
        "no_transcriber": None,
        "paused": {"jobs": 0, "seconds": 0.0},
        "buckets_away": {},
        "totals": {"queued": 1, "done": 1},
        "states": {"queued": {"jobs": 1, "seconds": 8.0}, "done": {"jobs": 1, "seconds": 8.0}},
        "done_seconds": 8.0,
        "left_seconds": 8.0,
        "rules": [],
        "workers": 0,
        "results": None,
    }


async def test_status_shows_what_the_queue_is_blocked_by_as_the_command_does(api, pool, orchestrator):
    async with pool.connection() as connection:
        await rules.pause(connection, "archive/", "ann@host-a")
        await rules.limit(connection, "talks/", 2)
    blocked_by = (await api.get("/api/status")).json()["rules"]
    assert [(rule["prefix"], rule["paused_by"], rule["max_running"]) for rule in blocked_by] == [
        ("archive/", "ann@host-a", None),
        ("talks/", None, 2),
    ]
    shown = json.loads((await orchestrator.run("status", "--json")).out)["rules"]
    assert [{**rule, "paused_at": None} for rule in blocked_by] == [{**rule, "paused_at": None} for rule in shown]


def written(content: bytes) -> bytes | list[str]:
    """The paragraphs of a Word document, whose bytes hold the time of its making; else the content."""
    if not content.startswith(b"PK"):
        return content
    return [paragraph.text for paragraph in Document(BytesIO(content)).paragraphs]


@pytest.mark.parametrize("format", Format)
async def test_a_transcript_in_parts_is_the_complete_one(format, api, store_transcript, pool, monkeypatch):
    monkeypatch.setattr(reader, "SEGMENTS_PER_READ", 2)
    await store_transcript(
        "a.mp4", "one", "two <2>", "drei ä", "a rather long sentence that needs two lines " * 3, "five"
    )
    async with pool.connection() as connection:
        complete = await transcript_queries.transcript(connection, BUCKET, "a.mp4")
    answer = await api.get(f"/api/transcripts/a.mp4?format={format}")
    assert written(answer.content) == written(formats.render(complete, format))


async def test_a_transcript_without_words_is_complete_too(api, store_transcript):
    await store_transcript("a.mp4")
    assert (await api.get("/api/transcripts/a.mp4")).json()["segments"] == []


async def test_a_transcript_that_is_removed_meanwhile_is_cut(api, store_transcript, sql, monkeypatch):
    monkeypatch.setattr(reader, "SEGMENTS_PER_READ", 1)
    job = await store_transcript("a.mp4", *["x" * 200_000] * 60)
    with pytest.raises(httpx.RemoteProtocolError):
        async with api.stream("GET", "/api/transcripts/a.mp4?format=txt") as response:
            await sql("delete from transcriptions where id = %s", job.id)
            await response.aread()


async def test_an_unchanged_transcript_is_not_sent_again(api, store_transcript):
    await store_transcript("a.mp4", "hello")
    first = await api.get("/api/transcripts/a.mp4")
    tag = {"If-None-Match": first.headers["ETag"]}
    assert (await api.get("/api/transcripts/a.mp4", headers=tag)).status_code == 304
    await store_transcript("a.mp4", "hello again", force=True)
    assert (await api.get("/api/transcripts/a.mp4", headers=tag)).status_code == 200
