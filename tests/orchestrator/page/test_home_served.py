"""Home as it is served: complete without scripts, for people who may do more or less."""

import re
from collections.abc import Callable

import httpx
import pytest

from orchestrator.api.handlers import OrchestratorService
from orchestrator.intake.uploads import Uploads
from orchestrator.jobs.models import Options
from orchestrator.page import home
from reelscribe.contracts.scopes import Scope
from reelscribe.http.access.tokens import Token, Tokens
from reelscribe.settings.loading import Settings
from tests.orchestrator.conftest import BUCKET
from tests.s3_server import minio


@pytest.fixture
async def client(serving: Callable[[Tokens], str]):
    async with httpx.AsyncClient(base_url=serving(Tokens())) as client:
        yield client


def savepaths(page: httpx.Response) -> list[str]:
    table = page.text.partition('<tbody id="jobs">')[2].partition("</tbody>")[0]
    return re.findall(r'data-field="savepath"[^>]*>([^<]*)</a>', table)


async def test_without_scripts_its_links_and_its_form_lead_through_all_jobs(client, submissions, monkeypatch) -> None:
    monkeypatch.setattr(home, "JOBS_SHOWN", 3)
    assert "There are no jobs yet" in (await client.get("/")).text
    await submissions.submit(BUCKET, [f"talks/{number}.mp4" for number in range(5)], Options())
    first = await client.get("/")
    assert savepaths(first) == ["talks/4.mp4", "talks/3.mp4", "talks/2.mp4"]
    [older] = re.findall(r'id="older" class="button plain" href="([^"]*)">', first.text)
    second = await client.get(older)
    assert savepaths(second) == ["talks/1.mp4", "talks/0.mp4"]
    assert 'id="newest" class="button plain" href="/">' in second.text
    assert savepaths(await client.get("/?state=&prefix=talks/&text=/3")) == ["talks/3.mp4"]
    assert "No job matches" in (await client.get("/?state=failed")).text


async def test_its_figures_are_those_of_the_queue(client, submissions, store_transcript) -> None:
    await store_transcript("done.mp4", "one", "two")
    await submissions.submit(BUCKET, ["waiting.mp4"], Options())
    await client.put("/api/pauses", json={"prefix": "<b>"})
    page = (await client.get("/")).text
    figures = dict(re.findall(r'data-figure="(\w+)">([^<]*)<', page))
    assert (figures["done"], figures["waiting"], figures["running"], figures["failed"]) == ("1", "1", "0", "0")
    assert figures["oldest"].endswith(" s") and figures["left"] == home.NONE
    assert "No worker is running" in page and "&lt;b&gt; is paused since" in page


async def test_no_time_is_left_of_what_is_paused(client, submissions, store_transcript, sql) -> None:
    await store_transcript("done.mp4", "one", "two")
    await submissions.submit(BUCKET, ["waiting.mp4"], Options())
    await sql("insert into procrastinate_workers default values")
    assert f'data-figure="left">{home.NONE}<' not in (await client.get("/")).text
    await client.put("/api/pauses", json={"prefix": ""})
    page = (await client.get("/")).text
    assert f'data-figure="left">{home.NONE}<' in page and "All that waits is paused." in page


async def test_a_filter_that_is_wrong_is_a_page_that_says_so(client) -> None:
    answer = await client.get("/?state=asleep")
    assert answer.status_code == 400 and "state" in answer.text and "<h1>That did not work</h1>" in answer.text
    assert (await client.get("/?after=x")).status_code == 400


async def test_it_says_that_the_database_is_away(client, orchestrator_service: OrchestratorService) -> None:
    await orchestrator_service.pool.close()
    answer = await client.get("/")
    assert answer.status_code == 503
    assert "the database does not answer" in answer.text and "Try again" in answer.text


@pytest.mark.parametrize(
    ("scope", "submits", "pauses"), [(Scope.READ, False, False), (Scope.SUBMIT, True, False), (Scope.ADMIN, True, True)]
)
async def test_who_may_only_look_sees_no_forms_and_no_buttons(serving, submissions, scope, submits, pauses) -> None:
    await submissions.submit(BUCKET, ["talk.mp4"], Options())
    tokens = Tokens((Token("secret", "some", scope),))
    async with httpx.AsyncClient(base_url=serving(tokens), headers={"Authorization": "Bearer secret"}) as client:
        page = (await client.get("/")).text
    assert ("talk.mp4" in page, 'id="submit"' in page, "data-action" in page, 'id="pause"' in page) == (
        True,
        submits,
        submits,
        pauses,
    )


async def test_files_can_be_uploaded_if_the_bucket_can_be_written_and_only_then_may_scripts_reach_minio(
    client, orchestrator_service: OrchestratorService, tmp_path
) -> None:
    assert 'id="upload"' not in (await client.get("/")).text
    (tmp_path / "minio" / BUCKET).mkdir(parents=True)
    here = await client.get("/")
    assert ('id="upload"' in here.text, "connect-src 'self';" in here.headers["Content-Security-Policy"]) == (
        True,
        True,
    )
    (tmp_path / "minio" / ".minio.sys").mkdir()
    assert 'id="upload"' not in (await client.get("/")).text
    section = minio(tmp_path, 9, public_endpoint="https://minio.example.com")
    service = orchestrator_service
    service.uploads = Uploads(Settings(minio=section), service.pool, service.submissions)
    straight = await client.get("/")
    assert 'id="upload"' in straight.text
    assert "connect-src 'self' https://minio.example.com;" in straight.headers["Content-Security-Policy"]
    assert "minio.example.com" not in (await client.get("/search")).headers["Content-Security-Policy"]
