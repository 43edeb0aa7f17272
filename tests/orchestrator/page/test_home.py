"""Home in a real browser, on real services."""

import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import httpx
from playwright.sync_api import Browser, BrowserContext, Locator, Page, expect

from orchestrator.page.formats import clock, count, decimal, duration
from orchestrator.page.job_row import TIMES
from tests.installation import Reelscribe
from tests.orchestrator.page.checks import check_html, check_page
from tests.orchestrator.page.relay import relay
from tests.waiting import TIMEOUT_SECONDS

MARKUP = "markup/<img src=x onerror=alert(1)>\"'&amp;.mp4"
LONG = f"long/{'very-long-name/' * 60}end.mp4"

HIDE = """hidden => {
    Object.defineProperty(document, 'visibilityState', {value: hidden ? 'hidden' : 'visible', configurable: true});
    document.dispatchEvent(new Event('visibilitychange'));
}"""


def submit(page: Page, *savepaths: str) -> None:
    page.get_by_label("Savepaths, one per line").fill("\n".join(savepaths))
    page.get_by_role("button", name="Transcribe").click()
    expect(page.locator("#submitted")).to_have_text(re.compile(r"^\d+ new"))


def row(page: Page, savepath: str) -> Locator:
    return page.locator("#jobs tr").filter(has=page.get_by_role("link", name=savepath, exact=True))


def open_streams(reelscribe: Reelscribe) -> int:
    metrics = httpx.get(f"{reelscribe.orchestrator_url}/metrics").text
    [value] = re.findall(r"^reelscribe_event_streams (\S+)$", metrics, re.MULTILINE)
    return int(float(value))


@contextmanager
def paused(reelscribe: Reelscribe, prefix: str) -> Iterator[None]:
    with httpx.Client(base_url=reelscribe.orchestrator_url) as client:
        client.put("/api/pauses", json={"prefix": prefix})
        try:
            yield
        finally:
            client.delete("/api/pauses", params={"prefix": prefix})


def test_a_recording_is_submitted_with_options_and_watched_until_it_is_done(page: Page, reelscribe: Reelscribe) -> None:
    page.goto("/")
    page.get_by_text("Options").click()
    page.get_by_label("Language", exact=True).select_option("English")
    expect(page.get_by_label("Time of each word")).to_be_checked()
    submit(page, "talks/minute.mkv", "", "talks/minute.mkv ")
    minute = row(page, "talks/minute.mkv").last
    expect(page.locator("#submitted")).to_have_text("2 new")
    expect(minute.locator("[data-field=state]")).to_have_text("done")
    expect(minute.locator("[data-field=audio]")).to_have_text("1:00")
    expect(minute.locator("[data-field=speed]")).to_have_text(re.compile(rf"^[\d,]+\.\d {TIMES}$"))
    expect(minute.locator("[data-field=language]")).to_have_text("en")
    expect(minute.get_by_role("link")).to_have_attribute("href", "/media/talks/minute.mkv")
    jobs = httpx.get(f"{reelscribe.orchestrator_url}/api/jobs", params={"text": "minute.mkv"}).json()["jobs"]
    assert {"language": "en", "word_timestamps": True} in [job["options"] for job in jobs]
    expect(page.locator("[data-figure=done]")).to_have_text(re.compile("[1-9]"))
    expect(page.locator("#chart canvas")).to_be_visible()


def test_a_savepath_that_cannot_be_one_is_named_and_stays_in_the_box_alone(page: Page) -> None:
    page.goto("/")
    box = page.get_by_label("Savepaths, one per line")
    box.fill("talks/t7.wav\n\n../b.mp4\n/c.mp4\nnot/there.mp4")
    page.get_by_role("button", name="Transcribe").click()
    refused = r"\.\./b\.mp4: must not contain '\.' or '\.\.' as a folder; /c\.mp4: must not start with '/'; it is [^;]*"
    expect(page.locator("#submitted")).to_have_text(re.compile(f"^2 new; {refused}$"))
    expect(box).to_have_value("../b.mp4\n/c.mp4")
    expect(row(page, "talks/t7.wav")).to_be_visible()
    box.fill("\n".join(["talks/t8.wav", *(f"../{number}" for number in range(50))]))
    page.get_by_role("button", name="Transcribe").click()
    expect(page.locator("#submitted")).to_have_text(re.compile(r"^1 new; \.\./0: .*; and 30 more$"))
    expect(box).to_have_value("\n".join(f"../{number}" for number in range(50)))


