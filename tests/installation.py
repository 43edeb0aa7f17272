"""A running installation of all services as real processes, started as a user starts it: ``orchestrator up``."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.guard import temporary_folder
from tests.waiting import TIMEOUT_SECONDS

START_SECONDS = 2 * TIMEOUT_SECONDS


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
            capture_output=True, text=True, input=stdin, timeout=250,
        )  # fmt: skip
        assert completed.returncode == code, completed.stdout + completed.stderr
        assert "Traceback" not in completed.stderr
        return completed.stdout + completed.stderr if code else completed.stdout

    def transcript(self, savepath: str) -> dict[str, Any]:
        shown: dict[str, Any] = json.loads(self.run("show", savepath, "--json"))
        return shown


@contextmanager
def installed(fill_bucket: Callable[[Path], None], sections: str = "") -> Iterator[Reelscribe]:
    """An installation during the block; nothing of it is left running.

    Args:
        fill_bucket: is called with the folder of the bucket ``videos``.
        sections: of config.cfg, in addition to those that name ports and folders.
    """
    with temporary_folder("reelscribe-e2e-") as folder:
        (folder / "minio/videos").mkdir(parents=True)
        fill_bucket(folder / "minio/videos")
        with ExitStack() as held:
            sockets = [held.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(3)]
            extractor, transcriber, orchestrator = (taken.getsockname()[1] for taken in sockets)
        (folder / "config.cfg").write_text(
            f"[server]\nport = {extractor}\n\n[paths]\nminio_data_path = minio\n\n"
            f"[transcriber]\nport = {transcriber}\nextractor_url = http://127.0.0.1:{extractor}\n\n"
            f"[orchestrator]\nport = {orchestrator}\ntranscriber_urls = http://127.0.0.1:{transcriber}\n"
            f"extractor_url = http://127.0.0.1:{extractor}\n\n"
            f"[database]\ndata_dir = data/postgres\n\n{sections}"
        )
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "orchestrator", "up", "--config", folder / "config.cfg"],
                stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        try:
            _wait_until_ready(folder / "log", process)
            host = "http://127.0.0.1"
            yield Reelscribe(folder, f"{host}:{extractor}", f"{host}:{transcriber}", f"{host}:{orchestrator}", process)
        finally:
            process.send_signal(signal.SIGTERM)
            code = process.wait(START_SECONDS)
        assert code == 0, (folder / "log").read_text()
        assert not _processes_of(folder), "something is left running"


def _wait_until_ready(log: Path, process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + START_SECONDS
    while "open the page: " not in log.read_text():
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
