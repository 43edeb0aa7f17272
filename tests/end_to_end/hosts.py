"""The orchestrator, two transcribers, the extractor and PostgreSQL, each on a host of its own: see :mod:`network`."""

import asyncio
import os
import signal
import subprocess
import time
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any, ClassVar

import httpx
import psutil
from psycopg.conninfo import conninfo_to_dict

from tests.end_to_end.crashes import DATABASE, Installation
from tests.end_to_end.network import Cable, network
from tests.orchestrator.conftest import BUCKET

ORCHESTRATOR, TRANSCRIBER, SECOND, EXTRACTOR = "orchestrator", "transcriber", "second transcriber", "extractor"
TRANSCRIBERS = (TRANSCRIBER, SECOND)
PORTS = {ORCHESTRATOR: 8890, TRANSCRIBER: 8889, SECOND: 8889, EXTRACTOR: 8888}
TOKEN = "between-hosts"
TEMPORARY_BYTES = 1 << 20
FAKETIME = next(iter(sorted(Path("/usr/lib").glob("*-linux-gnu/faketime/libfaketimeMT.so.1"))), None)
"""Of Debian's package libfaketime."""
WITH_SMALL_DISK = f'mount -t tmpfs -o size={TEMPORARY_BYTES} tmpfs "$0" && exec "$@"'


class Hosts(Installation):
    """Use it as ``async with``; PostgreSQL is also reached by its socket, over which the test asks.

    Each service has a ``temp_dir`` of :data:`TEMPORARY_BYTES`.

    Args:
        limits: lines of ``[orchestrator]`` in config.cfg.
    """

    programs: ClassVar = {
        EXTRACTOR: ("extractor_api",),
        TRANSCRIBER: ("transcriber",),
        SECOND: ("transcriber",),
        ORCHESTRATOR: ("orchestrator", "serve"),
    }

    def __init__(self, folder: Path, limits: str = "") -> None:
        super().__init__(folder)
        self._limits = limits
        self._temporary = folder / "temporary"
        self._clocks: dict[str, int] = {}
        self._network = ExitStack()

    async def __aenter__(self) -> "Hosts":
        names = (*PORTS, DATABASE)
        switch = self._network.enter_context(network(len(names)))
        self._hosts = dict(zip(names, switch.hosts, strict=True))
        self.listens = self._hosts[DATABASE].address
        self._temporary.mkdir()
        (self.folder / "tokens").write_text(TOKEN + "\n")
        try:
            await super().__aenter__()
        except BaseException:
            await self.__aexit__(None, None, None)
            raise
        return self

    async def __aexit__(self, *error: Any) -> None:
        await super().__aexit__(*error)
        self._network.close()

    def cable(self, name: str) -> Cable:
        return self._hosts[name].cable

    def start(self, name: str, clock: int | None = None) -> None:
        """Start it, from now on with a clock that is so many seconds ahead."""
        if clock is not None:
            self._clocks[name] = clock
        access = self._data / "pg_hba.conf"
        if name == DATABASE and "10.77.0.0" not in access.read_text():
            with access.open("a") as lines:
                lines.write("host all all 10.77.0.0/24 trust\n")
        super().start(name)

    async def get(self, name: str, path: str) -> httpx.Response:
        return await self.request(name, "GET", path)

    async def request(self, name: str, method: str, path: str, body: object = None) -> httpx.Response:
        """Ask a service on its own host, whatever has become of its cable."""
        url, headers = f"{self._url_of(name)}{path}", {"Authorization": f"Bearer {TOKEN}"}

        def ask() -> httpx.Response:
            return httpx.request(method, url, json=body, headers=headers, timeout=30)

        return await asyncio.to_thread(self._hosts[name].run, ask)

    async def idle(self) -> bool:
        """Whether no slot is taken, and no FFmpeg runs."""
        with suppress(httpx.HTTPError):
            free = [(await self.get(name, "/healthz")).json() for name in TRANSCRIBERS]
            extractor = (await self.get(EXTRACTOR, "/healthz")).json()
            return (
                all(health["free"] == health["capacity"] for health in free)
                and extractor["ffmpeg_running"] == extractor["ffmpeg_waiting"] == 0
                and not self.children(EXTRACTOR, "ffmpeg")
            )
        return False

    async def running_attempts(self, ids: list[int]) -> list[tuple[Any, ...]]:
        """Attempts of which no end is stored."""
        return await self._rows("select * from attempts where ended_at is null and transcription_id = any(%s)", ids)

    async def passes(self, seconds: float) -> None:
        """Wait, and start services again that end by themselves, as systemd does."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            self._supervise()
            await asyncio.sleep(0.1)

    @asynccontextmanager
    async def stopped(self, name: str) -> AsyncIterator[None]:
        """A process and its children do nothing during the block."""
        process = psutil.Process(self._running[name].pid)
        stopped = [process, *process.children(recursive=True)]
        try:
            for each in stopped:
                with suppress(psutil.NoSuchProcess):
                    each.send_signal(signal.SIGSTOP)
            yield
        finally:
            for each in stopped:
                with suppress(psutil.NoSuchProcess):
                    each.send_signal(signal.SIGCONT)

    @asynccontextmanager
    async def full_disk(self, name: str) -> AsyncIterator[None]:
        """There is no room for temporary files during the block; afterwards, none of the service's own may be left."""
        folder = Path(f"/proc/{self._running[name].pid}/root{self._temporary}")
        filler = folder / "filler"
        with filler.open("wb", buffering=0) as file, suppress(OSError):
            while True:
                file.write(bytes(1 << 16))
        try:
            yield
        finally:
            filler.unlink()
        assert list(folder.iterdir()) == []

    def _url_of(self, name: str) -> str:
        return f"http://{self._hosts[name].address}:{PORTS[name]}"

    def _settings(self) -> str:
        database = f"postgresql://postgres@{self.listens}/{conninfo_to_dict(self._url)['dbname']}"
        return (
            f"[server]\nhost = {self._hosts[EXTRACTOR].address}\n[auth]\ntoken_file = tokens\n"
            f"[paths]\nminio_data_path = minio\nbucket_name = {BUCKET}\ntemp_dir = temporary\n"
            f"[transcriber]\nextractor_url = {self._url_of(EXTRACTOR)}\ncpu_threads = 1\n"
            f"[orchestrator]\nhost = {self._hosts[ORCHESTRATOR].address}\nextractor_url = {self._url_of(EXTRACTOR)}\n"
            f"transcriber_urls = {', '.join(map(self._url_of, TRANSCRIBERS))}\n{self._limits}\n"
            f"[database]\nurl = {database}\n"
        )

    def _spawn(self, name: str, command: list[str | Path], **options: Any) -> "subprocess.Popen[bytes]":
        environment = dict(os.environ)
        if name in TRANSCRIBERS:
            environment["REELSCRIBE_TRANSCRIBER__HOST"] = self._hosts[name].address
        if name != DATABASE:
            command = ["unshare", "--mount", "sh", "-c", WITH_SMALL_DISK, self._temporary, *command]
        if self._clocks.get(name):
            assert FAKETIME
            environment |= {"LD_PRELOAD": str(FAKETIME), "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
            environment["FAKETIME"] = f"{self._clocks[name]:+}s"
        start = super()._spawn
        return self._hosts[name].run(lambda: start(name, command, env=environment, **options))
