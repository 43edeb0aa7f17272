"""The shell of all pages: static files, headers that keep a page safe, and errors that people read."""

import hashlib
from collections.abc import Callable

import httpx
import pytest

from orchestrator.page.handler import CONTENT_SECURITY_POLICY
from orchestrator.page.static_files import FOLDER, STATIC_FILES, address
from reelscribe.http.access.tokens import Tokens


@pytest.fixture
async def client(serving: Callable[[Tokens], str]):
    async with httpx.AsyncClient(base_url=serving(Tokens())) as client:
        yield client


async def test_every_answer_of_a_page_has_the_headers_that_keep_it_safe(client: httpx.AsyncClient) -> None:
    for path in ("/", address("style.css"), "/static/0/none.js", "/nowhere"):
        answer = await client.get(path, headers={"Accept": "text/html"})
        assert answer.headers["Content-Security-Policy"] == CONTENT_SECURITY_POLICY, path
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Referrer-Policy"] == "same-origin"


async def test_an_address_that_there_is_not_is_a_page_for_people_and_json_for_programs(
    client: httpx.AsyncClient,
) -> None:
    for_people = await client.get("/<img src=x onerror=alert(1)>", headers={"Accept": "text/html,*/*;q=0.8"})
    assert for_people.status_code == 404
    assert "<h1>There is no such page</h1>" in for_people.text
    assert "<img src=x" not in for_people.text
    assert (await client.get("/nowhere")).json()["error"]["code"] == "route_not_found"


async def test_static_files_are_kept_by_a_browser_until_one_of_them_changes(client: httpx.AsyncClient) -> None:
    first = await client.get(address("style.css"))
    assert "immutable" in first.headers["Cache-Control"] and first.headers["Content-Type"].startswith("text/css")
    tag = {"If-None-Match": first.headers["ETag"]}
    assert (await client.get(address("style.css"), headers=tag)).status_code == 304
    old = await client.get("/static/0123/style.css")
    assert old.status_code == 200 and old.headers["Cache-Control"] == "no-cache"


async def test_nothing_but_the_files_of_the_folder_is_served(client: httpx.AsyncClient) -> None:
    assert {path.name for path in FOLDER.iterdir()} == set(STATIC_FILES.files)
    for name in ("../handler.py", "..%2fhandler.py", "%2e%2e/handler.py", "none.js"):
        assert (await client.get(f"/static/{STATIC_FILES.version}/{name}")).status_code == 404, name


def test_uplot_is_the_published_one() -> None:
    """The files of the package uplot 1.6.32 of npm, as they are there."""
    published = {
        "uPlot.iife.min.js": "19c8d4c6ad88929a79f4ae49d6f7161566dfd0ba3d15cc495e974f787eb78f1f",
        "uPlot.min.css": "df630c6a8d6f8eeaff264b50f73ce5b114f646ffd9a0bb74f049b0a00135fa04",
        "uPlot.LICENSE.txt": "8f989229699b4fe2f1a0432d0e9edc338a8a911e250e2d1b01ecd770a5f5b1bd",
    }
    assert {name: hashlib.sha256((FOLDER / name).read_bytes()).hexdigest() for name in published} == published
