"""All services as real processes, started as a user starts them: ``orchestrator up``."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
import pytest

START_SECONDS = 60
TEXTS = Path(__file__).parent.parent / "speech"


@dataclass(frozen=True)
class Reelscribe:
    """A running installation: its folder, its URLs, and the command line on it."""

    folder: Path
    extractor_url: str
    transcriber_url: str
    orchestrator_url: str
    process: "subprocess.Popen[bytes]"

    @property
    def config(self) -> Path:
        return self.folder / "config.cfg"

    @property
    def bucket(self) -> Path:
        return self.folder / "minio" / "videos"

    def run(self, *arguments: str, code: int = 0, stdin: str = "") -> str:
        """Run ``orchestrator ARGUMENTS``; returns what it prints."""
        completed = subprocess.run(
            [sys.executable, "-m", "orchestrator", *arguments, "--config", self.config],
            capture_output=True, text=True, input=stdin, timeout=100,
        )  # fmt: skip
        assert completed.returncode == code, completed.stdout + completed.stderr
        assert "Traceback" not in completed.stderr
        return completed.stdout + completed.stderr if code else completed.stdout

    def transcript(self, savepath: str) -> dict[str, Any]:
        shown: dict[str, Any] = json.loads(self.run("show", savepath, "--json"))
        return shown


@pytest.fixture(scope="session")
def reelscribe(make_video: Callable[..., Path]) -> Iterator[Reelscribe]:
    with TemporaryDirectory(prefix="reelscribe-e2e-") as name:
        folder = Path(name)
        folder.chmod(0o755)  # root's PostgreSQL is another user
        make_video(folder / "minio/videos/talks/short.mp4")
        make_video(folder / "minio/videos/talks/minute.mkv", "minute.flac")
        make_video(folder / "minio/videos/talks/ten_minutes.mp4", "ten_minutes.ogg")
        make_video(folder / "minio/videos/talks/quiet.mp4", "silence.flac")
        intact = make_video(folder / "minio/videos/youtube/abc123.mp4", "minute.flac").read_bytes()
        (folder / "minio/videos/talks/cut.mp4").write_bytes(intact[: len(intact) // 2])
        with ExitStack() as held:
            sockets = [held.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(3)]
            extractor, transcriber, orchestrator = (taken.getsockname()[1] for taken in sockets)
        (folder / "config.cfg").write_text(
            f"[server]\nport = {extractor}\n\n[paths]\nminio_data_path = minio\n\n"
            f"[transcriber]\nport = {transcriber}\nextractor_url = http://127.0.0.1:{extractor}\n\n"
            f"[orchestrator]\nport = {orchestrator}\ntranscriber_urls = http://127.0.0.1:{transcriber}\n"
            f"extractor_url = http://127.0.0.1:{extractor}\n\n"
            f"[database]\ndata_dir = data/postgres\n"
        )
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "orchestrator", "up", "--config", folder / "config.cfg"],
                stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        try:
            _wait_until_ready(folder / "log", process)
            urls = [f"http://127.0.0.1:{port}" for port in (extractor, transcriber, orchestrator)]
            yield Reelscribe(folder, *urls, process)
        finally:
            process.send_signal(signal.SIGTERM)
            code = process.wait(60)
        assert code == 0, (folder / "log").read_text()
        assert not _processes_of(folder), "something is left running"


def _wait_until_ready(log: Path, process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + START_SECONDS
    while "all services are ready" not in log.read_text():
        assert process.poll() is None and time.monotonic() < deadline, log.read_text()
        time.sleep(0.1)


def _processes_of(folder: Path) -> list[str]:
    commands = []
    for process in Path("/proc").iterdir():
        if process.name.isdigit() and int(process.name) != os.getpid():
            try:
                command = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            except OSError:
                continue
            if str(folder) in command:
                commands.append(command)
    return commands


@pytest.fixture(scope="session")
def ground_truth() -> Callable[[str], dict[str, Any]]:
    """The text of a file of tests/speech and the times of its sentences."""

    def read(speech: str) -> dict[str, Any]:
        truth: dict[str, Any] = json.loads((TEXTS / speech).with_suffix(".json").read_text())
        return truth

    return read


def normal(text: str) -> str:
    """Text as it is compared: without case and punctuation."""
    return " ".join(re.sub(r"[^\w\s]", " ", text.lower()).split())


@pytest.fixture
def http() -> Iterator[httpx.Client]:
    with httpx.Client(timeout=60) as client:
        yield client
