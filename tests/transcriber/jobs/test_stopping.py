"""The end of the real process: in any state, each client learns where to resume; after SIGTERM the exit code is 0."""

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from reelscribe.contracts.events import Failed
from tests.transcriber.conftest import Serve
from tests.transcriber.peer import Script, extractor
from tests.waiting import eventually
from transcriber.model.finding import BUNDLED
from transcriber.service import SHARE_OF_GRACE

GRACE_SECONDS = 40
"""Many times what each stop takes: none waits for it to pass."""
HALF_A_FORM = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n' + bytes(3_000_000)


LOSES_ITS_MODEL = """
import signal
from transcriber import command
from transcriber.__main__ import main

load_model = command.load_model

def fail(*arguments):
    raise RuntimeError("CUDA failed with error an illegal memory access was encountered")

def load_and_lose(*arguments):
    model = load_model(*arguments)
    lost.append(model.whisper)
    return model

lost, command.load_model = [], load_and_lose
signal.signal(signal.SIGUSR1, lambda *_: setattr(lost[0], "encode", fail))
main()
"""
"""A transcriber whose model fails on any audio after SIGUSR1, as after a sticky error of CUDA."""


class Service:
    """A transcriber with one slot, as a process of its own; its console output is in ``log``."""

    def __init__(
        self,
        folder: Path,
        extractor_url: str = "http://127.0.0.1:9",
        model: str = "mini",
        program: tuple[str, ...] = ("-m", "transcriber"),
    ) -> None:
        config = folder / "config.cfg"
        settings = {"port": 0, "max_jobs": 1, "grace_seconds": GRACE_SECONDS, "model": model}
        lines = [f"{key} = {value}" for key, value in {**settings, "extractor_url": extractor_url}.items()]
        config.write_text("[transcriber]\n" + "\n".join(lines))
        self.log = folder / "log"
        with self.log.open("w") as log:
            command = [sys.executable, *program, "--config", str(config)]
            self.process = subprocess.Popen(
                command, stderr=log, env={**os.environ, "REELSCRIBE_PATHS__TEMP_DIR": "."}, cwd=folder
            )

    async def said(self, words: str) -> str:
        """Wait for a line of the log; what follows the words in it."""
        while words not in (log := self.log.read_text()):
            assert self.process.poll() is None, log
            await asyncio.sleep(0.05)
        return log.partition(words)[2].partition("\n")[0]

    async def ended(self, *signals: signal.Signals) -> None:
        """Send the signals; it must end with 0, within its grace time, and without a traceback."""
        for number in signals:
            self.process.send_signal(number)
            await asyncio.sleep(0.05)
        assert await asyncio.to_thread(self.process.wait, GRACE_SECONDS * SHARE_OF_GRACE) == 0
        log = self.log.read_text()
        assert "Traceback" not in log and "never retrieved" not in log, log


@pytest.fixture
async def start(tmp_path: Path) -> AsyncIterator[Any]:
    started: list[Service] = []

    def service(*arguments: Any, **options: Any) -> Service:
        started.append(Service(tmp_path, *arguments, **options))
        return started[-1]

    yield service
    for one in started:
        one.process.kill()
        one.process.wait()


@pytest.fixture
def stuck_model(tmp_path: Path) -> Iterator[Path]:
    """A model's folder whose weights are a pipe without a writer: loading it takes as long as the test wants."""
    folder = tmp_path / "model"
    shutil.copytree(BUNDLED["mini"], folder)
    yield folder
    if (folder / "model.bin").is_fifo():
        os.close(os.open(folder / "model.bin", os.O_RDWR))


def block(folder: Path) -> None:
    (folder / "model.bin").unlink()
    os.mkfifo(folder / "model.bin")


@asynccontextmanager
async def client(service: Service) -> AsyncIterator[httpx.AsyncClient]:
    url = await service.said("server running on ")
    async with httpx.AsyncClient(base_url=url, timeout=60) as http:
        yield http


async def lines(http: httpx.AsyncClient, events: list[dict[str, Any]], **body: Any) -> None:
    """Transcribe, and add the events to ``events`` as they arrive."""
    async with http.stream("POST", "/transcribe", json=body) as response:
        async for line in response.aiter_lines():
            events.append(json.loads(line))


async def health(http: httpx.AsyncClient, **expected: object) -> None:
    async def as_expected() -> bool:
        return expected.items() <= (await http.get("/healthz")).json().items()

    await eventually(as_expected)


async def half_an_upload(url: httpx.URL) -> bytes:
    """Send it, and wait; the answer."""
    reader, writer = await asyncio.open_connection(url.host, url.port)
    head = "POST /transcribe HTTP/1.1\r\nHost: b\r\nContent-Length: 9000000\r\n"
    writer.write(f"{head}Content-Type: multipart/form-data; boundary=b\r\n\r\n".encode() + HALF_A_FORM)
    answer = await reader.read()
    writer.close()
    return answer


