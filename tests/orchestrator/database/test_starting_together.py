"""The PostgreSQL of our own when it has died, or dies while it starts: those who start it together share it."""

import asyncio
import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import psutil
import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from orchestrator.database import embedded
from tests.orchestrator.commands import gone
from tests.orchestrator.database.servers import insert, kept, postmaster

USE_TOGETHER = """
import sys
from pathlib import Path
import psycopg
from orchestrator.database import embedded
print("ready", flush=True)
for _ in sys.stdin:
    with embedded.running(Path(sys.argv[1])) as url:
        with psycopg.connect(url) as connection:
            kept = connection.execute("select sum(number) from kept").fetchone()[0]
        print(kept, flush=True)
        sys.stdin.readline()
    print("left", flush=True)
"""
ROUNDS = 4


async def kill_as_it_comes_up(data_dir: Path, before: int) -> None:
    """Kill the next server before it says that it is ready."""
    for _ in range(20_000):
        with suppress(OSError, IndexError, ValueError):
            if (pid := postmaster(data_dir)) != before:
                os.kill(pid, signal.SIGKILL)
                return
        await asyncio.sleep(0.0005)
    raise AssertionError("no other server has come up")


async def test_processes_that_start_a_killed_server_at_the_same_moment_share_it(data_dir):
    """In every second round, the server is killed again while it comes up."""
    with embedded.running(data_dir) as url:
        insert(url, 1)
    users = [
        await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", USE_TOGETHER, str(data_dir)),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        for _ in range(3)
    ]

    async def say(text: bytes) -> list[bytes]:
        for user in users:
            user.stdin.write(text)
        return [await user.stdout.readline() for user in users]

    assert await say(b"") == [b"ready\n"] * 3
    server = 0
    for number in range(ROUNDS):
        killing = kill_as_it_comes_up(data_dir, server) if number % 2 else asyncio.sleep(0)
        answers, _ = await asyncio.gather(say(b"start\n"), killing)
        assert answers == [b"1\n"] * 3
        server = postmaster(data_dir)
        os.kill(server, signal.SIGKILL)
        assert await say(b"leave\n") == [b"left\n"] * 3
    errors = [(await user.communicate(b""))[1].decode() for user in users]
    assert "cannot be used" not in "".join(errors) and "Traceback" not in "".join(errors)
    assert await gone(data_dir)


async def test_users_that_both_see_it_die_start_it_again_without_a_complaint(data_dir, caplog):
    with embedded.running(data_dir) as url, embedded.running(data_dir):
        insert(url, 1)
        for _ in range(ROUNDS):
            killed = postmaster(data_dir)
            os.kill(killed, signal.SIGKILL)
            for _ in range(600):
                await asyncio.sleep(0.1)
                with suppress(psycopg.OperationalError):
                    assert kept(url) == [1]
                    break
            assert postmaster(data_dir) != killed
    assert "cannot be used" not in caplog.text
    assert await gone(data_dir)


async def test_threads_that_start_a_killed_server_at_the_same_moment_share_it(data_dir):
    def use() -> list[int]:
        with embedded.running(data_dir) as url:
            return kept(url)

    with embedded.running(data_dir) as url:
        insert(url, 1)
        for _ in range(ROUNDS):
            os.kill(postmaster(data_dir), signal.SIGKILL)
            assert await asyncio.gather(*(asyncio.to_thread(use) for _ in range(3))) == [[1]] * 3


@pytest.mark.parametrize("head_start", [0.0, 0.01, 0.02, 0.04])
async def test_a_server_that_another_program_is_just_starting_is_waited_for_and_used(head_start, data_dir):
    with embedded.running(data_dir) as url:
        insert(url, 1)
        program = psutil.Process(postmaster(data_dir)).exe()
        sockets = str(conninfo_to_dict(url)["host"])
    assert await gone(data_dir)
    with (data_dir / "log").open("ab") as log:
        other = subprocess.Popen(
            [program, "-D", data_dir, "-h", "", "-k", sockets],
            stdout=log, stderr=log, cwd="/", user=data_dir.stat().st_uid, start_new_session=True,
        )  # fmt: skip
    await asyncio.sleep(head_start)
    try:
        with embedded.running(data_dir) as url:
            assert kept(url) == [1]
    finally:
        other.kill()
        other.wait()
