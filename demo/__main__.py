"""All of Reelscribe on this host: a bucket with one video, three services, one transcript; then everything stops.

Run it with ``make demo``. All files it writes are in ``demo/data``; remove that folder to start from scratch.
The video is a talk of a minute, transcribed by Whisper's ``tiny.en``. Where that cannot be had, the bundled ``mini``
transcribes a recording of the few words that it knows.
"""

import filecmp
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from reelscribe.child_process import end_with_parent
from reelscribe.errors import SettingsError
from transcriber.model.finding import find_model

DEMO = Path(__file__).parent
DATA = DEMO / "data"
START_SECONDS = 90
ORCHESTRATOR = [sys.executable, "-m", "orchestrator"]


@dataclass(frozen=True)
class Shown:
    """What the demo transcribes.

    Attributes:
        kind: of recording, for people.
        file: the recording, in this project.
    """

    kind: str
    file: Path
    model: str

    @property
    def savepath(self) -> str:
        return f"demo/{self.file.name}"


TALK = Shown("video", DEMO / "demo.mp4", "tiny.en")
FEW_WORDS = Shown("recording", DEMO.parent / "tests" / "speech" / "minute.flac", "mini")


def main() -> int:
    """Run the demo; returns the exit code."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        return _show(_choose())
    except KeyboardInterrupt:
        print("\nInterrupted; all processes are stopped.", file=sys.stderr)
        return 130


def _choose() -> Shown:
    try:
        find_model(TALK.model)
    except SettingsError:
        print(
            f"{TALK.model} can be had neither from Hugging Face nor from a package index, so the bundled model "
            f"{FEW_WORDS.model} transcribes a recording of the 216 words that it knows."
        )
        return FEW_WORDS
    return TALK


def _show(shown: Shown) -> int:
    savepath = shown.savepath
    print(f"1. A bucket with one {shown.kind}: {savepath}")
    _fill_bucket(shown)
    urls = _write_config(shown.model)
    print("2. PostgreSQL, extractor, transcriber and orchestrator, each in a process of its own", flush=True)
    with _services(urls):
        print(f"3. orchestrator submit {savepath} --wait", flush=True)
        submitted = _orchestrator("submit", savepath, "--wait", "--force")
        if submitted == 0:
            print(f"4. orchestrator show {savepath} --timestamps", flush=True)
            _orchestrator("show", savepath, "--timestamps")
    print("5. All processes are stopped.", flush=True)
    return submitted


def _fill_bucket(shown: Shown) -> None:
    recording = DATA / "minio" / "videos" / shown.savepath
    recording.parent.mkdir(parents=True, exist_ok=True)
    if not recording.exists() or not filecmp.cmp(recording, shown.file, shallow=False):
        recording.write_bytes(shown.file.read_bytes())


def _write_config(model: str) -> list[str]:
    """Write ``demo/data/config.cfg`` with three free loopback ports; returns the URLs of the services."""
    with ExitStack() as held:
        sockets = [held.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(3)]
        extractor, transcriber, orchestrator = (taken.getsockname()[1] for taken in sockets)
    (DATA / "config.cfg").write_text(
        f"[server]\nport = {extractor}\n\n"
        f"[paths]\nminio_data_path = minio\nbucket_name = videos\n\n"
        f"[transcriber]\nport = {transcriber}\nextractor_url = http://127.0.0.1:{extractor}\nmodel = {model}\n\n"
        f"[orchestrator]\nport = {orchestrator}\ntranscriber_urls = http://127.0.0.1:{transcriber}\n"
        f"extractor_url = http://127.0.0.1:{extractor}\n\n"
        f"[database]\nurl = embedded\ndata_dir = postgres\n"
    )
    return [f"http://127.0.0.1:{port}" for port in (extractor, transcriber, orchestrator)]


@contextmanager
def _services(urls: list[str]) -> Iterator[None]:
    """Run ``orchestrator up`` until the block ends, in its own session, so that Ctrl-C reaches it only through us."""
    log = DATA / "services.log"
    with log.open("wb") as output:
        up = subprocess.Popen(
            [*ORCHESTRATOR, "up", "--config", DATA / "config.cfg"],
            stdout=output,
            stderr=output,
            start_new_session=True,
            preexec_fn=end_with_parent(),
        )
    try:
        _wait_until_healthy(urls, up, log)
        yield
    finally:
        up.send_signal(signal.SIGTERM)
        up.wait()


def _wait_until_healthy(urls: list[str], up: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not all(map(_healthy, urls)):
        if up.poll() is not None or time.monotonic() > deadline:
            raise SystemExit(f"the services did not start; {log} says why:\n{log.read_text()[-2000:]}")
        time.sleep(0.1)


def _healthy(url: str) -> bool:
    try:
        return httpx.get(f"{url}/healthz").status_code == 200
    except httpx.TransportError:
        return False


def _orchestrator(command: str, *arguments: str) -> int:
    return subprocess.call([*ORCHESTRATOR, command, *arguments, "--config", DATA / "config.cfg"])


if __name__ == "__main__":
    sys.exit(main())
