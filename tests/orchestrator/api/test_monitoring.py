"""``/metrics`` and ``/healthz`` of the orchestrator: what an operator sees of the queue."""

import re

import httpx
import pytest

from orchestrator.api import metrics
from orchestrator.exports.deletion import Deletions
from orchestrator.intake.bucket import Objects
from orchestrator.jobs import stats
from orchestrator.services.run import make_service
from orchestrator.session import Session
from orchestrator.worker.transcriber_choice import TranscriberState
from reelscribe.errors import ObjectNotFound
from reelscribe.http.access.allowed_hosts import AllowedHosts
from reelscribe.http.access.tokens import Tokens
from reelscribe.settings.loading import Settings
from reelscribe.settings.orchestrator import OrchestratorSection
from reelscribe.settings.shared import MinioSection
from tests.orchestrator.conftest import BUCKET


@pytest.fixture
async def api(serving):
    async with httpx.AsyncClient(base_url=serving(Tokens())) as client:
        yield client


async def samples(api: httpx.AsyncClient) -> dict[str, float]:
    lines = (await api.get("/metrics")).text.splitlines()
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines if line[0] != "#")}


async def test_the_queue_is_in_the_metrics(api, store_transcript, submit, sql, monkeypatch):
    monkeypatch.setattr(metrics, "FRESH_SECONDS", 0.0)
    await store_transcript("a.mp4", "hello", "world")
    old = await submit("b.mp4")
    await submit("c.mp4")
    await sql("update jobs set created_at = now() - interval '1 hour' where id = %s", old.id)
    failed = await submit("d.mp4")
    await sql(
        "update jobs set state = 'failed', finished_at = now(), error_code = %s, error_message = 'x' where id = %s",
        ObjectNotFound.code,
        failed.id,
    )
    found = await samples(api)
    for state, jobs in {"queued": 2, "running": 0, "waiting": 0, "done": 1, "failed": 1, "cancelled": 0}.items():
        assert found[f'reelscribe_jobs{{state="{state}"}}'] == jobs
    assert found['reelscribe_failed_jobs{code="object_not_found"}'] == 1
    assert 3600 <= found["reelscribe_oldest_waiting_job_seconds"] < 3700
    assert found["reelscribe_transcript_seconds"] == 8
    assert found["reelscribe_workers"] == 0
    assert found["reelscribe_database_up"] == 1


async def test_figures_are_read_once_in_a_while(api, submit, monkeypatch):
    before = await samples(api)
    await submit("a.mp4")
    assert (await samples(api))['reelscribe_jobs{state="queued"}'] == before['reelscribe_jobs{state="queued"}'] == 0


async def test_no_figure_needs_a_scan_of_all_jobs(pool, sql):
    await sql("insert into media (bucket, savepath) select 'videos', n::text from generate_series(1, 30000) n")
    await sql(
        """
        insert into jobs (kind, media_id, state, finished_at, error_code, error_message)
        select 'transcribe', id, case when id %% 2 = 0 then 'failed' else 'queued' end,
            case when id %% 2 = 0 then now() end, 'busy', 'x' from media
        """
    )
    await sql("analyze jobs")
    count = "select coalesce(sum(seq_scan), 0) from pg_stat_xact_user_tables where relname = 'jobs'"
    async with pool.connection() as connection:
        figures = await stats.queue_figures(connection)
        assert await (await connection.execute(count)).fetchone() == (0,)
    assert figures.failed == {"busy": 10_000}


async def test_each_process_has_its_version_and_its_memory_and_no_times_of_creation(api):
    text = (await api.get("/metrics")).text
    assert re.search(r'^reelscribe_build_info{.*service="orchestrator",version="\d.*} 1.0$', text, re.MULTILINE)
    assert "process_resident_memory_bytes " in text and "process_cpu_seconds_total " in text
    assert "_created" not in text


async def test_without_transcribers_the_service_is_degraded(api, orchestrator_service):
    def states(up: bool, *problems: str):
        return lambda: [TranscriberState("http://b:8889", up, problems, 4, 4, 0)]

    for known, status, problems in (
        (states(True), "ok", []),
        (states(False, "http://b:8889 does not answer"), "degraded", ["no transcriber answers"]),
        (states(True, "the extractor is away"), "degraded", ["no transcriber can work: the extractor is away"]),
    ):
        orchestrator_service.transcribers = known
        health = await api.get("/healthz")
        assert (health.status_code, health.json()["status"], health.json()["problems"]) == (200, status, problems)


async def test_an_extractor_that_does_not_answer_is_a_problem_without_its_address(pool, queue, submissions, free_port):
    away = Objects(f"http://127.0.0.1:{free_port}", Tokens(), BUCKET)
    session = Session(Settings(), pool, queue, away, submissions, Deletions(pool, queue, MinioSection()), Tokens())
    problem = "the extractor does not answer: submissions cannot be compared with the bucket"
    assert await make_service(session).problems() == [problem]


async def test_public_url_makes_links_that_lead_through_the_proxy(api, orchestrator_service, store_transcript):
    await store_transcript("a.mp4", "hello")
    assert "servers" not in (await api.get("/openapi.json")).json()
    orchestrator_service.public_url = "https://reelscribe.example.com/queue"
    assert (await api.get("/openapi.json")).json()["servers"] == [{"url": "https://reelscribe.example.com/queue"}]
    [hit] = (await api.get("/api/search?q=hello")).json()["hits"]
    assert hit["link"] == "https://reelscribe.example.com/queue/media/a.mp4#t=0.0"
    section = OrchestratorSection(public_url="https://reelscribe.example.com/queue/")
    assert section.base_url == "https://reelscribe.example.com/queue"
    AllowedHosts.of("orchestrator", section).check("reelscribe.example.com", "https://reelscribe.example.com")
