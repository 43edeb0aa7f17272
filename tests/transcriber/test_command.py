"""The ``transcriber`` command, as a process of its own."""

import json
import os
import re
import signal
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from reelscribe.media import inspection_process
from reelscribe.media.pictures import ready
from tests.transcriber.peer import SPEECH, Script, extractor
from tests.waiting import blocking_eventually

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "config.cfg"
    path.write_text("[server]\nport = 0\n[paths]\nminio_data_path = minio\n[transcriber]\nport = 0\n")
    return path


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Run the command to its end."""

    def command(*arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, "-m", "transcriber", *arguments],
            cwd=tmp_path,
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            timeout=60,
        )

    return command


class Service:
    """A running service, with what it has written on its console."""

    def __init__(self, package: str, config: Path, **environment: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", package, "--config", str(config)],
            env={**os.environ, **environment},
            stderr=subprocess.PIPE,
            text=True,
        )
        self.lines: list[str] = []
        self.url = self.read_until(r"server running on (\S+)")[1]

    def read_until(self, pattern: str) -> "re.Match[str]":
        assert self.process.stderr
        for line in self.process.stderr:
            self.lines.append(line)
            if found := re.search(pattern, line):
                return found
        raise AssertionError(f"ended without {pattern!r}:\n" + "".join(self.lines))


@pytest.fixture
def start() -> Iterator[Callable[..., Service]]:
    running: list[Service] = []

    def service(package: str, config: Path, **environment: str) -> Service:
        running.append(Service(package, config, **environment))
        return running[-1]

    yield service
    for one in running:
        one.process.kill()
        one.process.communicate()


def test_help_has_an_example(run: Run) -> None:
    assert "transcriber --config config.cfg" in run("--help").stdout
    assert "transcriber check --config config.cfg" in run("check", "--help").stdout


def test_mistakes_in_the_settings_are_printed_one_per_line(run: Run, config: Path) -> None:
    config.write_text("[transcriber]\nbatch_size = 0\nmodle = mini\n")
    completed = run("--config", str(config))
    assert completed.returncode == 2
    assert [line.split(": ")[1] for line in completed.stderr.splitlines()] == [
        "[transcriber] batch_size",
        "[transcriber] modle",
    ]


@pytest.mark.parametrize(
    ("model", "tried"),
    [("smal", "faster-whisper knows only"), ("someone/some-model", "the Hugging Face hub failed (HF_HUB_OFFLINE")],
    ids=["misspelt", "offline"],
)
def test_a_model_that_is_not_there_is_one_message_with_what_to_do(
    run: Run, config: Path, model: str, tried: str
) -> None:
    completed = run("--config", str(config), REELSCRIBE_TRANSCRIBER__MODEL=model, HF_HUB_OFFLINE="1")
    assert completed.returncode == 2
    assert "Traceback" not in completed.stderr
    loading, message = completed.stderr.splitlines()
    assert "loading the model" in loading
    for part in (f"'{model}'", tried, "copy the folder of a CTranslate2 Whisper model", "model = mini"):
        assert part in message


def test_a_folder_that_is_no_model_is_one_message(run: Run, config: Path, tmp_path: Path) -> None:
    completed = run("--config", str(config), REELSCRIBE_TRANSCRIBER__MODEL=str(tmp_path))
    assert (completed.returncode, len(completed.stderr.splitlines())) == (2, 2)
    assert "does not load on cpu" in completed.stderr


def test_a_gpu_that_is_not_there_is_one_message(run: Run, config: Path) -> None:
    completed = run("--config", str(config), REELSCRIBE_TRANSCRIBER__DEVICE="cuda", CUDA_VISIBLE_DEVICES="")
    assert (completed.returncode, len(completed.stderr.splitlines())) == (2, 2)
    assert "no CUDA GPU" in completed.stderr


def test_check_names_what_does_not_work(run: Run, config: Path) -> None:
    completed = run("check", "--config", str(config), REELSCRIBE_TRANSCRIBER__EXTRACTOR_URL="http://127.0.0.1:9")
    marks = [line.split(":")[0] for line in completed.stdout.splitlines()]
    assert (completed.returncode, marks) == (
        1,
        ["ok   config", "ok   ffmpeg", "ok   sandbox", "ok   model", "ok   device", "FAIL extractor"],
    )
    assert "model: mini from what is bundled, loaded in " in completed.stdout


def test_check_tries_its_token(start: Callable[..., Service], run: Run, config: Path, tmp_path: Path) -> None:
    for name in ("ours", "theirs"):
        (tmp_path / name).write_text(f"a-token-of-{name}-that-is-long-enough\n")
    (config.parent / "minio" / "videos").mkdir(parents=True, exist_ok=True)
    extractor = start("extractor_api", config, REELSCRIBE_AUTH__TOKEN_FILE=str(tmp_path / "theirs"))
    ours = {"REELSCRIBE_AUTH__TOKEN_FILE": str(tmp_path / "ours")}
    completed = run("check", "--config", str(config), REELSCRIBE_TRANSCRIBER__EXTRACTOR_URL=extractor.url, **ours)
    assert completed.returncode == 1
    assert f"FAIL extractor: the extractor at {extractor.url} does not accept the token that this host sends: " in (
        completed.stdout
    )


async def test_sigterm_hands_running_jobs_back_and_exits_with_0(start: Callable[..., Service], config: Path) -> None:
    script = Script(chunk_bytes=65_536, pause_seconds=0.02)
    async with extractor(script) as url:
        transcriber = start("transcriber", config, REELSCRIBE_TRANSCRIBER__EXTRACTOR_URL=url)
        events = []
        async with (
            httpx.AsyncClient(timeout=60) as client,
            client.stream("POST", f"{transcriber.url}/transcribe", json={"savepath": "ten_minutes.ogg"}) as answer,
        ):
            async for line in answer.aiter_lines():
                events.append(json.loads(line))
                if events[-1]["event"] == "progress" and len(events) > 2:
                    transcriber.process.send_signal(signal.SIGTERM)
        assert (events[-1]["event"], events[-1]["code"], events[-1]["retryable"]) == ("failed", "stopping", True)
        assert events[-1]["details"]["resume"] == pytest.approx(events[-2]["seconds"], abs=0.01)
        assert script.done == 0
    assert transcriber.process.wait(60) == 0


def test_with_the_real_extractor_a_video_becomes_text(
    start: Callable[..., Service], config: Path, make_video: Callable[..., Path]
) -> None:
    folder = config.parent / "minio" / "videos"
    make_video(folder / "short.mp4")
    complete = make_video(folder / "minute.mp4", "minute.flac").read_bytes()
    (folder / "half.mp4").write_bytes(complete[: len(complete) // 2])
    extractor = start("extractor_api", config)
    transcriber = start("transcriber", config, REELSCRIBE_TRANSCRIBER__EXTRACTOR_URL=extractor.url)

    def transcribe(savepath: str, **options: object) -> httpx.Response:
        headers = {"Accept": "application/json"}
        body = {"savepath": savepath, **options}
        return httpx.post(f"{transcriber.url}/transcribe", json=body, headers=headers, timeout=60)

    document = transcribe("short.mp4").json()
    truth = json.loads((SPEECH / "short.json").read_text())
    assert " ".join(segment["text"] for segment in document["segments"]) == truth["text"]
    assert document["complete"]
    assert transcribe("gone.mp4").status_code == 404
    cut = transcribe("half.mp4").json()["error"]
    assert cut["delivered_seconds"] < cut["declared_seconds"]
    allowed = transcribe("half.mp4", allow_incomplete=True).json()
    assert (allowed["complete"], bool(allowed["segments"])) == (False, True)
    assert "declared" in allowed["reason"]
    transcriber.process.send_signal(signal.SIGTERM)
    transcriber.read_until("stopped")
    console = "".join(transcriber.lines)
    assert "model loaded: mini on cpu as int8" in console
    assert re.search(r"short.mp4: finished: 7\.\d s of audio in .* x real time", console)
    assert "gone.mp4: failed: object_not_found: " in console


def test_a_client_that_leaves_ends_the_ffmpeg_of_the_real_extractor(
    start: Callable[..., Service], config: Path
) -> None:
    folder = config.parent / "minio" / "videos"
    folder.mkdir(parents=True)
    seconds = 4 * 3600
    with (folder / "long.wav").open("wb") as file:
        data = 2 * 16_000 * seconds
        file.write(
            struct.pack("<4sI4s4sIHHIIHH", b"RIFF", data + 36, b"WAVE", b"fmt ", 16, 1, 1, 16_000, 32_000, 2, 16)
        )
        file.write(struct.pack("<4sI", b"data", data))
        file.truncate(data + 44)  # silence that takes no room
    extractor = start("extractor_api", config)
    transcriber = start("transcriber", config, REELSCRIBE_TRANSCRIBER__EXTRACTOR_URL=extractor.url)

    def running() -> list[psutil.Process]:
        children = psutil.Process(extractor.process.pid).children(recursive=True)
        return [child for child in children if is_at_work(child)]

    def is_at_work(child: psutil.Process) -> bool:
        try:
            waits_for_a_recording = {str(inspection_process.CHILD), str(ready.CHILD)} & set(child.cmdline())
            return not waits_for_a_recording
        except psutil.NoSuchProcess:  # it has just ended
            return False

    body = {"savepath": "long.wav", "vad": False}
    with httpx.stream("POST", f"{transcriber.url}/transcribe", json=body, timeout=60) as answer:
        lines = answer.iter_lines()
        assert '"started"' in next(lines)
        assert running()
        assert httpx.get(f"{transcriber.url}/healthz").json()["free"] == 3
    blocking_eventually(lambda: not running() and httpx.get(f"{transcriber.url}/healthz").json()["free"] == 4)
