"""Home in a real browser, on real services."""

from playwright.sync_api import BrowserContext, Page, expect

from tests.installation import Reelscribe
from tests.orchestrator.page.checks import check_html, check_page


def test_what_is_submitted_appears_and_is_transcribed(page: Page, reelscribe: Reelscribe) -> None:
    page.goto("/")
    page.get_by_label("Savepaths").fill("talks/short.mp4\n")
    page.get_by_role("button", name="Transcribe").click()
    row = page.locator("tr", has_text="talks/short.mp4")
    expect(row).to_contain_text("done", timeout=30_000)


def test_eight_tabs_share_one_stream_and_the_last_one_still_submits(
    context: BrowserContext, reelscribe: Reelscribe
) -> None:
    tabs = [context.new_page() for _ in range(8)]
    for tab in tabs:
        tab.goto("/")
    tabs[-1].get_by_label("Savepaths").fill("talks/none.mp4\n")
    tabs[-1].get_by_role("button", name="Transcribe").click()
    for tab in tabs:
        expect(tab.locator("tr", has_text="talks/none.mp4")).to_contain_text("failed", timeout=30_000)


def test_home_is_accessible_and_its_html_is_valid(page: Page, reelscribe: Reelscribe) -> None:
    page.goto("/")
    check_page(page)
    check_html(f"{reelscribe.orchestrator_url}/", f"{reelscribe.orchestrator_url}/nowhere")
