"""Files are uploaded on Home in a real browser: chosen, dropped, resumed, and never over another one unasked."""

import os
import signal
import socket
import struct
import subprocess
import sys
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import pytest
from minio import Minio
from playwright.sync_api import Browser, Locator, Page, Route, expect

from tests.installation import Reelscribe
from tests.orchestrator.page.checks import check_page
from tests.orchestrator.page.relay import relay
from tests.s3_server import SECRET, put, s3_server
from tests.waiting import TIMEOUT_SECONDS

DROP = """async ([name, content]) => {
    const transfer = new DataTransfer();
    transfer.items.add(new File([Uint8Array.from(atob(content), byte => byte.charCodeAt(0))], name));
    for (const type of ["dragenter", "dragover", "drop"])
        document.body.dispatchEvent(new DragEvent(type, {dataTransfer: transfer, bubbles: true, cancelable: true}));
}"""


@pytest.fixture(scope="module")
def talk(tmp_path_factory: pytest.TempPathFactory, make_video: Callable[..., Path]) -> Path:
    """A recording of two pieces: most of it is a box that players skip."""
    path = make_video(tmp_path_factory.mktemp("files") / "my talk.mp4")
    with path.open("ab") as file:
        file.write(struct.pack(">I4s", 9 << 20, b"free") + bytes((9 << 20) - 8))
    return path


def choose(page: Page, *files: Path, folder: str = "") -> None:
    page.get_by_label("Into the folder").fill(folder)
    page.get_by_label("Files, or drop them on this page").set_input_files(files)


def upload(page: Page, savepath: str) -> Locator:
    return page.locator("#uploads li").filter(has=page.get_by_text(savepath, exact=True))


def job(page: Page, savepath: str) -> Locator:
    return page.locator("#jobs tr").filter(has=page.get_by_role("link", name=savepath, exact=True))


def test_a_chosen_file_shows_its_progress_and_becomes_a_transcript(
    page: Page, reelscribe: Reelscribe, talk: Path
) -> None:
    seen: list[float] = []
    page.route("**/api/uploads/*", lambda route: (seen.append(bar(page)), route.continue_()))
    page.goto("/")
    choose(page, talk, folder="uploaded/")
    row = upload(page, "uploaded/my talk.mp4")
    expect(row).to_contain_text("Stored, and submitted.")
    assert len(seen) == 2 and seen[1] >= (8 << 20) - 1
    assert (reelscribe.bucket / "uploaded/my talk.mp4").read_bytes() == talk.read_bytes()
    expect(job(page, "uploaded/my talk.mp4").locator("[data-field=state]")).to_have_text("done")
    shown = reelscribe.transcript("uploaded/my talk.mp4")
    assert shown["segments"] and shown["segments"][0]["words"]
    page.unroute("**/api/uploads/*")
    row.get_by_role("button", name="Dismiss").click()
    expect(row).to_have_count(0)


def bar(page: Page) -> float:
    return float(page.locator("#uploads progress").first.evaluate("bar => bar.value"))


def test_several_files_are_dropped_and_one_of_a_known_name_is_asked_about(
    page: Page, reelscribe: Reelscribe, make_video: Callable[..., Path], tmp_path: Path
) -> None:
    short = make_video(tmp_path / "short.mp4").read_bytes()
    page.goto("/")
    for name in ("dropped-1.mp4", "dropped-2.mp4"):
        page.evaluate(DROP, [name, base64(short)])
    for name in ("dropped-1.mp4", "dropped-2.mp4"):
        expect(upload(page, name)).to_contain_text("Stored, and submitted.")
        assert (reelscribe.bucket / name).read_bytes() == short
    page.evaluate(DROP, ["dropped-1.mp4", base64(short[:-100])])
    asked = upload(page, "dropped-1.mp4").last
    expect(asked).to_contain_text("The bucket has an object of this name already. Replace it?")
    assert (reelscribe.bucket / "dropped-1.mp4").read_bytes() == short
    asked.get_by_role("button", name="Replace").click()
    expect(asked).to_contain_text("Stored")
    assert (reelscribe.bucket / "dropped-1.mp4").read_bytes() == short[:-100]
    page.evaluate(DROP, [".hidden.mp4", base64(b"x")])
    wrong = upload(page, ".hidden.mp4")
    expect(wrong).to_contain_text("is named like an unfinished or hidden file")
    page.evaluate(DROP, ["empty.mp4", ""])
    expect(upload(page, "empty.mp4")).to_contain_text("The file is empty")
    check_page(page)