def resume(last: dict[str, Any]) -> float:
    """The second from which to resume after the stop, from a status or, after any event, from the last one."""
    failure = last.get("error") or {**last, **last["details"]}
    assert (failure["code"], failure["retryable"]) == ("stopping", True)
    return float(failure["resume"])


async def test_running_waiting_and_uploading_clients_all_get_the_reason(start: Any) -> None:
    script = Script(hold=asyncio.Event())
    async with extractor(script) as url:
        service = start(url)
        async with client(service) as http:
            running_events: list[dict[str, Any]] = []
            waiting_events: list[dict[str, Any]] = []
            running = asyncio.create_task(lines(http, running_events, savepath="ten_minutes.ogg", start=400.0))
            await health(http, free=0)
            waiting = asyncio.create_task(lines(http, waiting_events, savepath="minute.flac", start=7.5))
            headers = {"Accept": "application/json"}
            document = asyncio.create_task(http.post("/transcribe", json={"savepath": "a"}, headers=headers))
            await health(http, waiting=2)

            uploading = asyncio.create_task(half_an_upload(http.base_url))
            await health(http, waiting=3)
            while not any(event["event"] == "segment" for event in running_events):
                await asyncio.sleep(0.05)
            await service.ended(signal.SIGTERM, signal.SIGTERM)
            await asyncio.gather(running, waiting)
            reached = max(event["seconds"] for event in running_events if event["event"] == "progress")
            assert resume(running_events[-1]) == pytest.approx(reached, abs=0.01)
            assert resume(waiting_events[-1]) == 7.5
            assert (document.result().status_code, (await document).json()["error"]["code"]) == (503, "stopping")
            status, body = (await uploading).split(b"\r\n", 1)
            assert status == b"HTTP/1.1 503 Service Unavailable" and b'"code": "stopping"' in body
            assert script.done == 0


async def test_an_idle_service_ends_immediately(start: Any) -> None:
    service = start()
    async with client(service):
        await service.ended(signal.SIGINT)


async def test_while_the_model_loads_at_the_start(start: Any, stuck_model: Path) -> None:
    block(stuck_model)
    service = start(model=str(stuck_model))
    await service.said("loading the model")
    await asyncio.sleep(0.2)
    await service.ended(signal.SIGTERM)
    assert "server running" not in service.log.read_text()


async def test_while_the_model_loads_for_a_job(start: Any, stuck_model: Path) -> None:
    service = start(model=str(stuck_model))
    async with client(service) as http:
        assert (await http.post("/models/unload")).status_code == 200
        block(stuck_model)
        events: list[dict[str, Any]] = []
        job = asyncio.create_task(lines(http, events, savepath="short.flac", start=1.0))
        loading = asyncio.create_task(http.post("/models/load"))
        await health(http, model_state="loading", free=0)
        await service.ended(signal.SIGTERM)
        await job
        assert resume(events[-1]) == 1.0
        assert (await loading).json()["error"]["code"] == "stopping"


async def test_a_model_that_works_no_more_ends_the_process_so_that_a_new_one_begins(start: Any) -> None:
    script = Script(hold=asyncio.Event())
    async with extractor(script) as url:
        service = start(url, program=("-c", LOSES_ITS_MODEL))
        async with client(service) as http:
            events: list[dict[str, Any]] = []
            job = asyncio.create_task(lines(http, events, savepath="ten_minutes.ogg"))
            while not any(event["event"] == "segment" for event in events):
                await asyncio.sleep(0.05)
            service.process.send_signal(signal.SIGUSR1)
            script.hold.set()
            await asyncio.wait_for(job, 60)
        # "stopping" where segments of earlier windows are still being sent when the model fails
        assert events[-1]["code"] in ("model_broken", "stopping") and events[-1]["retryable"]
        assert await asyncio.to_thread(service.process.wait, GRACE_SECONDS) == 1
    assert "which only a new process may fix" in service.log.read_text()


async def test_a_window_that_outlasts_the_grace_time_is_handed_back(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    transcriber = await serve(grace_seconds=1)

    decode, allowed = transcriber.service.recogniser.decode, threading.Event()

    def slow(*arguments: Any) -> Any:
        allowed.wait(60)
        return decode(*arguments)

    monkeypatch.setattr(transcriber.service.recogniser, "decode", slow)
    running = asyncio.create_task(transcriber.events("minute.flac"))
    while not transcriber.service.model.busy:
        await asyncio.sleep(0.02)
    started = time.monotonic()
    await transcriber.service.stop()
    end = (await running)[-1]
    waited = time.monotonic() - started
    assert isinstance(end, Failed) and (end.code, end.details) == ("stopping", {"resume": pytest.approx(0, abs=0.5)})
    assert waited > SHARE_OF_GRACE * 0.9 and not allowed.is_set(), "it had the time that it has, and no more"
    allowed.set()
    await eventually(lambda: not transcriber.service.model.busy)  # else it loads the model again, in the next test
