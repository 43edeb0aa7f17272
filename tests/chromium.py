"""A real browser without a window, and a web site of a test's own."""

import http.server
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread

CHROMIUM = Path(shutil.which("chromium") or shutil.which("chromium-browser") or "/usr/bin/chromium")

SITE = "evil.example"
"""A name that leads to this host in the browser, and nowhere else."""

OPTIONS = [
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-dev-shm-usage", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-proxy-server"),
    f"--host-resolver-rules=MAP {SITE} 127.0.0.1",
]


def dump_page(url: str, folder: Path) -> str:
    """What the browser shows of a URL, as HTML."""
    command: list[str | Path] = [CHROMIUM, *OPTIONS, f"--user-data-dir={folder}", "--dump-dom", url]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout


def run_script(script: str, folder: Path) -> None:
    """Have the browser run a script (the body of an async function) in a page of ``SITE``, to its end."""
    with _site(f"<script>(async () => {{ {script} }})().finally(() => fetch('/done'))</script>") as (url, done):
        browser = subprocess.Popen(
            [CHROMIUM, *OPTIONS, f"--user-data-dir={folder}", "--remote-debugging-port=0", url],
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            assert done.wait(60), "the script has not ended"
        finally:
            os.killpg(browser.pid, signal.SIGKILL)
            browser.wait(60)


@contextmanager
def _site(page: str) -> Iterator[tuple[str, Event]]:
    done = Event()

    class Site(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            if self.path == "/":
                self.wfile.write(page.encode())
            elif self.path == "/done":
                done.set()

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Site) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://{SITE}:{server.server_port}/", done
        finally:
            server.shutdown()
            thread.join()