def base64(content: bytes) -> str:
    return b64encode(content).decode()


def test_a_broken_connection_is_said_and_resumed_and_a_cancelled_upload_leaves_nothing(
    browser: Browser, reelscribe: Reelscribe, talk: Path
) -> None:
    port = httpx.URL(reelscribe.orchestrator_url).port
    assert port
    with relay(port) as line, browser.new_context(base_url=line.url) as context:
        page = context.new_page()
        page.goto("/")
        offsets = break_at_second_piece(page, line.cut)
        choose(page, talk, folder="broken")
        row = upload(page, "broken/my talk.mp4")
        expect(row).to_contain_text("It resumes by itself.")
        assert not (reelscribe.bucket / "broken/my talk.mp4").exists()
        line.join()
        expect(row).to_contain_text("Stored, and submitted.")
        assert (reelscribe.bucket / "broken/my talk.mp4").read_bytes() == talk.read_bytes()
        assert offsets.count(0) == 1, "it began again"
        page.route("**/api/uploads/*", lambda route: None if route.request.method == "PATCH" else route.continue_())
        choose(page, talk, folder="cancelled")
        gone = upload(page, "cancelled/my talk.mp4")
        expect(gone).to_be_visible()
        with page.expect_request(lambda sent: sent.method == "DELETE") as cancelled:
            page.wait_for_function("() => localStorage.getItem('reelscribe.uploads')?.includes('cancelled')")
            gone.get_by_role("button", name="Cancel").click()
        answer = cancelled.value.response()
        assert answer and answer.status == 204
        assert not list((reelscribe.bucket / ".reelscribe-uploads").glob("*.part"))


def break_at_second_piece(page: Page, breaks: Callable[[], None]) -> list[int]:
    """Call ``breaks`` when the second piece is to be sent; returns the offsets of all that are."""
    offsets: list[int] = []

    def pass_on(route: Route) -> None:
        if route.request.method == "PATCH":
            offsets.append(int(route.request.headers["upload-offset"]))
            if len(offsets) == 2:
                breaks()
        route.continue_()

    page.route("**/api/uploads/*", pass_on)
    return offsets


def test_an_upload_survives_kill_9_of_the_service_and_a_page_that_is_opened_again(
    browser: Browser, reelscribe: Reelscribe, talk: Path
) -> None:
    port = free_port()
    with browser.new_context(base_url=f"http://127.0.0.1:{port}") as context, second_service(reelscribe, port) as first:
        page = context.new_page()
        page.goto("/")
        offsets = break_at_second_piece(page, first.kill)
        choose(page, talk, folder="killed")
        row = upload(page, "killed/my talk.mp4")
        expect(row).to_contain_text("It resumes by itself.")
        listed = httpx.get(f"{reelscribe.extractor_url}/objects", params={"limit": 1000}).json()["objects"]
        assert not [each for each in listed if "killed" in each["savepath"] or each["savepath"].startswith(".")]
        with second_service(reelscribe, port):
            page.reload()
            expect(page.locator("#uploads li")).to_have_count(0)
            choose(page, talk, folder="killed")
            expect(row).to_contain_text("Stored, and submitted.")
        assert offsets.count(0) == 1, "it began again"
    assert (reelscribe.bucket / "killed/my talk.mp4").read_bytes() == talk.read_bytes()


