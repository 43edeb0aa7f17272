"""What all tests share: the ffmpeg of this host, and recordings made with it from the speech fixtures."""

import gc
import inspect
import logging
import os
import signal
import ssl
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import cast

import httpx
import hypothesis
import imageio_ffmpeg
import pytest

from reelscribe.logs import Console
from reelscribe.media import ffmpeg
from reelscribe.media.ffmpeg import FFmpeg
from tests import tiers
from tests.guard import pytest_configure as pytest_configure
from tests.installation import Reelscribe, installed
from tests.waiting import TIMEOUT_SECONDS

LONG_FILES = (
    "bench/test_benches.py",
    "end_to_end/test_hosts.py",
    "transcriber/test_real_words.py",
    "extractor_api/sound/test_channels.py",
    "end_to_end/test_crashes.py",
    "orchestrator/page/test_home.py",
    "orchestrator/database/test_embedded.py",
    "deploy/test_three_machines.py",
    "orchestrator/page/test_recording.py",
    "deploy/test_units_running.py",
    "extractor_api/test_ranges.py",
    "orchestrator/api/test_openapi.py",
    "end_to_end/test_transcripts.py",
    "transcriber/test_talk.py",
    "test_readme.py",
    "extractor_api/clips/test_traps.py",
    "orchestrator/database/backups/test_restore.py",
    "extractor_api/test_broken_inputs.py",
    "extractor_api/minio/test_s3_object.py",
    "bench/test_real.py",
    "extractor_api/test_media_matrix.py",
    "deploy/test_provisioning.py",
    "orchestrator/services/test_all_in_one.py",
)
"""Those that take longest: begun last, one of them would run while the other processes have nothing left to do."""

os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False
"""Tests start Python hundreds of times, and each would compile our modules again: 0.25 s of 1.1 s for a service."""

THOROUGH = bool(os.environ.get("THOROUGH"))
"""Break recordings in many more ways than is needed to notice a mistake soon: make fuzz."""

hypothesis.settings.register_profile(
    "busy host", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("busy host")

_request_timeout = inspect.signature(httpx.Client).parameters["timeout"].default
_request_timeout.connect = _request_timeout.read = _request_timeout.write = _request_timeout.pool = TIMEOUT_SECONDS
"""Of requests of tests that name none; httpx's own 5 s are too short on a busy host. Our services name theirs."""

_trusted = ssl.create_default_context()
for _function in (httpx.Client.__init__, httpx.AsyncClient.__init__, httpx.request, httpx.get, httpx.post, httpx.put):
    cast(dict[str, object], _function.__kwdefaults__)["verify"] = _trusted
"""Read once. Each client would read all authorities of the system: a quarter of the time of the tests' own Python."""

SPEECH = Path(__file__).parent / "speech"
SPEECH_SECONDS = {"short.flac": 7.5, "minute.flac": 60.0, "ten_minutes.ogg": 600.0, "silence.flac": 10.0}


sys.addaudithook(tiers.forbid)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add ``--tier``."""
    parser.addoption(
        "--tier",
        action="append",
        choices=tiers.TIERS,
        help="run only the tests of this tier (tests/tiers.py), if no file or folder is named; several: name it again",
    )


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave out the files of other tiers, and folders that have no others. They are not even imported."""
    chosen = config.getoption("tier")
    all_tests = {config.invocation_params.dir / name for name in config.args} == {tiers.TESTS}
    if not chosen or not all_tests:
        return None
    files = [collection_path] if collection_path.is_file() else collection_path.rglob("test_*.py")
    return not any(tiers.tier(file) in chosen for file in files) or None


def pytest_collection(session: pytest.Session) -> None:
    """Collect no garbage while modules are imported: there is little, and looking for it takes ever longer."""
    gc.disable()


def pytest_collection_finish(session: pytest.Session) -> None:
    gc.freeze()
    gc.enable()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    tiers.running(item.path)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_teardown() -> None:
    tiers.running(None)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run :data:`LONG_FILES` first."""
    order = {Path(__file__).parent / name: number for number, name in enumerate(LONG_FILES)}
    items.sort(key=lambda item: order.get(item.path, len(order)))


@pytest.fixture(autouse=True)
def _heed_stop_signals() -> None:
    """Processes inherit ignored signals: of a shell's background, of ``nohup``, and ours after ``serve``."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


@pytest.fixture(autouse=True)
def log_as_before() -> Iterator[None]:
    """A command that runs in this process sets the level of all loggers, and its own handler."""
    root = logging.getLogger()
    level = root.level
    yield
    root.setLevel(level)
    for handler in root.handlers[:]:
        if type(handler) is Console:
            root.removeHandler(handler)


@pytest.fixture(scope="session")
def local_ffmpeg() -> FFmpeg:
    return ffmpeg.locate(None)


@pytest.fixture(scope="session")
def making_ffmpeg() -> FFmpeg:
    """For what tests make and measure: one linked at its start, as Debian's is, takes six times as long to start."""
    return ffmpeg.locate(Path(imageio_ffmpeg.get_ffmpeg_exe()))


@pytest.fixture(scope="session")
def run_ffmpeg(making_ffmpeg: FFmpeg) -> Callable[..., None]:
    """Run ffmpeg with the given arguments; its error output is the failure."""
    return runs(making_ffmpeg)


def runs(ffmpeg: FFmpeg) -> Callable[..., None]:
    """Run this ffmpeg, as :func:`run_ffmpeg` does."""

    def run(*arguments: str | Path) -> None:
        command = [ffmpeg.path, "-hide_banner", "-loglevel", "error", "-nostdin", "-y", *arguments]
        completed = subprocess.run(command, capture_output=True, text=True)
        assert completed.returncode == 0, completed.stderr

    return run


@pytest.fixture(scope="session")
def make_video(run_ffmpeg: Callable[..., None]) -> Callable[..., Path]:
    """Make a small video with the audio of ``speech``, a file of tests/speech, and ``seconds`` of video."""

    def make(path: Path, speech: str = "short.flac", *options: str, seconds: float | None = None) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        audio = "libopus" if path.suffix in (".mkv", ".webm", ".ogg") else "aac"
        if speech.endswith(".ogg"):
            audio = "copy"  # to encode ten minutes takes ten seconds
        run_ffmpeg(
            *(
                "-f",
                "lavfi",
                "-i",
                f"testsrc=size=64x36:rate=5:duration={seconds or SPEECH_SECONDS[speech]}",
                "-i",
                SPEECH / speech,
            ),
            *("-c:v", "mpeg4", "-b:v", "50k", "-c:a", audio, "-b:a", "64k", "-movflags", "+faststart"),
            *options,
            path,
        )
        return path

    return make


@pytest.fixture(scope="session")
def reelscribe(make_video: Callable[..., Path]) -> Iterator[Reelscribe]:
    """All three services, with a few recordings in the bucket; the tests of one process share it."""

    def fill(bucket: Path) -> None:
        make_video(bucket / "talks/short.mp4")
        make_video(bucket / "talks/minute.mkv", "minute.flac")
        make_video(bucket / "talks/ten_minutes.mp4", "ten_minutes.ogg")
        make_video(bucket / "talks/quiet.mp4", "silence.flac")
        intact = make_video(bucket / "youtube/abc123.mp4", "minute.flac").read_bytes()
        (bucket / "talks/cut.mp4").write_bytes(intact[: len(intact) // 2])

    with installed(fill) as running:
        yield running
