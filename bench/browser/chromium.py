"""The browser of these benches."""

from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, sync_playwright

from tests.chromium import CHROMIUM, OPTIONS


@contextmanager
def chromium() -> Iterator[Browser]:
    """Chromium without a window, until the block ends."""
    if not CHROMIUM.exists():
        raise SystemExit("chromium is not installed")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=OPTIONS)
        yield browser
        browser.close()
