"""What every page has to pass: axe-core in both themes and at both widths, and html-validate on what is served."""

import fcntl
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Page

NPM = Path(__file__).parent.parent.parent / "npm"
"""A package.json with the two tools; they are installed here once."""
MODULES = NPM / "node_modules"
WIDTHS = (360, 1440)
THEMES = ("light", "dark")

RUN_AXE = """async () => (await axe.run(document, {resultTypes: ['violations']})).violations.flatMap(
    ({id, impact, help, nodes}) => nodes.map(({target, failureSummary}) =>
        `${id} (${impact}): ${help}: ${target}: ${failureSummary}`))"""


@cache
def npm_tools() -> str | None:
    """Install axe-core and html-validate; why they are not there, if they are not."""
    if not (shutil.which("npm") and shutil.which("node")):
        return "npm and node are not installed"
    with (Path(tempfile.gettempdir()) / "reelscribe-npm.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # tests run in several processes
        if all((MODULES / name).exists() for name in ("axe-core", "html-validate")):
            return None
        command = ["npm", "install", "--no-package-lock", "--no-audit", "--no-fund", "--ignore-scripts"]
        try:
            ran = subprocess.run(command, cwd=NPM, capture_output=True, text=True, timeout=90)
        except subprocess.TimeoutExpired:
            return "npm install takes too long"
        return None if ran.returncode == 0 else f"npm cannot install the tools: {ran.stderr.strip()[-200:]}"


def check_page(page: Page) -> None:
    """Check the page as it is now: axe-core finds nothing in either theme at either width, and nothing is cut off.

    Skips the test, as its last step, if axe-core cannot be installed.
    """
    if missing := npm_tools():
        pytest.skip(missing)
    size, axe = page.viewport_size, (MODULES / "axe-core/axe.min.js").read_text()
    found = []
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 800})
        for theme in THEMES:
            page.emulate_media(color_scheme=theme)  # type: ignore[arg-type]
            page.evaluate(f"() => {{ {axe} }}")  # not by a tag: the policy of the page allows no script but its own
            found += [f"{theme}, {width} px: {problem}" for problem in page.evaluate(RUN_AXE)]
        if (over := page.evaluate("document.documentElement.scrollWidth - innerWidth")) > 0:
            found.append(f"{width} px: the page is {over} px too wide")
    page.emulate_media(color_scheme="light")
    if size:
        page.set_viewport_size(size)
    assert not found, "\n".join(found)


def check_html(*urls: str) -> None:
    """Have html-validate look at pages as they are served. Skips the test, as its last step, if it is missing."""
    if missing := npm_tools():
        pytest.skip(missing)
    with tempfile.TemporaryDirectory() as folder:
        for number, url in enumerate(urls):
            (Path(folder) / f"{number}.html").write_text(httpx.get(url, headers={"Accept": "text/html"}).text)
        ran = subprocess.run(
            ["node", MODULES / "html-validate/bin/html-validate.mjs", "--config", NPM / "html-validate.json", folder],
            capture_output=True,
            text=True,
        )
    assert ran.returncode == 0, ran.stdout + ran.stderr
