"""The services and PostgreSQL as processes of their own, each of which can be killed and started again."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar

import httpx
import psutil
import psycopg
from psycopg.conninfo import conninfo_to_dict

from orchestrator.database import embedded
from orchestrator.database.pool import CONNECTION_ERRORS, Pool, make_pool, prepare
from orchestrator.intake.submission import Submissions
from orchestrator.jobs import queries as job_queries
from orchestrator.jobs.models import Job, Options
from orchestrator.queue.procrastinate import Queue
from orchestrator.transcripts import queries as transcript_queries
from tests.orchestrator.conftest import BUCKET
from tests.orchestrator.services.test_all_in_one import free_ports

WORKER_TIMEOUT = 3.0
MODULES = {"worker": ("orchestrator", "worker"), "transcriber": ("transcriber",), "extractor": ("extractor_api",)}
DATABASE = "database"


@dataclass(frozen=True)
class Transcribed:
    """One segment, in the form in which runs are compared."""

    start: float
    end: float
    text: str


@dataclass(frozen=True)
class Reached:
    """How far a job had come at a moment."""

    attempt: int
    seconds: float
    previous_seconds: float


class Installation:
    """One process of each kind; use it as ``async with``. They are named ``worker``, ``transcriber``, ``extractor`` and
    ``database``; there may be further workers, with names that end in ``worker``.
    """

    programs: ClassVar = MODULES
    listens: str = ""
    """Address of PostgreSQL; empty: its socket only."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._data = folder / "postgres"
        self._stack = AsyncExitStack()
        self._ports = dict(zip(("transcriber", "extractor"), free_ports(2), strict=True))

    @property
    def bucket(self) -> Path:
        return self.folder / "minio" / BUCKET

    async def __aenter__(self) -> "Installation":
        with embedded.running(self._data) as self._url:
            prepare(self._url)
            pid = int((self._data / "postmaster.pid").read_text().split()[0])
            self._postgres = psutil.Process(pid).exe()
        self.start(DATABASE)
        (self.folder / "config.cfg").write_text(self._settings())
        for name in self.programs:
            self.start(name)
        self.pool: Pool = await self._stack.enter_async_context(make_pool(self._url, answer_timeout=5))
        queue = Queue(self.pool)
        await queue.open()
        self.submissions = Submissions(self.pool, queue)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._stack.aclose()
        for name in list(self._running):
            self.kill(name)

    def _settings(self) -> str:
        return (
            f"[server]\nport = {self._ports['extractor']}\n[paths]\nminio_data_path = minio\nbucket_name = {BUCKET}\n"
            f"[transcriber]\nport = {self._ports['transcriber']}\nextractor_url = http://127.0.0.1:{self._ports['extractor']}\n"
            f"[orchestrator]\ntranscriber_urls = http://127.0.0.1:{self._ports['transcriber']}\n"
            f"progress_timeout = 6\nworker_timeout = {WORKER_TIMEOUT}\n[database]\nurl = {self._url}\n"
        )

    def _spawn(self, name: str, command: list[str | Path], **options: Any) -> "subprocess.Popen[bytes]":
        """Start the process, whose output goes into its log."""
        with (self.folder / f"{name}.log").open("ab") as log:
            return subprocess.Popen(
                command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True, **options
            )  # fmt: skip

    def kill(self, name: str) -> None:
        """kill -9."""
        process = self._running.pop(name)
        process.kill()
        process.wait()

    def start(self, name: str) -> None:
        """Start it again; it may take some seconds to be ready."""
        if name == DATABASE:
            self._start_database()
            return
        program, config = self.programs[name.split()[-1]], self.folder / "config.cfg"
        self._running[name] = self._spawn(name, [sys.executable, "-m", *program, "--config", config])

    def stop(self, name: str, number: signal.Signals) -> None:
        """Send the process a signal that it survives."""
        os.kill(self._running[name].pid, number)

    def children(self, name: str, program: str) -> list[int]:
        """Process ids of a service's child processes that run ``program``."""
        children = psutil.Process(self._running[name].pid).children(recursive=True)
        return [child.pid for child in children if _runs(child, program)]

    async def busy_slots(self) -> int:
        """The number of jobs that the transcriber works on."""
        health = (await self.get("transcriber", "/healthz")).json()
        return int(health["capacity"] - health["free"])

    async def get(self, name: str, path: str) -> httpx.Response:
        async with httpx.AsyncClient(timeout=20) as http:
            return await http.get(f"http://127.0.0.1:{self._ports[name]}{path}")

    def log(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text(errors="replace")

    async def ready(self, *names: str, seconds: float = 120) -> None:
        """Wait until the named services answer."""
        deadline = time.monotonic() + seconds
        for name in names:
            while True:
                with suppress(httpx.HTTPError):
                    if (await self.get(name, "/healthz")).status_code == 200:
                        break
                assert time.monotonic() < deadline, self.log(name)
                await asyncio.sleep(0.1)

    async def submit(self, savepaths: list[str]) -> list[int]:
        """Submit a new version of each; their ids."""
        return [
            job.id for job, _ in await self.submissions.submit(BUCKET, savepaths, Options(language="en"), force=True)
        ]

    async def jobs(self, ids: list[int]) -> list[Job]:
        """The jobs as they are now; waits until the database is there."""
        while True:
            with suppress(*CONNECTION_ERRORS):
                async with self.pool.connection() as connection:
                    return await job_queries.jobs_by_id(connection, ids)
            await asyncio.sleep(0.1)

    async def finished(self, ids: list[int], seconds: float) -> list[Job]:
        """Wait until all are finished."""
        deadline = time.monotonic() + seconds
        while True:
            self._supervise()
            jobs = await self.jobs(ids)
            if all(job.finished for job in jobs):
                return jobs
            left = [f"{job.savepath} {job.state} {job.error}" for job in jobs if not job.finished]
            assert time.monotonic() < deadline, "\n".join([*left, self.log("worker")[-5000:]])
            await asyncio.sleep(0.1)

    async def reached(self, ids: list[int]) -> dict[int, Reached]:
        """How far each has come."""
        rows = await self._rows(
            "select id, attempt, progress_seconds, previous_seconds from transcriptions where id = any(%s)", ids
        )
        return {id: Reached(*reached) for id, *reached in rows}

    async def starts(self, ids: list[int]) -> list[tuple[Any, ...]]:
        """Job, number and first second of all attempts."""
        return await self._rows(
            "select transcription_id, attempt, start_seconds from attempts where transcription_id = any(%s)", ids
        )

    async def open_transactions(self) -> list[str]:
        """What transactions that wait for their process have done last."""
        rows = await self._rows("select query from pg_stat_activity where state ~ '^idle in' and pid <> all(%s)", [])
        return [query for (query,) in rows]

    async def queue_empties(self, seconds: float) -> None:
        """Wait until the queue is empty: a sweep finds jobs that a killed worker had finished."""
        deadline = time.monotonic() + seconds
        while left := await self._rows("select * from procrastinate_jobs where cardinality(%s::bigint[]) = 0", []):
            assert time.monotonic() < deadline, left
            await asyncio.sleep(0.1)

    async def transcribed(self, job: Job) -> list[Transcribed]:
        async with self.pool.connection() as connection:
            transcript = await transcript_queries.transcript_of(connection, job)
        return [Transcribed(segment.start, segment.end, segment.text) for segment in transcript.segments]

    async def contents(self, id: int) -> list[object]:
        """All rows about a job except those of the queue."""
        return [
            await self._rows("select * from transcriptions where id = any(%s)", [id]),
            await self._rows("select * from segments where transcription_id = any(%s) order by index", [id]),
            await self._rows("select * from attempts where transcription_id = any(%s) order by attempt", [id]),
        ]

    async def _rows(self, statement: str, ids: list[int]) -> list[tuple[Any, ...]]:
        while True:
            try:
                async with self.pool.connection() as connection:
                    return await (await connection.execute(statement, (ids,))).fetchall()
            except (*CONNECTION_ERRORS, psycopg.errors.AdminShutdown):
                await asyncio.sleep(0.1)

    def _supervise(self) -> None:
        """Restart services that have ended, as systemd does: a worker ends if there is no database when it starts."""
        for name, process in list(self._running.items()):
            if process.poll() is not None:
                self.start(name)

    def _start_database(self) -> None:
        """Start the bare server, which only we restart; retried until the last child of a killed one has ended."""
        sockets = conninfo_to_dict(self._url)["host"]
        user = self._data.stat().st_uid
        while True:
            command: list[str | Path] = [self._postgres, "-D", self._data, "-h", self.listens, "-k", str(sockets)]
            self._running[DATABASE] = process = self._spawn(DATABASE, command, cwd="/", user=user)
            while process.poll() is None:
                with suppress(psycopg.OperationalError):
                    psycopg.connect(self._url).close()
                    return
                time.sleep(0.05)


def _runs(process: psutil.Process, program: str) -> bool:
    try:
        return program in process.name() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
