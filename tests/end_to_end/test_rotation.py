"""A token is replaced on all services while they work: nothing is refused, nothing restarts, no attempt fails."""

import re
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from tests.installation import Reelscribe, installed
from tests.waiting import blocking_eventually

SERVICES = ("extractor-api", "transcriber", "orchestrator")


@pytest.fixture(scope="module")
def guarded(make_video: Callable[..., Path]) -> Iterator[Reelscribe]:
    """All services, which ask for a token."""

    def fill(bucket: Path) -> None:
        make_video(bucket / "short.mp4")
        (bucket.parents[1] / "tokens").write_text("the-old-token services\nmine me\n")

    with installed(fill, "[auth]\ntoken_file = tokens\n") as running:
        yield running


class Clients(threading.Thread):
    """Ask all services without a pause, and submit one job after the other.

    Attributes:
        token: that they show.
        statuses: of the answers.
        jobs: that were submitted.
    """

    def __init__(self, services: Reelscribe, token: str) -> None:
        super().__init__(daemon=True)
        self.token, self.jobs = token, list[int]()
        self.statuses: Counter[tuple[str, int]] = Counter()
        self._services, self._ended = services, threading.Event()

    def run(self) -> None:
        routes = {
            "extractor": f"{self._services.extractor_url}/probe?savepath=short.mp4",
            "transcriber": f"{self._services.transcriber_url}/v1/models",
            "orchestrator": f"{self._services.orchestrator_url}/api/status",
        }
        with httpx.Client(timeout=60) as http:
            while not self._ended.is_set():
                headers = {"Authorization": f"Bearer {self.token}"}
                for name, url in routes.items():
                    self.statuses[name, http.get(url, headers=headers).status_code] += 1
                body = {"savepath": "short.mp4", "force": True}
                answer = http.post(f"{self._services.orchestrator_url}/api/jobs", json=body, headers=headers)
                self.statuses["submitted", answer.status_code] += 1
                self.jobs += [job["id"] for job in answer.json()["jobs"]]
                self._wait_for(http, self.jobs[-1], headers)

    def _wait_for(self, http: httpx.Client, job: int, headers: dict[str, str]) -> None:
        while True:
            found = http.get(f"{self._services.orchestrator_url}/api/jobs/{job}", headers=headers).json()
            if found["state"] in ("done", "failed", "cancelled"):
                self.statuses[f"job {found['state']} at attempt {found['attempt']}", 0] += 1
                return
            time.sleep(0.05)

    def more_jobs(self, count: int = 2) -> None:
        """Wait until so many more have ended."""
        wanted = len(self.jobs) + count
        blocking_eventually(lambda: len(self.jobs) > wanted)

    def end(self) -> None:
        self._ended.set()
        self.join(60)


@pytest.mark.timeout(600)
def test_a_token_is_replaced_while_jobs_run_and_nothing_is_refused(guarded: Reelscribe) -> None:
    log, tokens = guarded.folder / "log", guarded.folder / "tokens"
    clients = Clients(guarded, "the-old-token")
    clients.start()

    def take(lines: str, by_signal: bool) -> None:
        """One step: the file has these lines, and all services have read it, one after the other."""
        before = Counter(re.findall(r"(\S+): read again: tokens", log.read_text()))
        tokens.write_text(lines)
        if by_signal:
            guarded.process.send_signal(signal.SIGHUP)

        def have_read() -> bool:
            now = Counter(re.findall(r"(\S+): read again: tokens", log.read_text()))
            return all(now[name] > before[name] for name in SERVICES)

        blocking_eventually(have_read)
        clients.more_jobs()

    clients.more_jobs()
    take("the-old-token services\na-new-token next\nmine me\n", by_signal=True)
    clients.token = "a-new-token"
    take("a-new-token next\nthe-old-token services\nmine me\n", by_signal=False)
    take("a-new-token services\nmine me\n", by_signal=True)
    clients.end()

    assert {status for name, status in clients.statuses if not name.startswith("job")} == {200, 202}
    assert {name for name, _ in clients.statuses if name.startswith("job")} == {"job done at attempt 1"}
    for url in (guarded.extractor_url, guarded.transcriber_url, guarded.orchestrator_url):
        metrics = httpx.get(f"{url}/metrics", headers={"Authorization": "Bearer mine"})
        assert 'reelscribe_http_failures_total{code="unauthorized"}' not in metrics.text
        assert httpx.get(f"{url}/metrics", headers={"Authorization": "Bearer the-old-token"}).status_code == 401
    for secret in ("the-old-token", "a-new-token"):
        assert secret not in log.read_text()