def test_what_another_tab_sends_is_left_to_it_for_half_a_minute(page: Page, talk: Path) -> None:
    asked: list[str] = []

    def refuse_first(route: Route) -> None:
        asked.append(route.request.method)
        if asked.count("PATCH") == 1 and asked[-1] == "PATCH":
            route.fulfill(status=409, json={"error": {"code": "in_use", "message": "another connection sends it"}})
        else:
            route.continue_()

    page.route("**/api/uploads/*", refuse_first)
    page.clock.install()
    page.goto("/")
    choose(page, talk, folder="tabs")
    row = upload(page, "tabs/my talk.mp4")
    expect(row).to_contain_text("another connection sends it. It resumes by itself.")
    page.clock.run_for(29_000)
    page.evaluate("() => fetch('/healthz')")
    assert asked == ["PATCH"]
    page.clock.run_for(2_000)
    expect(row).to_contain_text("Stored, and submitted.")


def test_with_a_public_endpoint_the_browser_sends_a_file_straight_to_minio(
    browser: Browser, reelscribe: Reelscribe, talk: Path, tmp_path: Path
) -> None:
    port, problems = free_port(), []
    (tmp_path / "secret").write_text(SECRET)
    with s3_server(tmp_path / "console") as s3_port:
        put(s3_port, "there.mp4", b"old")
        settings = {
            "MINIO__ENDPOINT": f"127.0.0.1:{s3_port}",
            "MINIO__ACCESS_KEY": "reader",
            "MINIO__SECRET_KEY_FILE": str(tmp_path / "secret"),
            "MINIO__SECURE": "false",
            "MINIO__PUBLIC_ENDPOINT": f"http://localhost:{s3_port}",
            "UPLOADS__DATA_DIR": str(tmp_path / "uploads"),
        }
        address = f"http://127.0.0.1:{port}"
        with second_service(reelscribe, port, **settings), browser.new_context(base_url=address) as context:
            context.on("console", lambda line: problems.append(line.text) if "Policy" in line.text else None)
            page = context.new_page()
            sent: list[str] = []
            page.on("request", lambda request: sent.append(request.method) if str(s3_port) in request.url else None)
            page.goto("/")
            choose(page, talk, folder="direct")
            expect(upload(page, "direct/my talk.mp4")).to_contain_text("Stored, and submitted.")
            page.get_by_label("Into the folder").fill("")
            page.evaluate(DROP, ["there.mp4", base64(b"new")])
            asked = upload(page, "there.mp4")
            asked.get_by_role("button", name="Replace").click()
            expect(asked).to_contain_text("Stored")
        client = Minio(f"127.0.0.1:{s3_port}", "reader", SECRET, secure=False)
        stored = [
            client.get_object(bucket_name="videos", object_name=name).read()
            for name in ("direct/my talk.mp4", "there.mp4")
        ]
    assert stored == [talk.read_bytes(), b"new"]
    assert "PUT" in sent and not problems
    assert not list((tmp_path / "uploads").glob("*.part"))


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port: int = taken.getsockname()[1]
        return port


@contextmanager
def second_service(reelscribe: Reelscribe, port: int, **settings: str) -> Iterator["subprocess.Popen[bytes]"]:
    """Another orchestrator of the same installation, which a test may kill."""
    variables = {f"REELSCRIBE_{name}": value for name, value in settings.items()}
    environment = {**os.environ, "REELSCRIBE_ORCHESTRATOR__PORT": str(port), **variables}
    command = [sys.executable, "-m", "orchestrator", "serve", "--config", str(reelscribe.config)]
    process = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL, start_new_session=True)
    try:
        deadline = time.monotonic() + 2 * TIMEOUT_SECONDS
        while not answers(port):
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.1)
        yield process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        process.wait(60)


def answers(port: int) -> bool:
    with suppress(httpx.HTTPError):
        return httpx.get(f"http://127.0.0.1:{port}/healthz").is_success
    return False
