"""No secret is where others may look: logs, answers, command lines, environments, what commands print, core files."""

import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from base64 import b64encode
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import httpx
import psutil
import pytest

from orchestrator.database import embedded
from tests.guard import temporary_folder
from tests.installation import Reelscribe, installed

TOKEN = "7c1f-token-that-no-one-may-see"
MINIO_KEY = "9d2e-minio-key-that-no-one-may-see"
DATABASE_PASSWORD = "5b3a-password-that-no-one-may-see"
WEBHOOK_SECRET = b64encode(b"a secret of webhooks that no one may see").decode()
SECTIONS = """
[auth]
token_file = secrets/tokens
tls_ca = secrets/own.pem
tls_client_cert = secrets/own.pem
tls_client_key = secrets/own.key

[minio]
endpoint = 127.0.0.1:9
access_key = reader
secret_key_file = secrets/minio

[webhooks]
secret_file = secrets/webhook
"""


class Secret(NamedTuple):
    what: str
    value: bytes


class Watch(threading.Thread):
    """Looks at the command line and the environment of every process, again and again.

    Attributes:
        seen: the programs that ran below the services.
        found: which secret was where.
        core_limits: of those programs, in bytes.
    """

    def __init__(self, secrets: list[Secret], services: psutil.Process) -> None:
        super().__init__(daemon=True)
        self.seen: set[str] = set()
        self.found: set[str] = set()
        self.core_limits: set[str] = set()
        self._secrets, self._services, self._ended = secrets, services, threading.Event()

    def run(self) -> None:
        while not self._ended.wait(0.05):
            ours = {process.pid for process in self._services.children(recursive=True)} | {self._services.pid}
            for pid in psutil.pids():
                self._look_at(pid, pid in ours)

    def end(self) -> None:
        self._ended.set()
        self.join(30)

    def _look_at(self, pid: int, is_ours: bool) -> None:
        folder = Path(f"/proc/{pid}")
        try:
            name = (folder / "comm").read_text().strip()
            text = (folder / "cmdline").read_bytes() + (folder / "environ").read_bytes()
            limits = (folder / "limits").read_text() if is_ours else ""
        except OSError:  # it has ended
            return
        self.found |= {f"{secret.what} in {name}" for secret in self._secrets if secret.value in text}
        if is_ours and limits:
            self.seen.add(name)
            self.core_limits |= set(re.findall(r"Max core file size +(\w+)", limits))


@pytest.fixture(scope="module")
def external_database() -> Iterator[str]:
    """The URL of a PostgreSQL, with a password in it."""
    with temporary_folder("reelscribe-test-") as folder, embedded.running(folder / "postgres") as url:
        yield re.sub(r"//([^:@/]+)(:[^@/]*)?@", rf"//\1:{DATABASE_PASSWORD}@", url)


@pytest.fixture(scope="module")
def guarded(make_video: Callable[..., Path], external_database: str) -> Iterator[Reelscribe]:
    """All services with every secret that they can have."""
    assert DATABASE_PASSWORD in external_database

    def fill(bucket: Path) -> None:
        make_video(bucket / "short.mp4")
        shutil.copy(bucket / "short.mp4", bucket / "another.mp4")
        secrets, settings = bucket.parents[1] / "secrets", bucket.parents[1] / "conf.d"
        secrets.mkdir(mode=0o700)
        settings.mkdir()
        (secrets / "tokens").write_text(f"{TOKEN}\n")
        (secrets / "minio").write_text(f"{MINIO_KEY}\n")
        (secrets / "webhook").write_text(f"whsec_{WEBHOOK_SECRET}\n")
        command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost", "-days", "9"]
        command += ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", "own.key", "-out", "own.pem"]
        subprocess.run(command, cwd=secrets, check=True, capture_output=True)
        (settings / "secrets.cfg").write_text(
            f"[database]\nurl = {external_database}\n"
            f"[orchestrator]\ntls_cert = {secrets}/own.pem\ntls_key = {secrets}/own.key\n"
        )

    with installed(fill, SECTIONS) as running:
        yield running


@pytest.fixture(scope="module")
def secrets(guarded: Reelscribe) -> list[Secret]:
    """All that may be seen nowhere; of the key, a line in its middle."""
    line_of_key = (guarded.folder / "secrets/own.key").read_bytes().splitlines()[5]
    return [
        Secret("token", TOKEN.encode()),
        Secret("MinIO's key", MINIO_KEY.encode()),
        Secret("password of the database", DATABASE_PASSWORD.encode()),
        Secret("secret of webhooks", WEBHOOK_SECRET.encode()),
        Secret("TLS key", line_of_key),
    ]


