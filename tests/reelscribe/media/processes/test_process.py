"""A run of ffmpeg: its output, its log, its end, and what it inherits. A shell takes the place of ffmpeg."""

import asyncio
import errno
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from reelscribe.media.processes import process_group
from reelscribe.media.processes.pipe import Channel, Feed, Pipe
from reelscribe.media.processes.process import FFmpegProcess
from reelscribe.media.processes.sandbox import Sandbox
from reelscribe.media.stored_object import open_file
from tests.waiting import TIMEOUT_SECONDS


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    path = tmp_path / "a.mp4"
    path.write_bytes(b"content")
    return path


@asynccontextmanager
async def running(recording: Path, script: str) -> AsyncIterator[FFmpegProcess]:
    with recording.open("rb") as file:
        stored = open_file(file.fileno(), recording.name)
        script = script.replace("INPUT", f"/proc/self/fd/{file.fileno()}")
        async with FFmpegProcess(Sandbox(), ["/bin/sh", "-c", script], stored.descriptors, cpu_seconds=10) as process:
            yield process


async def test_it_reads_the_object_by_an_inherited_descriptor(recording: Path) -> None:
    async with running(recording, "cat INPUT") as process:
        assert await process.read() == b"content"
        assert await process.read() == b""
        assert await process.wait() == 0


async def test_its_log_is_complete_after_the_wait(recording: Path) -> None:
    async with running(recording, "echo '[error] one' >&2; printf '[error] last, without a newline' >&2; exit 3") as it:
        assert await it.wait() == 3
        assert list(it.messages.last) == ["[error] one", "[error] last, without a newline"]


async def test_it_counts_messages_about_damage_but_not_those_about_the_picture(recording: Path) -> None:
    lines = (
        "[warning] odd",
        "[aac @ 0x1] [error] damaged",
        "[fatal] over",
        "[h264 @ 0x2] [error] Codec (h264) not on whitelist",
    )
    async with running(recording, "; ".join(f"echo '{line}' >&2" for line in lines)) as process:
        await process.wait()
        assert (process.messages.errors, len(process.messages.last)) == (2, 3)


async def test_nothing_outlives_a_sandbox_that_is_killed_while_it_is_made(recording: Path) -> None:
    """It would keep our pipes open, and whoever reads them would wait for good."""
    async with running(recording, "sleep 1000 & kill -9 $$") as process:
        async with asyncio.timeout(TIMEOUT_SECONDS):
            assert await process.read() == b""
            assert await process.wait() == -signal.SIGKILL


async def test_it_runs_where_the_kernel_cannot_watch_a_process(
    recording: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(pid: int) -> int:
        raise OSError(errno.ENOSYS, "Function not implemented")

    # Only for us: since Python 3.12, asyncio watches its children in this way, too, if it can.
    monkeypatch.setattr(process_group, "os", SimpleNamespace(**{**vars(os), "pidfd_open": refuse}))
    async with running(recording, "cat INPUT") as process:
        assert await process.read() == b"content"
        assert await process.wait() == 0


async def test_it_reads_what_it_is_fed(recording: Path) -> None:
    feed = Feed()
    async with FFmpegProcess(Sandbox(), ["/usr/bin/wc", "-c"], cpu_seconds=10, feed=feed) as process:
        for _ in range(20):
            await feed.write(bytes(1 << 20))
        feed.close()
        assert int(await process.read()) == 20 << 20
        assert await process.wait() == 0


async def test_feeding_what_has_ended_is_a_broken_pipe(recording: Path) -> None:
    feed = Feed()
    async with FFmpegProcess(Sandbox(), ["/bin/true"], cpu_seconds=10, feed=feed) as process:
        await process.wait()
        with pytest.raises(BrokenPipeError):
            await feed.write(b"late")
    feed.close()


async def test_a_channel_to_what_has_ended_is_a_broken_pipe() -> None:
    channel = Channel()
    async with FFmpegProcess(Sandbox(), ["/bin/true"], cpu_seconds=10, channels=[channel]) as process:
        await process.wait()
        with pytest.raises(BrokenPipeError):
            os.write(channel.writing, b"late")
    channel.close()


async def test_it_writes_a_report_next_to_its_output(recording: Path) -> None:
    report = Pipe()
    command = ["/bin/sh", "-c", f"echo audio; echo report >/proc/self/fd/{report.writing}"]
    try:
        async with FFmpegProcess(Sandbox(), command, cpu_seconds=10, reports=[report]) as process:
            assert (await process.read(), await report.read_all()) == (b"audio\n", b"report\n")
    finally:
        report.close()


async def test_a_long_log_does_not_stall_it(recording: Path) -> None:
    async with running(recording, "yes '[error] damaged' | head -c 3000000 >&2; echo done") as process:
        assert await asyncio.wait_for(process.read(), 60) == b"done\n"


async def test_its_process_group_ends_with_the_block(recording: Path) -> None:
    async with running(recording, "sleep 60 & echo $!; wait") as process:
        child = psutil.Process(int(await process.read()))
    assert not psutil.pid_exists(process.pid)
    async with asyncio.timeout(60):
        while child.is_running() and child.status() != psutil.STATUS_ZOMBIE:
            await asyncio.sleep(0.01)


async def test_a_wait_may_time_out_and_be_repeated(recording: Path) -> None:
    async with running(recording, "sleep 0.3; echo '[error] late' >&2") as process:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await process.wait()
        assert await process.wait() == 0
        assert list(process.messages.last) == ["[error] late"]


async def test_it_gets_no_secret_of_the_environment(recording: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    async with running(recording, "env") as process:
        assert b"secret" not in await process.read()


async def test_no_descriptor_is_left_behind(recording: Path) -> None:
    counts = []
    for _ in range(3):
        async with running(recording, "true") as process:
            await process.wait()
        counts.append(len(os.listdir("/proc/self/fd")))
    assert counts[0] == counts[2]


async def test_what_cannot_be_started_leaves_no_descriptor_behind(recording: Path) -> None:
    with recording.open("rb") as file:
        before = len(os.listdir("/proc/self/fd"))
        with pytest.raises(FileNotFoundError):
            async with FFmpegProcess(Sandbox(), ["/no/such/ffmpeg"], (file.fileno(),), cpu_seconds=10):
                pass
        assert len(os.listdir("/proc/self/fd")) == before


async def test_a_process_that_is_given_up_while_it_starts_is_ended() -> None:
    async def run() -> None:
        async with FFmpegProcess(Sandbox(), ["/bin/sleep", "60"], cpu_seconds=10) as process:
            await process.wait()

    for milliseconds in range(12):
        running = asyncio.create_task(run())
        await asyncio.sleep(milliseconds / 1000)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
    assert not [child for child in psutil.Process().children(recursive=True) if child.name() == "sleep"]
