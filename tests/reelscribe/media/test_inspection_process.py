"""One process that describes recordings waits ready, so that the first byte does not wait until PyAV is loaded."""

import asyncio
import os
import subprocess
import sys
import sysconfig
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import psutil
import pytest

from reelscribe.media.ffmpeg import FFmpeg
from reelscribe.media.inspection import inspect
from reelscribe.media.inspection_process import child_python, keep_ready
from reelscribe.media.stored_object import open_file
from tests.reelscribe.media.files import describing_processes
from tests.waiting import eventually

MAX_SECONDS = 30


async def described(ffmpeg: FFmpeg, path: Path) -> str:
    with ExitStack() as stack:
        descriptor = os.open(path, os.O_RDONLY)
        stack.callback(os.close, descriptor)
        return (await inspect(ffmpeg, open_file(descriptor, path.name), MAX_SECONDS)).container


def test_it_is_there_while_it_is_kept_and_used_for_one_recording_only(
    local_ffmpeg: FFmpeg, run_ffmpeg: Callable[..., None], tmp_path: Path
) -> None:
    run_ffmpeg("-f", "lavfi", "-i", "sine=duration=1", tmp_path / "a.flac")

    async def describe_twice() -> list[set[psutil.Process]]:
        seen = []
        async with keep_ready(local_ffmpeg.sandbox, MAX_SECONDS):
            for _ in range(2):
                await eventually(lambda: bool(describing_processes()))
                seen.append(set(describing_processes()))
                assert await described(local_ffmpeg, tmp_path / "a.flac") == "flac"
                assert not seen[-1] & set(describing_processes())
        return seen

    first, second = asyncio.run(describe_twice())
    assert not first & second
    assert describing_processes() == []


def test_several_recordings_are_described_side_by_side(
    local_ffmpeg: FFmpeg, run_ffmpeg: Callable[..., None], tmp_path: Path
) -> None:
    for name in ("a.flac", "b.wav", "c.mka"):
        run_ffmpeg("-f", "lavfi", "-i", "sine=duration=1", tmp_path / name)

    async def describe() -> list[str]:
        async with keep_ready(local_ffmpeg.sandbox, MAX_SECONDS):
            return await asyncio.gather(*(described(local_ffmpeg, path) for path in sorted(tmp_path.iterdir())))

    assert asyncio.run(describe()) == ["flac", "wav", "matroska,webm"]
    assert describing_processes() == []


def test_one_that_was_killed_while_it_waited_is_replaced(
    local_ffmpeg: FFmpeg, run_ffmpeg: Callable[..., None], tmp_path: Path
) -> None:
    run_ffmpeg("-f", "lavfi", "-i", "sine=duration=1", tmp_path / "a.flac")

    async def kill_and_describe() -> None:
        async with keep_ready(local_ffmpeg.sandbox, MAX_SECONDS):
            await eventually(lambda: bool(describing_processes()))
            killed = set(describing_processes())
            for process in killed:
                process.kill()
            await eventually(lambda: not describing_processes())
            await asyncio.sleep(0.1)
            assert await described(local_ffmpeg, tmp_path / "a.flac") == "flac"
            await eventually(lambda: bool(describing_processes()))

    asyncio.run(kill_and_describe())
    assert describing_processes() == []


ABANDON = """
import asyncio, os, psutil
from reelscribe.media.inspection_process import CHILD, keep_ready
from reelscribe.media.processes.sandbox import Sandbox

async def leave():
    async with keep_ready(Sandbox(), 30):
        while not (children := psutil.Process().children()) or CHILD.name not in " ".join(children[0].cmdline()):
            await asyncio.sleep(0.02)
        print(children[0].pid, flush=True)
        os._exit(0)

asyncio.run(leave())
"""


def test_it_ends_by_itself_when_its_service_is_gone() -> None:
    left = subprocess.run([sys.executable, "-c", ABANDON], capture_output=True, text=True, timeout=MAX_SECONDS)
    asyncio.run(eventually(lambda: not psutil.pid_exists(int(left.stdout))))


def test_the_library_of_a_python_that_was_moved_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    name = sysconfig.get_config_var("INSTSONAME")
    if not name.endswith(".so.1.0"):
        pytest.skip("this Python has no shared library")
    monkeypatch.setitem(sysconfig.get_config_vars(), "LIBDIR", "/build")
    assert any(path.name == name and path.exists() for path in child_python.__wrapped__().visible)
