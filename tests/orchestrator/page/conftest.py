"""A real browser on a real installation; one browser for the tests of a module."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from tests.chromium import CHROMIUM, OPTIONS
from tests.installation import Reelscribe
from tests.waiting import TIMEOUT_SECONDS


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium. A module that uses it has no asynchronous tests: its event loop runs until the module ends."""
    if not CHROMIUM.exists():
        pytest.skip("chromium is not installed")
    expect.set_options(timeout=1000 * TIMEOUT_SECONDS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=OPTIONS)
        yield browser
        browser.close()


@pytest.fixture
def context(browser: Browser, reelscribe: Reelscribe) -> Iterator[BrowserContext]:
    """A fresh profile; a relative address is one of the orchestrator. No page may log an error or break its policy."""
    problems: list[str] = []
    with browser.new_context(base_url=reelscribe.orchestrator_url, locale="en-GB", timezone_id="Europe/Berlin") as new:
        new.on("weberror", lambda raised: problems.append(str(raised.error)))
        new.on("console", lambda line: problems.append(line.text) if "Content Security Policy" in line.text else None)
        yield new
    assert not problems, "\n".join(problems)


@pytest.fixture
def page(context: BrowserContext) -> Page:
    """A tab."""
    context.set_default_timeout(1000 * TIMEOUT_SECONDS)
    return context.new_page()
