"""The page of datasets as it is served, what it is made of, and reports, which get no rights."""

import asyncio
import html
import os
from collections.abc import Awaitable, Callable
from pathlib import Path

import httpx
import pytest

from orchestrator.jobs import datasets
from orchestrator.page import datasets as page_module
from reelscribe.contracts.scopes import Scope
from reelscribe.http.access.tokens import Token, Tokens
from tests.orchestrator.page.checks import check_html

Plan = Callable[..., Awaitable[int]]


@pytest.fixture
async def client(serving: Callable[[Tokens], str]):
    async with httpx.AsyncClient(base_url=serving(Tokens()), headers={"Accept": "text/html"}) as client:
        yield client


@pytest.fixture
def plan(pool, sql) -> Plan:
    """Store a plan of shards whose jobs are in these states, the folder's name being that of the test's."""

    async def store(folder: Path, *states: str, error: str | None = None, version: str | None = None) -> int:
        async with pool.connection() as connection:
            dataset = await datasets.insert_dataset(connection, "pairs", str(folder), {}, "hash")
            for number, state in enumerate(states):
                job = await datasets.insert_shard(connection, dataset, number, "all", [{}, {}])
                if state == "done":
                    await datasets.record_shard(connection, dataset, number, 1000, 1, 10, "sha")
                failed = error if state in ("failed", "waiting") else None
                await connection.execute(
                    "update jobs set state = %s, error_code = %s, error_message = %s, finished_at = %s where id = %s",
                    (state, failed and "not_written", failed, "now" if state in ENDED else None, job),
                )
            if version:
                await datasets.finish_dataset(connection, dataset, version)
        return dataset

    return store


ENDED = ("done", "failed", "cancelled")


@pytest.mark.parametrize(
    ("states", "state", "note"),
    [
        (("done", "running"), "building", None),
        (("done", "waiting"), "building", "speech/building is full."),
        (("done", "failed"), "failed", "1 of 2 shards could not be built: speech/building is full. Its make command"),
        (("done", "cancelled"), "cancelled", "It was cancelled; its make command, run again, continues it."),
        (("done", "done"), "built", "All shards are built; its make command, run again, finishes it."),
    ],
)
async def test_a_dataset_says_how_far_it_is_and_what_helps_and_no_path_of_the_server(
    client, plan, tmp_path, states, state, note
) -> None:
    await plan(tmp_path / "speech", *states, error=f"{tmp_path}/speech/building is full")
    answer = await client.get("/api/datasets")
    [found] = answer.json()["datasets"]
    assert (found["name"], found["state"], found["built"]) == ("speech", state, states.count("done"))
    assert (found["recordings"], found["samples"], found["failed"]) == (4, 1000 * found["built"], found["built"])
    assert (found["note"] or "").startswith(note or "") and bool(found["note"]) == bool(note)
    page = (await client.get("/datasets")).text
    assert f'data-state="{state}"' in page and f"{found['built']} of 2<" in page
    assert html.escape(note or "") in page
    assert str(tmp_path) not in answer.text + page


async def test_its_links_lead_through_all_datasets(client, plan, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(page_module, "DATASETS_SHOWN", 2)
    assert "No dataset has been made yet" in (await client.get("/datasets")).text
    for number in range(3):
        await plan(tmp_path / f"number{number}", "running")
    first = (await client.get("/api/datasets?limit=2")).json()
    assert [one["name"] for one in first["datasets"]] == ["number2", "number1"]
    page = (await client.get("/datasets")).text
    assert "number1<" in page and "number0<" not in page
    assert f'href="/datasets?after={first["next"]}"' in page
    last = await client.get(f"/datasets?after={first['next']}")
    assert "number0<" in last.text and "number1<" not in last.text
    assert (await client.get(f"/api/datasets?after={first['next']}")).json()["next"] is None
    assert "<h1>That did not work</h1>" in (await client.get("/datasets?after=x")).text


async def test_a_report_is_served_without_any_rights_and_only_of_a_finished_dataset(client, plan, tmp_path) -> None:
    unfinished = await plan(tmp_path / "unfinished", "running")
    finished = await plan(tmp_path / "finished", "done", version="0123456789abcdef")
    for name in ("unfinished", "finished"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "report.html").write_text("<!doctype html><script>alert(1)</script>" + "x" * 3_000_000)
    address = f"/datasets/{finished}/report"
    assert [one["report_url"] for one in (await client.get("/api/datasets")).json()["datasets"]] == [address, None]
    report = await client.get(address)
    assert report.content == (tmp_path / "finished" / "report.html").read_bytes()
    policy = report.headers["Content-Security-Policy"].split("; ")
    assert "sandbox" in policy and "default-src 'none'" in policy and not any("script" in part for part in policy)
    assert (await client.get(address, headers={"If-None-Match": report.headers["ETag"]})).status_code == 304
    assert (await client.head(address)).headers["Content-Length"] == str(len(report.content))
    for none in (unfinished, finished + 1):
        assert (await client.get(f"/datasets/{none}/report")).status_code == 404


@pytest.mark.parametrize("made", [lambda path: path.symlink_to("/etc/passwd"), os.mkfifo, Path.mkdir, str])
async def test_what_is_not_a_file_in_the_folder_itself_is_no_report(client, plan, tmp_path, made) -> None:
    dataset = await plan(tmp_path, "done", version="0123456789abcdef")
    made(tmp_path / "report.html")
    assert (await client.get(f"/datasets/{dataset}/report")).status_code == 404
    assert (await client.get("/api/datasets")).json()["datasets"][0]["report_url"] is None


async def test_who_may_read_sees_it_and_no_one_else(serving, plan, tmp_path) -> None:
    dataset = await plan(tmp_path, "done", version="0123456789abcdef")
    (tmp_path / "report.html").write_text("what was said")
    paths = ("/datasets", f"/datasets/{dataset}/report", "/api/datasets")
    async with httpx.AsyncClient(base_url=serving(Tokens((Token("secret", "some", Scope.READ),)))) as client:
        for path in paths:
            assert (await client.get(path)).status_code in (303, 401)
            assert (await client.get(path, headers={"Authorization": "Bearer secret"})).status_code == 200


async def test_its_html_is_valid(client, plan, tmp_path) -> None:
    base = str(client.base_url)
    await plan(tmp_path / "<b>", "done", "failed", error="<i> & more")
    await plan(tmp_path / "done", "done", version="0123456789abcdef")
    await asyncio.to_thread(check_html, f"{base}/datasets", f"{base}/datasets?after=1")
