"""A real Prometheus with the configuration of deploy/monitoring, which scrapes an installation of these tests."""

import re
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx

from tests.installation import Reelscribe

MONITORING = Path(__file__).parents[2] / "deploy/monitoring"
PROGRAMS = ("prometheus", "promtool")
INSTALLED = all(map(shutil.which, PROGRAMS))
START_SECONDS = 60


class Prometheus:
    """One that runs.

    Attributes:
        http: a client of its API.
    """

    def __init__(self, http: httpx.Client) -> None:
        self.http = http

    def query(self, expression: str) -> list[dict[str, Any]]:
        """The samples of an instant query."""
        answer = self.http.get("/api/v1/query", params={"query": expression})
        assert answer.status_code == 200, f"{expression}: {answer.text}"
        samples: list[dict[str, Any]] = answer.json()["data"]["result"]
        return samples

    def rules(self) -> list[dict[str, Any]]:
        """Those that it evaluates."""
        groups = self.http.get("/api/v1/rules").json()["data"]["groups"]
        return [rule for group in groups for rule in group["rules"]]


@contextmanager
def watching(reelscribe: Reelscribe, token: str, folder: Path) -> Iterator[Prometheus]:
    """A Prometheus that scrapes each second, until the end of the block."""
    text = (MONITORING / "prometheus.yml").read_text()
    (folder / "token").write_text(token)
    for role, url in (
        ("storage", reelscribe.extractor_url),
        ("gpu", reelscribe.transcriber_url),
        ("archive", reelscribe.orchestrator_url),
    ):
        text, count = re.subn(rf"{role}\.example\.com:\d+", urlsplit(url).netloc, text)
        assert count == 1
    text = text.replace("/etc/prometheus/reelscribe-token", str(folder / "token")).replace(": 15s", ": 1s")
    (folder / "prometheus.yml").write_text(text)
    shutil.copy(MONITORING / "reelscribe.rules.yml", folder)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [
                *("prometheus", "--config.file", folder / "prometheus.yml", "--storage.tsdb.path", folder / "data"),
                *("--web.listen-address", address),
            ],
            stdout=log,
            stderr=log,
        )
    try:
        with httpx.Client(base_url=f"http://{address}", timeout=10) as http:
            deadline = time.monotonic() + START_SECONDS
            while not _is_ready(http):
                assert process.poll() is None and time.monotonic() < deadline, (folder / "log").read_text()
                time.sleep(0.1)
            yield Prometheus(http)
    finally:
        process.terminate()
        process.wait(60)


def _is_ready(http: httpx.Client) -> bool:
    try:
        return http.get("/-/ready").status_code == 200
    except httpx.TransportError:
        return False
