"""Signing in with a real browser, to an orchestrator that is a process of its own."""

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
from playwright.sync_api import Browser, Page, Route, expect

from reelscribe.child_process import end_with_parent
from tests.chromium import SITE
from tests.orchestrator.page.checks import check_html, check_page
from tests.waiting import TIMEOUT_SECONDS

TOKEN = "a-secret-for-people"
NEIGHBOUR = "http://127.0.0.1:9"
"""A page of another program on the orchestrator's host: the same site, so browsers send it the cookie's requests."""
ATTACK = """<form method="post" action="%s/%s" enctype="text/plain"><input name='{"savepath": "x' value='y"}'></form>
<script>document.forms[0].submit()</script>"""


@contextmanager
def serving(config: Path, url: str) -> Iterator[None]:
    """The orchestrator runs during the block."""
    with (config.parent / "log").open("ab") as log:
        command = [sys.executable, "-m", "orchestrator", "serve", "--config", str(config)]
        process = subprocess.Popen(command, stdout=log, stderr=log, preexec_fn=end_with_parent())
    try:
        deadline = time.monotonic() + 2 * TIMEOUT_SECONDS
        while not _answers(url):
            assert process.poll() is None and time.monotonic() < deadline, (config.parent / "log").read_text()
            time.sleep(0.1)
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/healthz").status_code == 200
    except httpx.HTTPError:
        return False


def sign_in(page: Page, token: str) -> None:
    page.get_by_label("Token").fill(token)
    page.get_by_role("button", name="Sign in").click()


def attacks(page: Page, site: str, url: str, path: str) -> int:
    """The status that a form of another page gets, which it sends as JSON that it is not."""

    def answer(route: Route) -> None:
        route.fulfill(content_type="text/html", body=ATTACK % (url, path))

    page.route(f"{site}/attack", answer)
    with page.expect_response(f"{url}/{path}") as response:
        page.goto(f"{site}/attack")
    return response.value.status


def test_people_sign_in_and_other_pages_cannot_use_it(
    browser: Browser, database_url: str, free_port: int, tmp_path: Path
) -> None:
    url, tokens = f"http://127.0.0.1:{free_port}", tmp_path / "tokens"
    tokens.write_text(f"for-services\n{TOKEN} ada submit\n")
    config = tmp_path / "config.cfg"
    config.write_text(
        f"[orchestrator]\nport = {free_port}\ntranscriber_urls = http://127.0.0.1:9\n"
        f"[database]\nurl = {database_url}\n[auth]\ntoken_file = tokens\n"
    )
    problems: list[str] = []
    with browser.new_context(base_url=url) as context:
        page = context.new_page()
        page.on("console", lambda line: problems.append(line.text) if "Content Security Policy" in line.text else None)
        with serving(config, url):
            page.goto("/?prefix=talks#t=12.5")
            expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
            sign_in(page, "wrong")
            expect(page.get_by_role("alert")).to_have_text("This is not a token of this service.")
            assert TOKEN not in page.content() + page.url
            sign_in(page, TOKEN)
            page.wait_for_url(f"{url}/?prefix=talks#t=12.5")  # and for its scripts
            expect(page.locator(".who")).to_contain_text("ada")
            page.get_by_label("Savepaths, one per line").fill("talks/one.mp4")
            page.get_by_role("button", name="Transcribe").click()
            expect(page.locator("#jobs tr", has_text="talks/one.mp4")).to_be_visible()
            [cookie] = context.cookies()
            assert (cookie["httpOnly"], cookie["sameSite"], cookie["secure"]) == (True, "Lax", False)
            assert page.evaluate("document.cookie") == ""

            other = context.new_page()
            assert attacks(other, NEIGHBOUR, url, "api/jobs") == 403, "with the cookie"
            assert attacks(other, NEIGHBOUR, url, "sign-out") == 403
            assert attacks(other, f"http://{SITE}", url, "api/jobs") == 401, "another site's form: without the cookie"
            other.route(f"http://{SITE}/link", lambda route: route.fulfill(
                content_type="text/html", body=f'<a href="{url}/">a moment</a>'
            ))  # fmt: skip
            other.goto(f"http://{SITE}/link")
            other.get_by_role("link").click()
            expect(other.locator("#jobs tr", has_text="talks/one.mp4")).to_be_visible()  # no second sign-in is needed
            other.close()

        tokens.write_text("for-services\n")
        with serving(config, url):
            expect(page.get_by_role("heading", name="Sign in")).to_be_visible()  # by itself: its stream is refused
            page.goto("/")
            assert page.url == f"{url}/sign-in?next=%2F"
            assert context.request.get(f"{url}/api/jobs").status == 401

            by_name = url.replace("127.0.0.1", SITE)  # plain HTTP by a name: browsers send no Sec-Fetch-Site there
            page.goto(f"{by_name}/")
            sign_in(page, "for-services")
            page.get_by_role("button", name="Sign out").click()
            expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
            sign_in(page, "wrong")
            expect(page.get_by_role("alert")).to_be_visible()
            assert not problems, problems
            log = (tmp_path / "log").read_text()
            assert "a wrong token from 127.0.0.1" in log and TOKEN not in log and "for-services" not in log
            check_page(page)
            check_html(f"{url}/sign-in")
