"""``orchestrator up``: all three real services on this host, the mini model, and nothing left afterwards."""

import asyncio
import json
import os
import pty
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import IO

import psutil
import pytest

from tests.orchestrator.commands import Command, Orchestrator, gone, processes_of
from tests.waiting import eventually

SPOKEN = "The green hammer was empty and expensive. Why was every lemon in my garden?"
READY = "all services are ready"


def free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]


@pytest.fixture
def folder(data_dir: Path) -> Path:
    """Everything of one installation; its name is in the command line of each of its processes."""
    data_dir.parent.mkdir(parents=True)
    return data_dir.parent


@pytest.fixture
def orchestrator(folder: Path, make_video: Callable[..., Path]) -> Orchestrator:
    c, b, a = free_ports(3)
    make_video(folder / "minio/videos/demo/short.mp4")
    make_video(folder / "minio/videos/demo/mute.mp4", "short.flac", "-an")
    config = folder / "config.cfg"
    config.write_text(
        f"[server]\nport = {c}\n[paths]\nminio_data_path = minio\nbucket_name = videos\n"
        f"[transcriber]\nport = {b}\nextractor_url = http://127.0.0.1:{c}\n"
        f"[orchestrator]\nport = {a}\ntranscriber_urls = http://127.0.0.1:{b}\n[database]\ndata_dir = postgres\n"
    )
    return Orchestrator(config)


@pytest.fixture
def terminal() -> Iterator[tuple[IO[bytes], int]]:
    """Our end of one, which can be closed, and the other."""
    ours, theirs = pty.openpty()
    with open(ours, "rb", buffering=0) as file:
        yield file, theirs
    os.close(theirs)


@pytest.fixture
async def up(orchestrator: Orchestrator, terminal: tuple[IO[bytes], int]):
    command = await orchestrator.start("up", terminal=terminal[1])
    yield command
    if command.process.returncode is None:
        await command.ends(signal.SIGTERM)


def child(up: Command, module: str) -> psutil.Process:
    children = psutil.Process(up.process.pid).children()
    return next(process for process in children if module in process.cmdline())


async def test_a_video_becomes_words_and_nothing_is_left_running(up, orchestrator, folder, terminal):
    await up.says(READY)
    await up.says("open the page: http://127.0.0.1:")
    outcome = await orchestrator.run("submit", "demo/short.mp4", "--wait", "--language", "en")
    assert outcome.code == 0, outcome.err
    assert (await orchestrator.run("show", "demo/short.mp4")).out.replace("\n", " ").strip() == SPOKEN
    receipt = json.loads((await orchestrator.run("show", "demo/short.mp4", "--json")).out)["receipt"]
    assert (receipt["complete"], len(receipt["sha256"])) == (True, 64)
    assert receipt["delivered_seconds"] == pytest.approx(receipt["declared_seconds"], abs=0.5)
    refused = await orchestrator.run("submit", "demo/mute.mp4", "demo/missing.mp4", "--wait")
    assert refused.code == 1
    assert "failed    demo/mute.mp4: " in refused.err
    assert "failed    demo/missing.mp4: " in refused.err
    terminal[0].close()
    assert (await up.ends()).code == 0
    assert await gone(folder)


@pytest.mark.parametrize(
    ("module", "killed", "setting"),
    [
        ("transcriber", "transcriber was ended by SIGKILL", "a smaller [transcriber] model"),
        ("extractor_api", "extractor-api was ended by SIGKILL", "[extraction] max_ffmpeg"),
    ],
)
async def test_a_killed_service_ends_the_others_with_the_likely_cause(up, folder, module, killed, setting):
    await up.says(READY)
    child(up, module).kill()
    outcome = await up.ends()
    assert outcome.code == 1
    (cause,) = [line for line in outcome.err.splitlines() if killed in line]
    assert "memory" in cause and "dmesg" in cause and setting in cause and "last lines" not in cause
    assert outcome.err.rstrip().endswith(
        "all services were stopped; jobs continue when orchestrator up is started again"
    )
    assert await gone(folder)


async def test_a_job_whose_transcriber_was_killed_continues_at_the_next_start(up, orchestrator, make_video, folder):
    make_video(folder / "minio/videos/demo/long.mp4", "ten_minutes.ogg")
    await up.says(READY)
    await orchestrator.run("submit", "demo/long.mp4", "--language", "en")
    await up.says("demo/long.mp4: from 0.0 s")
    child(up, "transcriber").kill()
    assert (await up.ends()).code == 1
    again = await orchestrator.start("up")
    await again.says(READY)
    outcome = await orchestrator.run("submit", "demo/long.mp4", "--language", "en", "--wait")
    assert outcome.code == 0, outcome.err
    assert (await again.ends(signal.SIGTERM)).code == 0
    assert await gone(folder)


async def test_a_service_that_cannot_start_is_reported_in_its_own_words(orchestrator, folder):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        text = orchestrator.config.read_text()
        orchestrator.config.write_text(text.replace("[server]\nport = ", f"[server]\nport = {port}\n#"))
        outcome = await orchestrator.run("up")
    assert outcome.code == 1
    assert f"extractor-api | cannot listen on 127.0.0.1:{port}: Address already in use" in outcome.err
    assert "extractor-api ended with exit code 2" in outcome.err
    assert await gone(folder)


async def test_kill_9_leaves_no_machine_behind_and_the_next_command_stops_the_database(up, orchestrator, folder):
    await up.says(READY)
    up.process.kill()
    await up.process.wait()
    await eventually(lambda: not any("config.cfg" in line for line in processes_of(folder)))
    assert (await orchestrator.run("status")).code == 0
    assert await gone(folder)


@pytest.mark.parametrize("seconds", [0.3, 1.2])
async def test_ctrl_c_while_it_starts_leaves_nothing(seconds, up, folder):
    await asyncio.sleep(seconds)
    os.kill(up.process.pid, signal.SIGINT)
    _, said = await up.process.communicate()
    assert (up.process.returncode in (0, 130), b"Traceback" in said) == (True, False), said
    assert await gone(folder)
