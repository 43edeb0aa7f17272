"""The page of datasets in a real browser, on real services."""

import json

from playwright.sync_api import Page, expect

from orchestrator.exports.dataset.finished.report import report
from orchestrator.exports.dataset.layout import DatasetFolder
from tests.installation import Reelscribe
from tests.orchestrator.page.checks import check_page


def test_a_dataset_appears_as_it_is_made_and_its_report_opens(page: Page, reelscribe: Reelscribe) -> None:
    page.goto("/datasets")
    folder = reelscribe.folder / "pairs-of-a-page"
    made = json.loads(
        reelscribe.run(
            "dataset", "make", "pairs", "talks/short.mp4", "talks/cut.mp4", "--output", str(folder), "--json"
        )
    )
    look_again = "document.dispatchEvent(new Event('visibilitychange'))"
    page.evaluate(look_again)
    dataset = page.locator("article", has_text="pairs-of-a-page")
    expect(dataset.locator("[data-field=state]")).to_have_text("finished")
    expect(dataset.locator("[data-field=version]")).to_have_text(made["version"])
    expect(dataset.locator("[data-field=samples]")).to_have_text(str(made["samples"]))
    expect(dataset.locator("[data-field=failed]")).to_have_text("1")
    expect(dataset.locator("[data-field=unreported]")).to_be_visible()
    check_page(page)
    DatasetFolder.of(folder).report.write_text(report(DatasetFolder.of(folder)))
    page.evaluate(look_again)
    dataset.get_by_role("link", name="Report of pairs-of-a-page").click()
    expect(page.get_by_role("heading", name="pairs-of-a-page")).to_be_visible()
    expect(page.locator("figure img").first).to_have_js_property("complete", True)
    assert page.locator("figure img").first.evaluate("image => image.naturalWidth") > 0
    assert page.locator("figure audio").first.evaluate("sound => sound.error === null && sound.duration > 0.4")
    assert page.evaluate("getComputedStyle(document.body).fontFamily").startswith("system-ui")
