"""A database with something in it, and commands of their own process that can be killed at a known moment."""

import asyncio
import os
import signal
import subprocess
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psycopg
import pytest

from orchestrator.database.backups.contents import Contents, read_contents
from orchestrator.database.backups.target import Target
from tests.orchestrator.commands import Command, InProcess, Outcome

IN_USE = "select count(*) from pg_stat_activity where datname = %s and pid <> pg_backend_pid()"


@pytest.fixture
async def filled(store_transcript: Callable[..., Awaitable[Any]], submit: Callable[..., Awaitable[Any]], pool: Any):
    """Two transcripts and a queued job; no connection is left."""
    await store_transcript("talk.mp4", "A very happy horse.", "It was repaired on Friday night: ünï©ode 🐎.")
    await store_transcript("other.mp4", "Nothing else.")
    await submit("queued.mp4")
    await pool.close()


@pytest.fixture
def contents(database_url: str) -> Callable[[], Contents]:
    """What the database of the commands holds."""
    return lambda: contents_of(database_url)


def nothing(*_: Any) -> None:
    """A progress that is shown to no one."""


def contents_of(url: str) -> Contents:
    with psycopg.connect(url) as connection:
        return read_contents(connection, nothing)


@pytest.fixture
def target(database_url: str) -> Iterator[Target]:
    """The database of the commands. What restores leave next to it is removed."""
    target = Target(database_url, None)
    yield target
    with target.server() as server:
        for kept in target.kept(server):
            target.drop(server, kept.name)
        target.drop(server, target.unfinished)


@pytest.fixture
def backup(tmp_path: Path, commands: InProcess) -> Callable[[], Awaitable[Path]]:
    """Make a backup of the database."""

    async def make() -> Path:
        file = tmp_path / "made.backup"
        made = await commands.run("database", "backup", str(file))
        assert made.code == 0, made.err
        return file

    return make


@contextmanager
def locked(url: str, table: str) -> Iterator[None]:
    """Nothing can read or change this table meanwhile."""
    with psycopg.connect(url) as connection:
        connection.execute(f"lock table {table} in access exclusive mode")
        yield


async def sessions(target: Target, condition: str, name: str | None = None, seconds: float = 60) -> None:
    """Wait until such a session is connected to the database, or to another one of its server."""
    with target.server() as connection:
        for _ in range(int(seconds / 0.01)):
            if connection.execute(f"{IN_USE} and ({condition})".encode(), (name or target.name,)).fetchone() != (0,):
                return
            await asyncio.sleep(0.01)
    raise AssertionError(f"no session of {name or target.name} with {condition}")


async def no_sessions(target: Target, seconds: float = 60) -> None:
    """Wait until nothing is connected to the database."""
    with target.server() as connection:
        for _ in range(int(seconds / 0.01)):
            if connection.execute(IN_USE, (target.name,)).fetchone() == (0,):
                return
            await asyncio.sleep(0.01)
    raise AssertionError(f"there is still a session of {target.name}")


async def killed(command: Command) -> Outcome:
    """End it as the kernel does if there is no memory left."""
    return await command.ends(signal.SIGKILL)


@contextmanager
def small_disk(folder: Path, megabytes: int) -> Iterator[None]:
    """The folder is a disk of this size meanwhile."""
    if subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=755", "none", folder]).returncode:
        pytest.skip("needs the right to mount")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


def fill(disk: Path, but: int = 0) -> Path:
    """A file that takes all of the room, but so many bytes."""
    ballast = disk / "ballast"
    with suppress(OSError), ballast.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(1 << 16))
    os.truncate(ballast, ballast.stat().st_size - but)
    return ballast