def what_services_answer(guarded: Reelscribe) -> list[str]:
    """Answers of all services, successes and failures of each kind."""
    bearer, answers = {"Authorization": f"Bearer {TOKEN}"}, []
    with httpx.Client(verify=False, timeout=60) as http:
        page = guarded.orchestrator_url.replace("http:", "https:")
        for url in (guarded.extractor_url, guarded.transcriber_url, page):
            for path in ("/healthz", "/openapi.json", "/metrics", "/none", "/api/status", "/", "/sign-in"):
                answers += [http.get(url + path, headers=headers) for headers in (bearer, {})]
            answers.append(http.get(f"{url}/metrics", headers={"Authorization": f"Bearer {TOKEN}x"}))
        for url in (f"{guarded.extractor_url}/extract-audio", f"{guarded.transcriber_url}/transcribe"):
            for body in ({"savepath": "none.mp4"}, {"savepath": "../secrets/tokens"}, {"unknown": 1}):
                answers.append(http.post(url, json=body, headers=bearer))
        form = {"token": f"{TOKEN}x", "next": "/"}
        answers.append(http.post(f"{page}/sign-in", data=form, headers={"Origin": page}))
    statuses = {answer.status_code for answer in answers}
    assert {200, 400, 401, 404} <= statuses, statuses
    return [f"{answer.headers}\n{answer.text}" for answer in answers]


def what_commands_print(guarded: Reelscribe) -> list[str]:
    commands = [
        *(["orchestrator", *words] for words in (["config"], ["config", "--json"], ["check"], ["check", "--json"])),
        *(["orchestrator", *words] for words in (["status"], ["show", "short.mp4", "--json"], ["webhooks", "list"])),
        *([module, "check"] for module in ("extractor_api", "transcriber")),
    ]
    printed = []
    for module, *words in commands:
        command = [sys.executable, "-m", module, *words, "--config", str(guarded.config)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=100)
        assert done.stdout, done.stderr
        printed.append(done.stdout + done.stderr)
    return printed


@pytest.mark.timeout(600)
def test_no_secret_is_seen_anywhere_while_everything_is_used(guarded: Reelscribe, secrets: list[Secret]) -> None:
    watch = Watch(secrets, psutil.Process(guarded.process.pid))
    watch.start()
    guarded.run("submit", "short.mp4", "another.mp4", "--wait", "--language", "en")
    guarded.run("submit", "none.mp4", "--wait", code=1)
    answers, printed = what_services_answer(guarded), what_commands_print(guarded)
    extraction, bearer = f"{guarded.extractor_url}/extract-audio", {"Authorization": f"Bearer {TOKEN}"}
    while "ffmpeg" not in watch.seen:  # it runs for a moment only
        assert httpx.post(extraction, json={"savepath": "short.mp4"}, headers=bearer, verify=False).status_code == 200
    (guarded.folder / "secrets/tokens").write_text(f"{TOKEN} a name of many words\n")
    guarded.process.send_signal(signal.SIGHUP)
    said = (guarded.folder / "log").read_text
    while "tokens:1: a line is TOKEN" not in said():
        os.sched_yield()
    watch.end()

    places = {"an answer": answers, "what a command prints": printed, "the log": [said()]}
    found = {
        f"{secret.what} in {place}: {text[:200]}"
        for place, texts in places.items()
        for text in texts
        for secret in secrets
        if secret.value.decode() in text
    }
    assert not found
    assert not watch.found
    assert {"python3", "ffmpeg"} <= {re.sub(r"^python.*", "python3", name) for name in watch.seen}, watch.seen
    assert watch.core_limits == {"0"}, "a core file would hold all of them"


def test_the_search_for_secrets_finds_one(guarded: Reelscribe, secrets: list[Secret]) -> None:
    """Else the test above could not fail."""
    watch = Watch(secrets, psutil.Process(guarded.process.pid))
    watch.start()
    environment = {**os.environ, "A": MINIO_KEY}
    subprocess.run([sys.executable, "-c", "import time; time.sleep(1)", TOKEN], env=environment, check=True)
    watch.end()
    assert {found.split(" in ")[0] for found in watch.found} == {"token", "MinIO's key"}
