"""The ``orchestrator`` command as a user starts it: a process of its own."""

import asyncio
import os
import select
import signal
import sys
from dataclasses import dataclass
from pathlib import Path

import psutil
from typer.testing import CliRunner

from orchestrator.cli.main import cli
from reelscribe.child_process import end_with_parent
from tests.reelscribe.http.process import begin_session
from tests.waiting import TIMEOUT_SECONDS


@dataclass
class Outcome:
    """What a finished command left."""

    code: int
    out: str
    err: str


class Command:
    """A command that runs; its log can be waited for."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.log = ""

    async def says(self, words: str, seconds: float = TIMEOUT_SECONDS) -> None:
        """Wait until its standard error holds these words."""
        assert self.process.stderr

        async def read() -> None:
            assert self.process.stderr
            while words not in self.log:
                line = await self.process.stderr.readline()
                assert line, f"it ended without saying {words!r}:\n{self.log}"
                self.log += line.decode()

        await asyncio.wait_for(read(), seconds)

    async def ends(self, number: signal.Signals | None = None, seconds: float = TIMEOUT_SECONDS) -> Outcome:
        """Send a signal, and wait for the end."""
        if number:
            self.process.send_signal(number)
        out, err = await asyncio.wait_for(self.process.communicate(), seconds)
        assert self.process.returncode is not None
        self.log += err.decode()
        assert "Traceback" not in self.log, self.log
        return Outcome(self.process.returncode, out.decode(), self.log)


class Orchestrator:
    """Starts commands with one config.cfg."""

    def __init__(self, config: Path) -> None:
        self.config = config

    async def start(self, *arguments: str, terminal: int | None = None) -> Command:
        """Start a command in a session of its own, with this terminal or none."""

        def begin() -> None:
            ends_with_us()
            begin_session(terminal)

        ends_with_us = end_with_parent()  # a test that fails does not end it
        return Command(
            await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "orchestrator", *arguments, "--config", str(self.config)),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                env={**os.environ, "COLUMNS": "200"},
                preexec_fn=begin,
            )
        )

    async def run(self, *arguments: str, stdin: str = "", seconds: float = TIMEOUT_SECONDS) -> Outcome:
        command = await self.start(*arguments)
        out, err = await asyncio.wait_for(command.process.communicate(stdin.encode()), seconds)
        assert command.process.returncode is not None
        assert b"Traceback" not in err, err.decode()
        return Outcome(command.process.returncode, out.decode(), err.decode())


def processes_of(folder: Path) -> list[str]:
    """The command lines of all processes that name something in this folder."""
    found = []
    for process in psutil.process_iter(["cmdline", "status"]):
        line = " ".join(process.info["cmdline"] or [])
        if str(folder) in line and process.info["status"] != psutil.STATUS_ZOMBIE:
            found.append(line)
    return found


async def gone(folder: Path, seconds: float = TIMEOUT_SECONDS) -> bool:
    """Whether no process names this folder any more, within some time."""
    deadline = asyncio.get_running_loop().time() + seconds
    while processes_of(folder):
        if asyncio.get_running_loop().time() > deadline:
            return False
        await asyncio.sleep(0.1)
    return True


def read_until(terminal: int, words: str) -> str:
    """What a command shows on this end of a pseudo-terminal, up to these words."""
    shown = ""
    while words not in shown:
        shown += _read_some(terminal, shown).decode()
    return shown


def read_all(terminal: int) -> str:
    """All that a command shows on this end of a pseudo-terminal."""
    shown = b""
    while True:
        try:
            shown += _read_some(terminal, shown)
        except OSError:  # the other end is closed
            os.close(terminal)
            return shown.decode()


def _read_some(terminal: int, before: str | bytes, seconds: float = 60) -> bytes:
    """What comes next. A thread that waited for it without end would keep the whole test run from ending."""
    assert select.select([terminal], [], [], seconds)[0], f"nothing more came in {seconds} s after {before!r}"
    return os.read(terminal, 65536)


class InProcess:
    """Runs commands in this process, where one costs no second of imports; their signals are not set."""

    def __init__(self, config: Path) -> None:
        self.config = config

    async def run(self, *arguments: str, stdin: str | None = None) -> Outcome:
        """The outcome of one command; without a terminal, as in a script."""
        ran = await asyncio.to_thread(CliRunner().invoke, cli, [*arguments, "--config", str(self.config)], stdin)
        if ran.exception and not isinstance(ran.exception, SystemExit):
            raise ran.exception
        return Outcome(ran.exit_code, ran.stdout, ran.stderr)
