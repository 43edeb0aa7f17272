"""The page of a recording in a real browser, on real services: player and transcript."""

import html
import io
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pysubs2
import pytest
import webvtt
from playwright.sync_api import Browser, BrowserContext, Locator, Page, Route, expect

from orchestrator.database import embedded
from orchestrator.page.static_files import FOLDER
from tests.installation import Reelscribe
from tests.orchestrator.page.checks import check_html, check_page
from tests.waiting import TIMEOUT_SECONDS

DOCUMENTATION = Path(__file__).parents[3] / "docs" / "page.md"
HOSTILE = "player/<img src=x onerror=document.title='x'>.webm"
SPOKEN = "document.querySelector('[aria-current=true] .text')?.textContent"
LATE_RECEIPT = """
const fetchNow = fetch;
window.fetch = async (address, ...more) => {
  const answer = await fetchNow(address, ...more);
  if (String(address).includes("job=")) await new Promise((go) => setTimeout(go, 2000));
  return answer;
};
"""
"""What the server makes of a finished job comes late, so that a reader has opened the receipt before."""
WORD = "[...(CSS.highlights.get('word') ?? [])].map(String).join()"
SECONDS = "document.querySelector('video').currentTime"
UNSHADED = "!CSS.highlights.has('unsure')"
PAUSED = "document.querySelector('video').paused"
IN_VIEW = """(() => {
    const line = document.querySelector("[aria-current=true]"), {left, top, height} = line.getBoundingClientRect();
    return line.contains(document.elementFromPoint(left + 12, top + height / 2));
})()"""
"""Whether the spoken line is within the window and not behind the player."""

TEXTS = {
    0: "An arrow --> ends nothing, <b>bold</b> & &lt; stay.",
    1: "<script>document.title = 'x'</script><img src=x onerror=\"document.title='x'\">",
    2: "First line\n\nNOTE after an empty one",
}
"""By index: what no model writes, and what has to be shown as it is."""


