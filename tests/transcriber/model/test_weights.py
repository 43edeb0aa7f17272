"""POST /models/load and /models/unload: the model leaves the memory, and comes back for whoever needs it."""

import asyncio
import threading
from pathlib import Path
from typing import Any

import psutil
import pytest

from reelscribe.contracts.events import Failed, Progress
from reelscribe.http.auth import Tokens
from reelscribe.media.ffmpeg import FFmpeg
from reelscribe.settings.loading import Settings
from tests.transcriber.api.test_places import until
from tests.transcriber.conftest import MachineB, Serve, text, truth
from tests.transcriber.peer import Script
from tools.random_model import make_model
from transcriber import service
from transcriber.model.loading import LoadedModel, load_model
from transcriber.service import TranscriberMachine

SHORT = {"savepath": "short.flac"}
JSON = {"Accept": "application/json"}


async def state(machine_b: MachineB) -> str:
    return str((await machine_b.http.get("/healthz")).json()["model_state"])


async def unload(machine_b: MachineB) -> None:
    answer = await machine_b.http.post("/models/unload")
    assert (answer.status_code, answer.json()["model_state"]) == (200, "unloaded")


@pytest.fixture
def broken(mini: LoadedModel, monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """A model that hears no first window, as one whose GPU is gone."""

    def fail(*arguments: Any) -> Any:
        raise RuntimeError("Unable to open file 'model.bin' in model '/secret/path'")

    monkeypatch.setattr(mini.whisper, "encode", fail)
    return monkeypatch


async def test_it_can_be_unloaded_and_loaded_as_often_as_one_likes(machine_b: MachineB, mini: LoadedModel) -> None:
    for _ in range(2):
        assert await state(machine_b) == "loaded"
        for _ in range(2):
            await unload(machine_b)
            assert not mini.whisper.model.model_is_loaded
            assert await state(machine_b) == "unloaded"
            assert await machine_b.metric("reelscribe_model_loaded") == 0
        for _ in range(2):
            answer = await machine_b.http.post("/models/load")
            assert answer.json() == {
                "model": "mini",
                "device": "cpu",
                "compute_type": mini.compute_type,
                "model_state": "loaded",
            }
        assert await machine_b.metric("reelscribe_model_loaded") == 1


async def test_a_job_loads_it(machine_b: MachineB) -> None:
    await unload(machine_b)
    assert text(await machine_b.events("short.flac")) == truth("short.flac")["text"]
    assert await state(machine_b) == "loaded"


async def test_jobs_that_come_at_once_share_one_load(
    serve: Serve, mini: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine_b = await serve()
    await unload(machine_b)
    loads, load = [], machine_b.machine.weights._load_now

    def counted() -> str | None:
        loads.append(threading.get_ident())
        return load()

    monkeypatch.setattr(machine_b.machine.weights, "_load_now", counted)
    told = await asyncio.gather(*(machine_b.events("short.flac") for _ in range(4)))
    assert [text(events) for events in told] == [truth("short.flac")["text"]] * 4
    assert len(loads) == 1


async def test_what_needs_no_model_is_answered_without_it(machine_b: MachineB) -> None:
    await unload(machine_b)
    for path in ("/healthz", "/metrics", "/v1/models", "/v1/models/mini", "/openapi.json"):
        assert (await machine_b.http.get(path)).status_code == 200
    assert (await machine_b.http.post("/transcribe", json={**SHORT, "language": "de"})).status_code == 400
    assert await state(machine_b) == "unloaded"


async def test_it_is_not_unloaded_under_a_job(machine_b: MachineB, script: Script) -> None:
    script.hold = asyncio.Event()
    running = asyncio.create_task(machine_b.events("short.flac"))
    await until(machine_b, free=3)
    refused = await machine_b.http.post("/models/unload")
    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "model_in_use")
    assert refused.json()["error"]["message"].startswith("1 running and 0 waiting requests need the model")
    script.hold.set()
    assert text(await running) == truth("short.flac")["text"]
    await unload(machine_b)


async def test_while_it_loads_clients_are_told_every_few_seconds(
    machine_b: MachineB, monkeypatch: pytest.MonkeyPatch
) -> None:
    await unload(machine_b)
    monkeypatch.setattr(service, "HEARTBEAT_SECONDS", 0.1)
    goes_on, load = threading.Event(), machine_b.machine.weights._load_now

    def slow() -> str | None:
        goes_on.wait(10)
        return load()

    monkeypatch.setattr(machine_b.machine.weights, "_load_now", slow)
    told = []
    async for event in machine_b.stream("short.flac", start=1.0):
        told.append(event)
        if len(told) == 3:
            assert await state(machine_b) == "loading"
            goes_on.set()
    assert told[:3] == [Progress(seconds=1.0)] * 3
    assert told[-1].event == "finished"


@pytest.mark.parametrize("headers", [{}, JSON], ids=["events", "document"])
async def test_a_load_that_fails_is_503_with_a_sentence_and_the_service_stays(
    machine_b: MachineB, broken: pytest.MonkeyPatch, headers: dict[str, str]
) -> None:
    await unload(machine_b)
    refused = await machine_b.http.post("/transcribe", json=SHORT, headers=headers)
    error = refused.json()["error"]
    assert (refused.status_code, error["code"], error["retryable"]) == (503, "model_not_loaded", True)
    assert "the model mini cannot be loaded again on cpu" in error["message"] and "/secret" not in refused.text
    assert int(refused.headers["Retry-After"]) > 0
    assert (await machine_b.http.post("/models/load")).status_code == 503
    assert await state(machine_b) == "unloaded"
    broken.undo()
    assert text(await machine_b.events("short.flac")) == truth("short.flac")["text"]


async def test_a_load_that_fails_late_is_a_failure_worth_a_retry(
    machine_b: MachineB, monkeypatch: pytest.MonkeyPatch
) -> None:
    await unload(machine_b)
    goes_on = threading.Event()

    def fail() -> str:
        goes_on.wait(10)
        return "CUDA failed with error out of memory"

    monkeypatch.setattr(service, "HEARTBEAT_SECONDS", 0.1)
    monkeypatch.setattr(machine_b.machine.weights, "_load_now", fail)
    *told, end = [event async for event in _setting(goes_on, machine_b)]
    assert told and isinstance(end, Failed)
    assert (end.code, end.retryable) == ("model_not_loaded", True)
    assert end.message.startswith("there is too little memory on cpu")


async def _setting(goes_on: threading.Event, machine_b: MachineB) -> Any:
    async for event in machine_b.stream("short.flac"):
        goes_on.set()
        yield event


async def test_a_client_that_leaves_while_it_loads_leaves_no_mess(
    machine_b: MachineB, monkeypatch: pytest.MonkeyPatch
) -> None:
    await unload(machine_b)
    goes_on, load = threading.Event(), machine_b.machine.weights._load_now

    def slow() -> str | None:
        goes_on.wait(10)
        return load()

    monkeypatch.setattr(machine_b.machine.weights, "_load_now", slow)
    leaving = asyncio.create_task(machine_b.events("short.flac"))
    await until(machine_b, model_state="loading", free=3)
    leaving.cancel()
    await until(machine_b, model_state="loading", free=4)
    goes_on.set()
    await until(machine_b, model_state="loaded")
    assert text(await machine_b.events("short.flac")) == truth("short.flac")["text"]


async def test_after_some_idle_time_it_is_unloaded(serve: Serve, script: Script) -> None:
    machine_b = await serve(idle_unload_seconds=0.3)
    script.hold = asyncio.Event()
    running = asyncio.create_task(machine_b.events("short.flac"))
    await until(machine_b, free=3)
    await asyncio.sleep(0.5)
    assert await state(machine_b) == "loaded", "a job is running, however quietly"
    script.hold.set()
    await running
    assert await state(machine_b) == "loaded"
    await until(machine_b, model_state="unloaded")
    await machine_b.http.post("/models/load")
    await until(machine_b, model_state="unloaded")
    assert text(await machine_b.events("short.flac")) == truth("short.flac")["text"]


async def test_0_means_never(machine_b: MachineB) -> None:
    await machine_b.events("short.flac")
    assert not machine_b.machine.weights._idle_timer


async def test_its_memory_is_really_free(local_ffmpeg: FFmpeg, tmp_path: Path) -> None:
    """Of a model with random weights, large enough to be seen among everything else."""
    loaded = load_model(str(make_model(tmp_path / "tiny")), "cpu", "float32")
    machine = TranscriberMachine(Settings(), local_ffmpeg, loaded, Tokens())
    resident = psutil.Process().memory_info
    with_model = resident().rss
    await machine.weights.unload()
    assert with_model - resident().rss > 50 << 20
    machine.model.close()
