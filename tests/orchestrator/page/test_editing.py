"""Correcting a transcript in a real browser: in place, with two people, undone."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Locator, Page, Route, expect

from tests.installation import Reelscribe
from tests.orchestrator.page.checks import check_html, check_page


@pytest.fixture(scope="module")
def job(reelscribe: Reelscribe, make_video: Callable[..., Path]) -> int:
    """A finished transcript with the times of words."""
    make_video(reelscribe.bucket / "edited/short.webm", "short.flac", "-c:v", "libvpx", "-deadline", "realtime")
    body = {"savepath": "edited/short.webm", "word_timestamps": True}
    answer = httpx.post(f"{reelscribe.orchestrator_url}/api/jobs", json=body)
    [submitted] = answer.json()["jobs"]
    httpx.get(f"{reelscribe.orchestrator_url}/api/jobs/{submitted['id']}/events", timeout=60)  # until it has ended
    return int(submitted["id"])


def lines(page: Page) -> Locator:
    return page.locator("#lines .line")


def texts(page: Page) -> list[str]:
    return page.locator("#lines .text").all_text_contents()


def test_a_line_is_edited_in_place_split_merged_and_undone(page: Page, reelscribe: Reelscribe, job: int) -> None:
    def served() -> list[dict[str, Any]]:
        url = f"{reelscribe.orchestrator_url}/api/transcripts/edited/short.webm"
        found: list[dict[str, Any]] = httpx.get(url).json()["segments"]
        return found

    page.goto("/media/edited/short.webm")
    said = texts(page)
    assert len(said) == 2
    lines(page).first.locator(".text").dblclick()
    field = page.get_by_label("Text of this line")
    expect(field).to_be_focused()
    assert field.input_value() == said[0]
    field.fill("<i>The green</i> hammer & the lemon.")
    field.press("Escape")
    assert texts(page) == said
    expect(lines(page).first.locator(".time")).to_be_focused()

    page.keyboard.press("e")
    field.fill("<i>The green</i> hammer & the lemon.")
    field.press("Control+Enter")
    expect(lines(page).first).to_have_attribute("data-edited", "anonymous")
    assert texts(page) == ["<i>The green</i> hammer & the lemon.", said[1]] == [one["text"] for one in served()]
    expect(lines(page).first.locator(".time")).to_be_focused()

    lines(page).nth(1).hover()
    page.get_by_role("button", name="Edit the line at").click()
    field.press("Control+Home")
    page.get_by_role("button", name="Split at the cursor").click()
    expect(page.get_by_text("Put the cursor between the words")).to_be_visible()
    for _ in said[1].split()[0]:
        field.press("ArrowRight")
    page.get_by_role("button", name="Split at the cursor").click()
    expect(lines(page)).to_have_count(3)
    first_word, rest = said[1].split(" ", 1)
    assert texts(page)[1:] == [first_word, rest]
    assert [one.get_attribute("data-index") for one in lines(page).all()] == ["0", "1", "2"]
    lines(page).nth(1).locator(".text").dblclick()
    page.get_by_role("button", name="Merge with the next").click()
    expect(lines(page)).to_have_count(2)
    assert [one["text"] for one in served()] == texts(page) == ["<i>The green</i> hammer & the lemon.", said[1]]

    for count in (3, 2, 2):
        page.get_by_role("button", name="Undo the last edit").click()
        expect(lines(page)).to_have_count(count)
    expect(lines(page).first.locator(".text")).to_have_text(said[0])
    assert texts(page) == said == [one["text"] for one in served()]
    assert not any(one["edited"] for one in served())


def test_of_two_people_the_second_sees_both_texts_and_decides(page: Page, reelscribe: Reelscribe, job: int) -> None:
    url = f"{reelscribe.orchestrator_url}/api/edits/edited/short.webm"
    page.goto("/media/edited/short.webm")
    said = texts(page)
    lines(page).first.locator(".text").dblclick()
    field = page.get_by_label("Text of this line")
    field.fill("Mine.")
    check_page(page)
    start, end = (float(lines(page).first.get_attribute(f"data-{name}") or 0) for name in ("start", "end"))
    revision = httpx.get(url).json()["revision"]
    other = {"job": job, "base_revision": revision, "start": start, "end": end, "segments": [{"text": "Theirs."}]}
    assert httpx.post(url, json=other).status_code == 200
    field.press("Control+Enter")
    dialog = page.get_by_role("dialog", name="Someone else has edited this")
    expect(dialog.locator(".theirs")).to_have_text("Theirs.")
    assert dialog.get_by_label("Your text").input_value() == "Mine."
    check_page(page)
    dialog.get_by_role("button", name="Back").click()
    assert field.input_value() == "Mine."
    field.press("Control+Enter")
    dialog.get_by_role("button", name="Save mine").click()
    expect(lines(page).first.locator(".text")).to_have_text("Mine.")
    assert texts(page) == ["Mine.", said[1]]

    page.get_by_role("button", name="Rename").click()
    page.get_by_label("Title").fill("<b>The lemon</b>")
    page.get_by_role("dialog").get_by_role("button", name="Save").click()
    expect(page.locator("#title-shown")).to_have_text("<b>The lemon</b>")
    page.get_by_role("button", name="History").click()
    history = page.get_by_role("dialog", name="History")
    expect(history.locator("li").nth(1).locator("ins")).to_have_text("Mine.")
    check_page(page)
    history.get_by_role("button", name="Undo: edit", exact=False).nth(1).click()
    expect(lines(page).first.locator(".text")).to_have_text("Theirs.")
    page.reload()
    assert texts(page) == ["Theirs.", said[1]]
    check_html(f"{reelscribe.orchestrator_url}/media/edited/short.webm")


def test_who_edits_a_line_that_someone_else_has_merged_sees_the_merged_text(
    page: Page, reelscribe: Reelscribe, job: int
) -> None:
    url = f"{reelscribe.orchestrator_url}/api/edits/edited/short.webm"
    page.goto("/media/edited/short.webm")
    said = texts(page)
    start = float(lines(page).first.get_attribute("data-start") or 0)
    end = float(lines(page).last.get_attribute("data-end") or 0)
    lines(page).nth(1).locator(".text").dblclick()
    field = page.get_by_label("Text of this line")
    field.fill("Mine of both.")
    merged = {"job": job, "start": start, "end": end, "segments": [{"text": "Theirs of both."}]}
    httpx.post(url, json={**merged, "base_revision": httpx.get(url).json()["revision"]}).raise_for_status()
    field.press("Control+Enter")
    dialog = page.get_by_role("dialog", name="Someone else has edited this")
    expect(dialog.locator(".theirs")).to_have_text("Theirs of both.")
    dialog.get_by_role("button", name="Save mine").click()
    expect(lines(page).first.locator(".text")).to_have_text("Mine of both.")
    expect(lines(page)).to_have_count(1)
    page.get_by_role("button", name="Undo the last edit").click()
    expect(lines(page).first.locator(".text")).to_have_text("Theirs of both.")
    page.get_by_role("button", name="Undo the last edit").click()
    expect(lines(page)).to_have_count(2)
    assert texts(page) == said


def test_a_text_is_saved_once_and_kept_until_it_is_saved(page: Page, reelscribe: Reelscribe, job: int) -> None:
    held: list[Route] = []
    page.route("**/api/edits/**", lambda route: held.append(route))
    page.goto("/media/edited/short.webm")
    lines(page).nth(1).locator(".text").dblclick()
    field = page.get_by_label("Text of this line")
    field.fill("Said once.")
    with page.expect_request("**/api/edits/**"):
        field.press("Control+Enter")
    field.press("Control+Enter")
    field.press("Escape")
    expect(field).not_to_be_editable()
    assert len(held) == 1
    held.pop().abort()
    expect(field).to_be_editable()
    assert field.input_value() == "Said once."
    with page.expect_request("**/api/edits/**"):
        field.press("Control+Enter")
    field.press("Control+Enter")
    assert len(held) == 1
    held.pop().continue_()
    expect(lines(page).nth(1).locator(".text")).to_have_text("Said once.")


def test_a_text_that_is_being_written_survives_what_else_changes_and_replaces_no_one_elses(
    page: Page, reelscribe: Reelscribe, job: int
) -> None:
    page.goto("/media/edited/short.webm")
    first, second = (
        {name: float(line.get_attribute(f"data-{name}") or 0) for name in ("start", "end")}
        for line in lines(page).all()
    )
    field = page.get_by_label("Text of this line")
    lines(page).first.locator(".text").dblclick()
    field.fill("Still being written.")
    url = f"{reelscribe.orchestrator_url}/api/edits/edited/short.webm"
    for place, text in ((first, "Theirs again."), (second, "By mistake.")):
        base = {"job": job, "base_revision": httpx.get(url).json()["revision"]}
        httpx.post(url, json={**base, **place, "segments": [{"text": text}]}).raise_for_status()
    page.get_by_role("button", name="Undo the last edit").click()
    expect(page.locator("#edited")).to_have_text("Undone.")
    assert texts(page)[0] == "Theirs again."
    assert field.input_value() == "Still being written."
    field.press("Control+Enter")
    dialog = page.get_by_role("dialog", name="Someone else has edited this")
    expect(dialog.locator(".theirs")).to_have_text("Theirs again.")
    dialog.get_by_role("button", name="Keep theirs").click()
    lines(page).first.locator(".text").dblclick()
    page.get_by_role("button", name="Undo the last edit").click()
    expect(field).to_be_hidden()  # nothing was written in it


def test_a_transcript_that_was_made_while_the_page_was_open_is_edited_without_a_reload(
    page: Page, reelscribe: Reelscribe, job: int
) -> None:
    url = f"{reelscribe.orchestrator_url}/api"
    reelscribe.run("pause", "--prefix", "edited/")
    body = {"savepath": "edited/short.webm", "force": True}
    [again] = httpx.post(f"{url}/jobs", json=body).json()["jobs"]
    page.goto(f"/media/edited/short.webm?job={again['id']}")
    expect(page.locator("#situation")).to_contain_text("waits in the queue")
    expect(page.get_by_role("button", name="Rename")).to_be_hidden()
    httpx.post(f"{url}/edits/edited/short.webm/title", json={"title": "Of the transcript before"})
    reelscribe.run("resume", "--prefix", "edited/")
    expect(page.get_by_role("button", name="Rename")).to_be_visible(timeout=30_000)
    expect(page.locator("#title-shown")).to_have_text("Of the transcript before")

    lines(page).nth(1).locator(".text").dblclick()
    page.get_by_label("Text of this line").fill("Written while it was still open.")
    page.get_by_label("Text of this line").press("Control+Enter")
    expect(page.get_by_label("Text of this line")).to_have_count(0)  # until it is saved
    served = httpx.get(f"{url}/transcripts/edited/short.webm").json()["segments"]
    assert texts(page) == [segment["text"] for segment in served]
    assert served[1]["text"] == "Written while it was still open."
    page.get_by_role("button", name="Undo the last edit").click()
    expect(page.locator("#edited")).to_have_text("Undone.")