@pytest.fixture(scope="module")
def recordings(reelscribe: Reelscribe, make_video: Callable[..., Path]) -> Reelscribe:
    """An installation with recordings that Chromium plays, one of them cut."""
    vp8 = ("-c:v", "libvpx", "-deadline", "realtime", "-cpu-used", "8")
    folder = reelscribe.bucket / "player"
    intact = make_video(folder / "minute.webm", "minute.flac", *vp8).read_bytes()
    (folder / "cut.webm").write_bytes(intact[: len(intact) // 2])
    make_video(reelscribe.bucket / HOSTILE, "short.flac", *vp8)
    return reelscribe


@pytest.fixture(scope="module")
def transcribed(recordings: Reelscribe) -> Reelscribe:
    """The same, with transcripts; that of :data:`HOSTILE` says :data:`TEXTS`."""
    jobs = [
        _submit(recordings, "player/cut.webm", allow_incomplete=True),
        _submit(recordings, "player/none.webm"),
        _submit(recordings, "player/minute.webm", word_timestamps=True),
        _submit(recordings, HOSTILE),
        _submit(recordings, "talks/short.mp4"),
    ]
    for job in jobs:
        httpx.get(f"{recordings.orchestrator_url}/api/jobs/{job}/events", timeout=60)  # until it has ended
    with embedded.running(recordings.folder / "data/postgres") as url, psycopg.connect(url) as connection:
        connection.execute("update segments set words = jsonb_set(words, '{1,probability}', '0.1') where words <> '[]'")
        for index, text in TEXTS.items():
            connection.execute(
                """
                insert into segments (transcription_id, index, start_seconds, end_seconds, text, tokens, avg_logprob,
                    no_speech_prob, compression_ratio, temperature, search)
                select t.id, %(index)s, %(index)s * 2, %(index)s * 2 + 2, %(text)s, '{}', 0, 0, 1, 0, ''
                from transcriptions t join media m on m.id = t.media_id where m.savepath = %(savepath)s
                on conflict (transcription_id, index) do update
                set text = excluded.text, start_seconds = excluded.start_seconds, end_seconds = excluded.end_seconds
                """,
                {"index": index, "text": text, "savepath": HOSTILE},
            )
    return recordings


def _submit(reelscribe: Reelscribe, savepath: str, **options: Any) -> int:
    answer = httpx.post(f"{reelscribe.orchestrator_url}/api/jobs", json={"savepath": savepath, **options})
    [job] = answer.json()["jobs"]
    return int(job["id"])


def until(page: Page, expression: str) -> None:
    """Wait until this is true; Playwright's own way needs an eval, which the page's policy forbids."""
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while not page.evaluate(expression):
        assert time.monotonic() < deadline, f"it is not true: {expression}; it is at {page.evaluate(SECONDS)} s"
        page.wait_for_timeout(50)


def lines(page: Page) -> Locator:
    return page.locator("#lines .line")


def test_segments_appear_while_the_job_runs_and_a_click_on_one_plays_it(page: Page, recordings: Reelscribe) -> None:
    recordings.run("pause", "--prefix", "player/")
    _submit(recordings, "player/minute.webm", word_timestamps=True)
    page.add_init_script(LATE_RECEIPT)
    page.goto("/media/player/minute.webm")
    expect(page.locator("#situation")).to_contain_text("waits in the queue")
    expect(page.get_by_text("There is no text yet")).to_be_visible()
    recordings.run("resume", "--prefix", "player/")
    expect(lines(page).first).to_be_visible(timeout=30_000)
    expect(page.locator("#downloads")).to_be_visible(timeout=30_000)
    page.get_by_text("Receipt", exact=True).click()  # filled without a reload, as all that a finished job has
    expect(page.get_by_text("SHA-256 of the audio")).to_be_visible()
    expect(page.locator(".facts")).to_contain_text("English")
    page.get_by_text("Download", exact=True).click()
    expect(page.get_by_role("link", name="srt")).to_have_attribute("download", re.compile(r"minute\.en\.srt$"))
    assert page.evaluate("document.querySelector('video').textTracks.length") == 1
    served = httpx.get(f"{recordings.orchestrator_url}/api/transcripts/player/minute.webm/segments").json()["segments"]
    assert lines(page).count() == len(served) > 5
    page.evaluate("document.querySelector('video').playbackRate = 0.1")  # so that the first word lasts on a busy host
    lines(page).nth(4).locator(".text").click(position={"x": 3, "y": 8})
    until(page, f"!{PAUSED} && {SECONDS} >= {served[4]['start']}")
    assert page.evaluate(SECONDS) < served[4]["start"] + 2
    assert lines(page).nth(4).get_attribute("aria-current") == "true"
    until(page, f"{WORD} === {served[4]['words'][0]['word'].strip()!r}")


def test_keys_follow_mode_links_and_what_is_found(page: Page, transcribed: Reelscribe) -> None:
    page.set_viewport_size({"width": 360, "height": 500})
    page.goto("/media/player/minute.webm#t=20")
    until(page, f"{SECONDS} === 20 && document.querySelector('video').readyState > 0")
    spoken = page.locator("[aria-current=true]")
    until(page, IN_VIEW)
    for key, seconds in (("j", 10), ("l", 20), ("ArrowRight", 25), ("F1", 20), ("ArrowLeft", 15), ("F3", 20)):
        page.keyboard.press(key)
        assert page.evaluate(SECONDS) == pytest.approx(seconds, abs=0.01), key
    page.keyboard.press("]")
    assert page.evaluate(SECONDS) == pytest.approx(float(spoken.get_attribute("data-start") or -1), abs=0.01)
    page.keyboard.press(">")
    assert page.evaluate("document.querySelector('video').playbackRate") == 1.1
    page.keyboard.press("k")
    until(page, f"!{PAUSED} && {SECONDS} > 21")
    page.keyboard.press("Space")
    paused_at = page.evaluate(SECONDS)
    page.keyboard.press("F2")  # goes back by 2 s first
    assert paused_at - 2.2 < page.evaluate(SECONDS) < paused_at

    page.mouse.move(180, 400)
    page.mouse.wheel(0, 3000)  # the reader looks elsewhere: the spoken line is no longer followed
    resync = page.get_by_role("button", name="Back to the spoken line")
    expect(resync).to_be_visible()
    until(page, f"!{IN_VIEW}")
    page.keyboard.press("]")
    assert not page.evaluate(IN_VIEW)
    resync.click()
    until(page, IN_VIEW)
    expect(resync).to_be_hidden()

    page.keyboard.press("/")
    page.keyboard.type("k horse")  # letters are text here, and no keys
    assert not page.evaluate(PAUSED)
    page.keyboard.press("Control+a")
    page.keyboard.type("THE")
    expect(page.locator("#found")).to_have_text(re.compile(r"^\d+ found"))
    page.keyboard.press("Enter")
    expect(page.locator("#found")).to_have_text(re.compile(r"^\d+ of \d+"))
    assert page.evaluate("[...CSS.highlights.get('hit-shown')].map((r) => r.startContainer.data"
                         ".slice(r.startOffset, r.endOffset).toLowerCase()).join()") == "the"  # fmt: skip

    page.locator("#goto-time").fill("0:42.5")
    page.keyboard.press("Enter")
    until(page, f"{SECONDS} >= 42.5")
    link = spoken.get_by_role("link")
    link.click()  # a moment to share; then space is the player's
    assert page.url.endswith(f"#t={float(spoken.get_attribute('data-start') or -1):g}")
    assert page.evaluate("document.activeElement.localName") == "video"
    until(page, f"!{PAUSED}")
    page.keyboard.press("Space")  # the browser's own controls do not take it as well
    until(page, PAUSED)
    page.wait_for_timeout(100)
    assert page.evaluate(PAUSED)
    stopped_at = page.evaluate(SECONDS)
    page.keyboard.press("ArrowLeft")
    assert page.evaluate(SECONDS) == pytest.approx(stopped_at - 5, abs=0.01)
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keys").get_by_text("Back 10 seconds")).to_be_visible()
    assert page.evaluate("document.getElementById('help').scrollTop") == 0  # the list begins with its first key
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Settings").click()
    page.get_by_label("Keys control the player").uncheck()
    page.keyboard.press("Escape")
    page.locator("h1").click()
    before = page.evaluate(PAUSED)
    page.keyboard.press("k")
    assert page.evaluate(PAUSED) == before


def test_the_documentation_lists_each_key() -> None:
    table = (FOLDER / "shortcuts.js").read_text()
    keys = {key for keys in re.findall(r"keys: \[(.*?)\], action", table) for key in re.findall('"(.*?)"', keys)}
    written = {" ": "space", "ArrowLeft": "left", "ArrowRight": "right"}
    documented = DOCUMENTATION.read_text()
    assert len(keys) > 20
    assert {key for key in keys if written.get(key, f"`{key}`") not in documented} == set()


def test_what_people_wrote_is_shown_as_they_wrote_it_also_without_scripts(
    page: Page, browser: Browser, transcribed: Reelscribe
) -> None:
    address = f"{transcribed.orchestrator_url}/media/{HOSTILE.replace('<', '%3C').replace(' ', '%20')}"
    page.goto(address)
    with_scripts = lines(page).locator(".text").all_text_contents()
    assert [with_scripts[index] for index in TEXTS] == list(TEXTS.values())
    assert page.locator("h1").text_content() == HOSTILE and "<img" in page.title()
    cues = page.evaluate("""async () => {
        const track = document.querySelector("track");
        track.track.mode = "hidden";
        while (track.readyState < 2) await new Promise((wait) => setTimeout(wait, 20));
        return [...track.track.cues].map((cue) => cue.getCueAsHTML().textContent);
    }""")
    written = httpx.get(f"{transcribed.orchestrator_url}/api/transcripts/{HOSTILE}", params={"format": "vtt"}).text
    assert cues == [html.unescape(cue.text) for cue in webvtt.from_buffer(io.StringIO(written))]  # type: ignore[attr-defined]
    assert cues == [html.unescape(cue.plaintext) for cue in pysubs2.SSAFile.from_string(written, format_="vtt")]
    said = " ".join(" ".join(cues).split())
    assert " ".join(" ".join(TEXTS[index] for index in sorted(TEXTS)).split()) in said

    without = browser.new_page(java_script_enabled=False)
    without.goto(address)
    assert lines(without).locator(".text").all_text_contents() == with_scripts
    expect(without.locator("video")).to_be_visible()
    expect(without.locator("#controls")).to_be_hidden()
    without.get_by_text("Download", exact=True).click()
    with without.expect_download() as saved:
        without.get_by_role("link", name="srt").click()
    assert saved.value.suggested_filename.endswith(".en.srt")
    without.get_by_text("Receipt", exact=True).click()
    expect(without.get_by_text("SHA-256 of the audio")).to_be_visible()
    without.close()


def test_why_there_is_no_transcript_or_not_all_of_one(page: Page, transcribed: Reelscribe) -> None:
    page.goto("/media/player/cut.webm")
    expect(page.locator("#incomplete")).to_contain_text("This transcript is incomplete. ")
    page.goto("/media/player/none.webm")
    expect(page.locator("#situation")).to_contain_text(
        re.compile("It failed: .*none.webm.* The same request fails again")
    )
    page.get_by_role("button", name="Try again").click()
    expect(page.locator("#situation")).to_contain_text("It failed")
    expect(page.locator("#player-note")).to_contain_text("This recording cannot be played: ")
    expect(page.locator("#player")).to_be_hidden()
    answer = page.goto("/media/player/unknown.webm")
    assert answer and answer.status == 404
    expect(page.locator("main")).to_contain_text("player/unknown.webm has not been submitted")


def test_of_a_video_that_browsers_cannot_play_the_sound_is_played_with_its_waveform(
    page: Page, transcribed: Reelscribe
) -> None:
    with page.expect_response(lambda answer: "/peaks?" in answer.url) as waveform:
        page.goto("/media/talks/short.mp4#t=4")
    expect(page.locator("#player-note")).to_have_text("Browsers do not show mpeg4: its sound is played.")
    until(page, "document.querySelector('audio')?.duration > 7")
    assert waveform.value.ok and page.evaluate("document.querySelector('audio').currentTime") == 4
    page.get_by_role("slider", name="Position in the recording").press("ArrowRight")
    until(page, "document.querySelector('audio').currentTime > 7")
    expect(page.get_by_role("slider")).to_have_attribute("aria-valuetext", re.compile("^[78] seconds of 8 seconds$"))


def test_words_that_the_model_was_unsure_of_are_shaded_if_the_reader_wants_that(
    page: Page, transcribed: Reelscribe
) -> None:
    page.goto("/media/player/minute.webm")
    for action, shaded in (("check", "CSS.highlights.get('unsure')?.size > 5"), ("uncheck", UNSHADED)):
        page.get_by_role("button", name="Settings").click()
        getattr(page.get_by_label("Shade words"), action)()
        page.keyboard.press("Escape")
        until(page, shaded)


def test_where_colours_are_forced_the_spoken_line_is_still_the_marked_one(page: Page, transcribed: Reelscribe) -> None:
    page.emulate_media(forced_colors="active")
    page.goto("/media/player/minute.webm#t=20")
    border = "(line) => getComputedStyle(line).borderLeftColor"
    spoken = page.locator("[aria-current=true]").evaluate(border)
    assert spoken not in lines(page).evaluate_all(f"(all) => all.slice(0, 3).map({border})")


def test_a_page_under_another_name_than_that_of_links_plays(page: Page, transcribed: Reelscribe) -> None:
    def with_links_of_another_host(route: Route) -> None:
        answer = route.fetch()
        links = {name: f"http://public.example{link}" for name, link in answer.json().items() if name.endswith("url")}
        route.fulfill(response=answer, json={**answer.json(), **links})

    page.route("**/api/media/player/minute.webm", with_links_of_another_host)
    page.goto("/media/player/minute.webm")
    lines(page).first.click()
    until(page, f"!{PAUSED} && {SECONDS} > 0.5")
    page.goto("/search?q=the&prefix=player/minute")
    page.get_by_role("button", name=re.compile("^Play from")).first.click()
    until(page, "document.querySelector('video')?.readyState > 1")


def test_with_a_player_and_seven_more_tabs_the_next_request_still_starts(
    context: BrowserContext, page: Page, transcribed: Reelscribe
) -> None:
    page.goto("/media/player/minute.webm")
    lines(page).first.click()
    until(page, f"!{PAUSED} && {SECONDS} > 0.5")
    tabs = [context.new_page() for _ in range(7)]
    for tab in tabs:
        tab.goto("/", wait_until="domcontentloaded")
    tabs[-1].get_by_label("Savepaths, one per line").fill("player/none.webm\n")
    with tabs[-1].expect_response("**/api/jobs") as submitted:
        tabs[-1].get_by_role("button", name="Transcribe").click()
    assert submitted.value.status == 202 and not page.evaluate(PAUSED)


def test_the_page_of_a_recording_is_accessible_and_its_html_is_valid(page: Page, transcribed: Reelscribe) -> None:
    page.goto("/media/player/none.webm")
    check_page(page)
    page.goto("/media/player/cut.webm?q=the")
    lines(page).nth(2).locator(".text").click()
    check_page(page)
    page.keyboard.press("?")
    check_page(page)
    check_html(*(f"{transcribed.orchestrator_url}/media/player/{path}" for path in ("cut.webm", "none.webm")))