def test_jobs_are_paused_cancelled_retried_and_resumed_by_buttons(page: Page, reelscribe: Reelscribe) -> None:
    page.goto("/?prefix=youtube/")
    page.get_by_text("Pause", exact=True).first.click()
    page.get_by_label("Savepaths that start with").fill("youtube/")
    page.locator("#pause button").click()
    expect(page.locator("#rules")).to_contain_text("youtube/ is paused since")
    submit(page, "youtube/abc123.mp4", "youtube/none.mp4")
    job, state = row(page, "youtube/abc123.mp4"), "[data-field=state]"
    expect(job.locator(state)).to_have_text("queued")
    job.get_by_role("button", name="Cancel").click()
    expect(job.locator(state)).to_have_text("cancelled")
    job.get_by_role("button", name="Retry").click()
    expect(job.locator(state)).to_have_text("queued")
    page.locator("#rules").get_by_role("button", name="Resume").click()
    expect(page.locator("#rules li")).to_have_count(0)
    expect(job.locator(state)).to_have_text("done")
    expect(row(page, "youtube/none.mp4").locator("[data-field=note]")).to_contain_text("there is no")


def test_filters_show_what_matches_live_and_are_in_the_address(page: Page, reelscribe: Reelscribe) -> None:
    with paused(reelscribe, "filter/"):
        names = [f"filter/{number:03}.mp4" for number in range(60)]
        httpx.post(f"{reelscribe.orchestrator_url}/api/jobs", json={"savepaths": names}).raise_for_status()
        page.goto("/")
        page.get_by_label("Savepath starts with").fill("filter/")
        rows = page.locator("#jobs tr")
        expect(page).to_have_url(re.compile(r"/\?prefix=filter%2F$"))
        expect(rows.first).to_contain_text("filter/059.mp4")
        expect(rows).to_have_count(50)
        page.get_by_role("link", name="Older").click()
        expect(rows).to_have_count(10)
        expect(page.get_by_role("link", name="Older")).to_be_hidden()
        page.go_back()
        expect(rows).to_have_count(50)
        page.get_by_label("Text in savepath or error").fill("/00")
        expect(rows).to_have_count(10)
        rows.first.get_by_role("button", name="Cancel").click()
        page.mouse.move(0, 0)
        page.get_by_label("State").select_option("cancelled")
        expect(rows).to_have_count(1)
        page.reload()
        expect(rows).to_have_count(1)
        expect(page.get_by_label("State")).to_have_value("cancelled")
        rows.first.get_by_role("button", name="Retry").click()
        page.get_by_label("State").focus()
        expect(rows).to_have_count(0)
        expect(page.locator("#found")).to_have_text("No job matches.")
        check_page(page)


def test_markup_and_long_names_are_shown_as_they_are(page: Page, reelscribe: Reelscribe, browser: Browser) -> None:
    dialogs = []
    page.on("dialog", lambda dialog: dialogs.append(dialog.message))
    with paused(reelscribe, "markup/<img"), paused(reelscribe, "long/"):
        page.goto("/?text=%3Cimg")
        submit(page, MARKUP, LONG)
        expect(row(page, MARKUP)).to_be_visible()
        expect(page.locator("#rules")).to_contain_text("markup/<img is paused")
        page.goto("/")
        expect(page.locator("#jobs tr")).not_to_have_count(0)
        assert page.locator("main img").count() == 0
        check_page(page)
        with browser.new_context(base_url=reelscribe.orchestrator_url, java_script_enabled=False) as plain:
            served = plain.new_page()
            served.goto("/")
            for savepath in (MARKUP, LONG):
                expect(row(served, savepath)).to_be_visible()
            assert served.locator("main img").count() == 0
            served.get_by_label("Text in savepath or error").fill("<IMG")
            served.get_by_role("button", name="Filter").click()
            expect(served.locator("#jobs tr")).to_have_count(1)
            expect(served.locator("#submit")).to_be_hidden()
        check_html(f"{reelscribe.orchestrator_url}/?text=%22%3E%3Cimg", f"{reelscribe.orchestrator_url}/nowhere")
    assert dialogs == []


