"""The search page in a real browser, on real services."""

import re

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.installation import Reelscribe
from tests.orchestrator.page.checks import check_page


@pytest.fixture(scope="module")
def transcribed(reelscribe: Reelscribe) -> Reelscribe:
    """An installation with two transcripts, and those of other tests."""
    reelscribe.run("submit", "talks/minute.mkv", "talks/short.mp4", "--wait")
    return reelscribe


def found(page: Page) -> Locator:
    """The results that are of the two recordings."""
    return page.locator("article", has_text=re.compile(r"minute\.mkv|short\.mp4"))


def test_a_person_searches(page: Page, transcribed: Reelscribe) -> None:
    page.goto("/search")
    page.get_by_role("searchbox", name="What was said").fill('"was every"')
    page.get_by_label("Recordings that begin with").fill("talks/")
    page.get_by_role("button", name="Search").click()
    page.wait_for_url("**/search?q=%22was+every%22&prefix=talks%2F")  # empty fields stay out of the address
    expect(found(page)).to_have_count(2)
    expect(page.locator("article", has_text="minute.mkv").locator("mark").first).to_have_text("was every")
    check_page(page)
    page.goto("/search?q=every&prefix=none/")
    expect(page.get_by_role("heading", name="Nothing found")).to_be_visible()
    page.get_by_role("link", name="Search without the filters").click()
    expect(found(page)).to_have_count(2)
    page.goto("/search?q=every&since=2026-99-99")
    expect(page.get_by_role("alert")).to_contain_text("From: ")
    page.go_back()
    page.get_by_role("searchbox", name="What was said").fill("lemon")
    page.keyboard.press("Enter")
    expect(found(page)).to_have_count(1)


def test_a_hit_is_played_without_leaving_the_page(page: Page, transcribed: Reelscribe) -> None:
    page.goto("/search?q=%22was+every%22")
    hit = page.locator("article", has_text="minute.mkv").get_by_role("button", name="Play from").last
    start = float(hit.get_attribute("data-start") or 0)
    assert start > 5
    hit.click()
    expect(hit).to_have_attribute("aria-current", "true")
    for _ in range(150):  # wait_for_function would have to evaluate a string, which the policy of the page forbids
        page.wait_for_timeout(100)
        if (played := page.evaluate("document.querySelector('article :is(video, audio)')?.currentTime ?? 0")) > start:
            break
    assert start < played < start + 5
    assert page.url.endswith("/search?q=%22was+every%22")
    page.locator("article", has_text="short.mp4").get_by_role("button", name="Play from").last.click()
    expect(page.locator("article", has_text="short.mp4").locator("video, audio")).to_be_visible()
    expect(page.locator("video, audio")).to_have_count(1)  # one at a time
    check_page(page)
