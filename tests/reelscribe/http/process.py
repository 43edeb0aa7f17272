"""A service as a process of its own."""

import fcntl
import os
import re
import signal
import subprocess
import sys
import termios
import time
from functools import partial
from pathlib import Path

from tests.waiting import TIMEOUT_SECONDS

PROGRAM = """
import asyncio, sys
from pathlib import Path
from reelscribe import logs
from reelscribe.http.access.tokens import Tokens
from reelscribe.http.api.operations import Operation
from reelscribe.http.api.routes import Api
from reelscribe.http.server import renewal
from reelscribe.http.server.service import Service, ServiceHandler
from reelscribe.http.server.serving import serve
from reelscribe.settings.loading import ServerSection, SettingsError

class SlowHandler(ServiceHandler):
    async def get(self, seconds):
        self.write("begun, ")
        await self.flush()
        await asyncio.sleep(float(seconds))
        self.finish("ended")

async def stop_work():
    print("work handed back", file=sys.stderr, flush=True)

async def main():
    chosen = dict(argument.split("=") for argument in sys.argv[1:])
    token_file = chosen.pop("token_file", None)
    renewal.LOOK_SECONDS = float(chosen.pop("look_seconds", renewal.LOOK_SECONDS))
    service = Service("test-service", Tokens.from_file(token_file and Path(token_file)))
    slow = Operation("GET", "/slow/{seconds}", "slow", "", (), path_parameters={"seconds": ".+"}, handler=SlowHandler)
    application = Api("Test", "Is slow.", (slow,)).application(service)
    listener = ServerSection(**chosen)
    await serve(service, application, listener, stop_work)

logs.configure()
try:
    asyncio.run(main())
except SettingsError as wrong:
    sys.exit(str(wrong))
"""


class Process:
    """One process of a service; ``stderr`` is all it has logged so far.

    Args:
        terminal: that it runs at; None: it has none, as below systemd.
        listener: settings of its section, ``token_file``, and ``look_seconds``: how often it looks at its files.
    """

    def __init__(self, log: Path, terminal: int | None = None, **listener: object) -> None:
        self._log = log
        arguments = [f"{key}={value}" for key, value in {"port": 0, **listener}.items()]
        with log.open("wb") as stderr:
            self.child = subprocess.Popen(
                [sys.executable, "-c", PROGRAM, *arguments],
                stderr=stderr,
                preexec_fn=partial(begin_session, terminal),
            )

    @property
    def stderr(self) -> str:
        return self._log.read_text(encoding="utf-8")

    def wait_for(self, pattern: str) -> str:
        """The first group of ``pattern`` in its log."""
        deadline = time.monotonic() + TIMEOUT_SECONDS
        while not (found := re.search(pattern, self.stderr)):
            assert self.child.poll() is None and time.monotonic() < deadline, self.stderr
            time.sleep(0.02)
        return found[1] if found.groups() else found[0]

    @property
    def url(self) -> str:
        return self.wait_for(r"server running on (\S+)")

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal; return the exit code."""
        self.child.send_signal(number)
        return self.child.wait(TIMEOUT_SECONDS)

    def reload(self) -> None:
        """Send SIGHUP, and return once it has done what that asks for."""
        done = r"test-service: (read again|there is nothing to read again)"
        before = len(re.findall(done, self.stderr))
        self.child.send_signal(signal.SIGHUP)
        self.wait_for(rf"(?s)({done}.*){{{before + 1}}}")


def begin_session(terminal: int | None) -> None:
    """In a child process: have this terminal, or none."""
    os.setsid()
    if terminal is not None:
        fcntl.ioctl(terminal, termios.TIOCSCTTY, 0)
