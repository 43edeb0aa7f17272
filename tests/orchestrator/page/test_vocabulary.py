"""The page of vocabularies in a real browser, on real services."""

import re
from collections.abc import Iterator

import httpx
import pytest
from playwright.sync_api import Locator, Page, expect

from tests.installation import Reelscribe
from tests.orchestrator.page.checks import check_html, check_page

MARKUP = "page/<img src=x onerror=alert(1)>"


@pytest.fixture(autouse=True)
def api(reelscribe: Reelscribe) -> Iterator[httpx.Client]:
    """The HTTP API; no list is there before, and none is left to other tests."""
    with httpx.Client(base_url=reelscribe.orchestrator_url) as client:
        remove_lists(client)
        yield client
        remove_lists(client)


def remove_lists(api: httpx.Client) -> None:
    for prefix in stored(api):
        api.put("/api/vocabulary", json={"prefix": prefix, "words": []})


def stored(api: httpx.Client) -> dict[str, list[str]]:
    return {one["prefix"]: one["words"] for one in api.get("/api/vocabulary").json()["lists"]}


def newest(api: httpx.Client) -> int:
    id: int = api.get("/api/jobs", params={"text": "talks/short"}).json()["jobs"][0]["id"]
    return id


def list_of(page: Page, prefix: str) -> Locator:
    return page.locator("article", has=page.get_by_role("heading", name=prefix, exact=True))


def test_a_list_is_made_changed_and_removed_by_the_forms(page: Page, api: httpx.Client) -> None:
    api.put("/api/vocabulary", json={"prefix": "", "words": ["Reelscribe"]})
    page.goto("/vocabulary")
    expect(list_of(page, "All savepaths")).to_contain_text("Reelscribe")
    expect(list_of(page, "All savepaths").locator("time")).to_have_text(re.compile(r"^\d+ \w+ \d{4}, \d\d:\d\d$"))
    page.get_by_label("Savepaths that start with").first.fill(MARKUP)
    page.locator("#words").fill("Peter Okafor, Ilse\n\nIlse\n <b>")
    page.locator("#new").get_by_role("button", name="Save").click()
    made = list_of(page, MARKUP)
    expect(made.locator("[data-field=words]")).to_have_text("Peter Okafor, Ilse, <b>")
    expect(made).to_contain_text("by anonymous")
    assert stored(api) == {"": ["Reelscribe"], MARKUP: ["Peter Okafor", "Ilse", "<b>"]}
    made.get_by_text("Change", exact=True).click()
    check_page(page)
    made.get_by_role("textbox").fill("Okafor\n" + "x" * 5000)
    made.get_by_role("button", name="Save").click()
    expect(made.get_by_role("status")).to_contain_text("words.1: must have at most")
    made.get_by_role("textbox").fill("Okafor")
    made.get_by_role("button", name="Save").click()
    expect(made.get_by_role("status")).to_have_text("Saved: 1 word")
    assert stored(api)[MARKUP] == ["Okafor"]
    page.once("dialog", lambda dialog: dialog.dismiss())
    made.get_by_role("button", name="Remove the list").click()
    assert stored(api)[MARKUP] == ["Okafor"]
    page.once("dialog", lambda dialog: dialog.accept())
    made.get_by_role("button", name="Remove the list").click()
    expect(made).to_have_count(0)
    assert stored(api) == {"": ["Reelscribe"]}


def test_of_two_people_who_change_a_list_the_second_is_asked(page: Page, api: httpx.Client) -> None:
    def change(words: str) -> None:
        one.get_by_role("textbox").fill(words)
        one.get_by_role("button", name="Save").click()

    api.put("/api/vocabulary", json={"prefix": "two/", "words": ["Okafor"]})
    page.goto("/vocabulary")
    one = list_of(page, "two/")
    one.get_by_text("Change", exact=True).click()
    api.put("/api/vocabulary", json={"prefix": "two/", "words": ["Okafor", "Ilse"]})
    change("Okafor\nPeter")
    expect(one.get_by_role("status")).to_contain_text("now it has Okafor, Ilse. Saving again replaces that.")
    assert stored(api) == {"two/": ["Okafor", "Ilse"]}
    expect(one.get_by_role("textbox")).to_have_value("Okafor\nPeter")
    change("Okafor\nPeter\nIlse")
    expect(one.get_by_role("status")).to_have_text("Saved: 3 words")

    api.put("/api/vocabulary", json={"prefix": "made/", "words": ["theirs"]})
    page.get_by_label("Savepaths that start with").first.fill("made/")
    page.locator("#words").fill("mine")
    page.locator("#new").get_by_role("button", name="Save").click()
    expect(page.locator("#new").get_by_role("status")).to_contain_text("now it has theirs")
    expect(list_of(page, "made/")).to_contain_text("theirs")
    assert stored(api)["made/"] == ["theirs"]


def test_what_a_list_concerns_is_counted_before_it_is_transcribed_again(
    page: Page, api: httpx.Client, reelscribe: Reelscribe
) -> None:
    reelscribe.run("submit", "talks/short.mp4", "--wait")
    api.put("/api/vocabulary", json={"prefix": "talks/short", "words": ["Okafor"]})
    page.goto("/vocabulary")
    page.locator("#again").get_by_label("Savepaths that start with").fill("talks/short")
    page.get_by_role("button", name="Count them").click()
    expect(page.locator("#counted")).to_have_text(re.compile(r"^\d+ recordings? w"))
    before = newest(api)
    page.get_by_role("button", name="Transcribe them again").click()
    expect(page.locator("#counted")).to_have_text(re.compile(r"^\d+ recordings? queued again$"))
    assert newest(api) > before
    reelscribe.run("submit", "talks/short.mp4", "--wait")
    check_html(f"{reelscribe.orchestrator_url}/vocabulary")
