"""Take pictures of every page, of a real installation with a few recordings: make screenshots

Writes PNG files into docs/images (or the folder given), light and dark, wide and narrow.
"""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Annotated, NamedTuple

import httpx
import typer
from playwright.sync_api import Browser, Page, sync_playwright

from tests.chromium import CHROMIUM, OPTIONS
from tests.installation import Reelscribe, installed

ROOT = Path(__file__).resolve().parent.parent
TALK = ROOT / "demo" / "demo.mp4"
RECORDINGS = (
    "lectures/2026/clara-bennett-the-archive.mp4",
    "lectures/2026/opening-of-the-term.mp4",
    "interviews/vermont/orchard-in-winter.mp4",
)
LONG = "lectures/2026/seminar-full-recording.mp4"
"""It still runs when the pictures are taken."""
MISSING = "interviews/vermont/never-uploaded.mp4"
WAITING = "interviews/vermont/part-two.mp4"
WORDS = {"": ["Reelscribe"], "interviews/vermont/": ["Ilse Okafor", "Northfield", "McIntosh"]}


class Shot(NamedTuple):
    """One picture: of a path, at a width, in a theme."""

    name: str
    path: str
    width: int = 1440
    height: int = 900
    theme: str = "light"


SHOTS = (
    Shot("home", "/"),
    Shot("home-dark", "/", theme="dark"),
    Shot("home-phone", "/", 360, 780),
    Shot("recording", f"/media/{RECORDINGS[0]}"),
    Shot("recording-dark", f"/media/{RECORDINGS[0]}", theme="dark"),
    Shot("recording-phone", f"/media/{RECORDINGS[0]}", 360, 780),
    Shot("search", "/search?q=recordings"),
    Shot("search-dark", "/search?q=recordings", theme="dark"),
    Shot("search-phone", "/search?q=recordings", 360, 780),
    Shot("datasets", "/datasets"),
    Shot("datasets-phone", "/datasets", 360, 780),
    Shot("vocabulary", "/vocabulary"),
    Shot("vocabulary-dark", "/vocabulary", theme="dark"),
)


def main(
    folder: Annotated[Path, typer.Argument(help="Where the pictures go.")] = ROOT / "docs" / "images",
    only: Annotated[str, typer.Option(help="Pictures whose names begin with this.")] = "",
) -> None:
    """Take the pictures."""
    folder.mkdir(parents=True, exist_ok=True)
    os.environ.setdefault("REELSCRIBE_TRANSCRIBER__MODEL", "tiny.en")
    os.environ.setdefault("REELSCRIBE_TRANSCRIBER__MAX_JOBS", "1")
    with installed(_fill) as running, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=OPTIONS)
        _transcribe(running)
        _make_datasets(running)
        for shot in SHOTS:
            if shot.name.startswith(only):
                _take(browser, running.orchestrator_url, shot, folder)
        browser.close()


def _fill(bucket: Path) -> None:
    for name in (*RECORDINGS, WAITING):
        (bucket / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(TALK, bucket / name)
    repeat = ["ffmpeg", "-loglevel", "error", "-stream_loop", "60", "-i", TALK, "-c", "copy", bucket / LONG]
    subprocess.run(repeat, check=True)


def _transcribe(running: Reelscribe) -> None:
    with httpx.Client(base_url=running.orchestrator_url) as client:
        for savepath in (MISSING, *RECORDINGS):
            client.post("/api/jobs", json={"savepath": savepath}).raise_for_status()
        while client.get("/api/status").json()["totals"].get("done", 0) < len(RECORDINGS):
            time.sleep(0.2)
        client.post("/api/jobs", json={"savepaths": [LONG]}).raise_for_status()
        while (job := client.get("/api/jobs", params={"text": LONG}).json()["jobs"][0])["progress_seconds"] < 120:
            assert job["state"] != "failed", job["error"]
            time.sleep(0.2)
        client.post("/api/jobs", json={"savepaths": [WAITING]}).raise_for_status()
        time.sleep(11)  # the chart has what ended ten seconds ago


def _make_datasets(running: Reelscribe) -> None:
    for kind, prefix in (("speech", "interviews/vermont/orchard"), ("pairs", "lectures/2026/o")):
        folder = str(running.folder / kind)
        running.run("dataset", "make", kind, "--prefix", prefix, "--output", folder)
        if kind == "speech":
            subprocess.run([sys.executable, "-m", "orchestrator", "dataset", "report", folder], check=True)
    for words_of, words in WORDS.items():
        running.run("vocabulary", "set", "--prefix", words_of, *words)


def _take(browser: Browser, url: str, shot: Shot, folder: Path) -> None:
    with browser.new_context(
        base_url=url,
        viewport={"width": shot.width, "height": shot.height},
        color_scheme="dark" if shot.theme == "dark" else "light",
        locale="en-GB",
        timezone_id="Europe/Berlin",
    ) as context:
        page = context.new_page()
        answer = page.goto(shot.path)
        if answer is None or not answer.ok:
            typer.echo(f"{shot.name}: {shot.path} answers {answer.status if answer else 'nothing'}; left out", err=True)
            return
        _settle(page)
        page.screenshot(path=folder / f"{shot.name}.png")
        typer.echo(f"{folder / shot.name}.png")


def _settle(page: Page) -> None:
    page.wait_for_load_state("load")
    page.wait_for_timeout(1500)


if __name__ == "__main__":
    typer.run(main)