def test_rows_that_come_with_the_page_say_what_a_script_says_of_the_same_jobs(page: Page) -> None:
    page.goto("/")
    expect(page.locator("#jobs tr").first).to_be_visible()
    parts = """rows => rows.map(row => [row.dataset.state, ...[...row.querySelectorAll('[data-field]')]
        .filter(part => part.dataset.field !== 'age')
        .map(part => [part.dataset.field, part.hidden, part.textContent, part.className, part.title,
            part.getAttribute('href')])])"""
    served = page.request.get("/").text()
    of_server = page.evaluate(
        f"""html => ({parts})([...new DOMParser().parseFromString(html, 'text/html').querySelectorAll('#jobs tr')])""",
        served,
    )
    of_script = page.evaluate(
        f"""async () => {{
            const base = document.querySelector('script[type=module]').src;
            const {{fillRow, newRow}} = await import(new URL('job_row.js', base));
            const {{jobs}} = await (await fetch('/api/jobs?limit=50')).json();
            return ({parts})(jobs.map(job => {{
                const row = newRow();
                fillRow(row, job, 'videos');
                return row;
            }}));
        }}"""
    )
    assert of_server == of_script


def test_eight_tabs_share_one_stream_that_ends_when_none_is_in_view(
    context: BrowserContext, reelscribe: Reelscribe
) -> None:
    before = open_streams(reelscribe)
    tabs = [context.new_page() for _ in range(8)]
    for tab in tabs:
        tab.goto("/")
    submit(tabs[-1], "tabs/none.mp4")
    for tab in tabs:
        expect(row(tab, "tabs/none.mp4").locator("[data-field=state]")).to_have_text("failed")
    assert open_streams(reelscribe) == before + 1
    for tab in tabs:
        tab.evaluate(HIDE, True)
    eventually(tabs[0], lambda: open_streams(reelscribe) == before)
    submit(tabs[0], "tabs/other.mp4")
    tabs[3].evaluate(HIDE, False)
    expect(row(tabs[3], "tabs/other.mp4").locator("[data-field=state]")).to_have_text("failed")
    assert open_streams(reelscribe) == before + 1


def eventually(page: Page, condition: Callable[[], bool]) -> None:
    """As that of all tests, while the browser's events are handled."""
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "it has not become true"
        page.wait_for_timeout(100)


def test_a_lost_connection_is_said_and_what_was_missed_is_read(browser: Browser, reelscribe: Reelscribe) -> None:
    port = httpx.URL(reelscribe.orchestrator_url).port
    assert port
    with relay(port) as line, browser.new_context(base_url=line.url) as context:
        page = context.new_page()
        page.goto("/")
        connection = page.locator("#connection")
        expect(connection).to_have_text("")
        submit(page, "offline/first.mp4")
        expect(row(page, "offline/first.mp4").locator("[data-field=state]")).to_have_text("failed")
        line.cut()
        expect(connection).to_contain_text("No connection since")
        page.get_by_label("Savepaths, one per line").fill("offline/second.mp4")
        page.get_by_role("button", name="Transcribe").click()
        expect(page.locator("#submitted")).to_contain_text("does not answer")
        expect(page.get_by_label("Savepaths, one per line")).to_have_value("offline/second.mp4")
        httpx.post(f"{reelscribe.orchestrator_url}/api/jobs", json={"savepath": "offline/third.mp4"})
        line.join()
        expect(connection).to_have_text("")
        expect(row(page, "offline/third.mp4")).to_be_visible()


def test_scripts_write_numbers_as_the_service_does(page: Page) -> None:
    numbers = [0, 7.4, 59.5, 61, 599, 3599, 3600, 5432.1, 172799, 172800, 1e6, 123456789.5]
    page.goto("/")
    written = page.evaluate(
        """async numbers => {
            const base = document.querySelector('script[type=module]').src;
            const {clock, count, decimal, duration} = await import(new URL('format.js', base));
            return numbers.map(n => [clock(n), duration(n), decimal(n), count(Math.round(n))]);
        }""",
        numbers,
    )
    assert written == [[clock(n), duration(n), decimal(n), count(int(n + 0.5))] for n in numbers]
