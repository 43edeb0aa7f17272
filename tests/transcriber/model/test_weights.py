"""POST /models/load and /models/unload: the model leaves the memory, and comes back for requests that need it."""

import asyncio
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from reelscribe.contracts.events import Failed, Progress
from reelscribe.http.access.tokens import Tokens
from reelscribe.media.ffmpeg import FFmpeg
from reelscribe.settings.loading import Settings
from tests.transcriber.api.test_slots import until
from tests.transcriber.conftest import Serve, Transcriber, text, truth
from tests.transcriber.peer import Script
from tools.random_model import make_model
from transcriber import service
from transcriber.model.loading import LoadedModel, load_model
from transcriber.service import TranscriberService

SHORT = {"savepath": "short.flac"}
JSON = {"Accept": "application/json"}


async def state(transcriber: Transcriber) -> str:
    return str((await transcriber.http.get("/healthz")).json()["model_state"])


async def unload(transcriber: Transcriber) -> None:
    answer = await transcriber.http.post("/models/unload")
    assert (answer.status_code, answer.json()["model_state"]) == (200, "unloaded")


@pytest.fixture
def broken(mini: LoadedModel, monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """A model that cannot be loaded, like one whose GPU is gone."""

    def fail(*arguments: Any) -> Any:
        raise RuntimeError("Unable to open file 'model.bin' in model '/secret/path'")

    monkeypatch.setattr(mini.whisper, "encode", fail)
    return monkeypatch


async def test_it_can_be_unloaded_and_loaded_any_number_of_times(transcriber: Transcriber, mini: LoadedModel) -> None:
    for _ in range(2):
        assert await state(transcriber) == "loaded"
        for _ in range(2):
            await unload(transcriber)
            assert not mini.whisper.model.model_is_loaded
            assert await state(transcriber) == "unloaded"
            assert await transcriber.metric("reelscribe_model_loaded") == 0
        for _ in range(2):
            answer = await transcriber.http.post("/models/load")
            assert answer.json() == {
                "model": "mini",
                "device": "cpu",
                "compute_type": mini.compute_type,
                "model_state": "loaded",
            }
        assert await transcriber.metric("reelscribe_model_loaded") == 1


async def test_a_job_loads_it(transcriber: Transcriber) -> None:
    await unload(transcriber)
    assert text(await transcriber.events("short.flac")) == truth("short.flac")["text"]
    assert await state(transcriber) == "loaded"


async def test_jobs_that_come_together_share_one_load(
    serve: Serve, mini: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    transcriber = await serve()
    await unload(transcriber)
    loads, load = [], transcriber.service.weights._load_now

    def counted() -> str | None:
        loads.append(threading.get_ident())
        return load()

    monkeypatch.setattr(transcriber.service.weights, "_load_now", counted)
    answers = await asyncio.gather(*(transcriber.events("short.flac") for _ in range(4)))
    assert [text(events) for events in answers] == [truth("short.flac")["text"]] * 4
    assert len(loads) == 1


async def test_what_needs_no_model_is_answered_without_it(transcriber: Transcriber) -> None:
    await unload(transcriber)
    for path in ("/healthz", "/metrics", "/v1/models", "/v1/models/mini", "/openapi.json"):
        assert (await transcriber.http.get(path)).status_code == 200
    assert (await transcriber.http.post("/transcribe", json={**SHORT, "language": "de"})).status_code == 400
    assert await state(transcriber) == "unloaded"


async def test_it_is_not_unloaded_under_a_job(transcriber: Transcriber, script: Script) -> None:
    script.hold = asyncio.Event()
    running = asyncio.create_task(transcriber.events("short.flac"))
    await until(transcriber, free=3)
    refused = await transcriber.http.post("/models/unload")
    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "model_in_use")
    assert refused.json()["error"]["message"].startswith("1 running and 0 waiting requests need the model")
    script.hold.set()
    assert text(await running) == truth("short.flac")["text"]
    await unload(transcriber)


async def test_while_it_loads_clients_get_an_event_every_few_seconds(
    transcriber: Transcriber, monkeypatch: pytest.MonkeyPatch
) -> None:
    await unload(transcriber)
    monkeypatch.setattr(service, "HEARTBEAT_SECONDS", 0.1)
    resume, load = threading.Event(), transcriber.service.weights._load_now

    def slow() -> str | None:
        resume.wait(60)
        return load()

    monkeypatch.setattr(transcriber.service.weights, "_load_now", slow)
    events = []
    async for event in transcriber.stream("short.flac", start=1.0):
        events.append(event)
        if len(events) == 3:
            assert await state(transcriber) == "loading"
            resume.set()
    assert events[:3] == [Progress(seconds=1.0)] * 3
    assert events[-1].event == "finished"


@pytest.mark.parametrize("headers", [{}, JSON], ids=["events", "document"])
async def test_a_load_that_fails_is_503_with_a_reason_and_the_service_stays(
    transcriber: Transcriber, broken: pytest.MonkeyPatch, headers: dict[str, str]
) -> None:
    broken.setattr(service, "HEARTBEAT_SECONDS", 60)  # with the first one, the status is sent
    await unload(transcriber)
    refused = await transcriber.http.post("/transcribe", json=SHORT, headers=headers)
    error = refused.json()["error"]
    assert (refused.status_code, error["code"], error["retryable"]) == (503, "model_not_loaded", True)
    assert "the model mini cannot be loaded again on cpu" in error["message"] and "/secret" not in refused.text
    assert int(refused.headers["Retry-After"]) > 0
    assert (await transcriber.http.post("/models/load")).status_code == 503
    assert await state(transcriber) == "unloaded"
    broken.undo()
    assert text(await transcriber.events("short.flac")) == truth("short.flac")["text"]


async def test_a_load_that_fails_late_is_a_failure_worth_a_retry(
    transcriber: Transcriber, monkeypatch: pytest.MonkeyPatch
) -> None:
    await unload(transcriber)
    resume = threading.Event()

    def fail() -> str:
        resume.wait(60)
        return "CUDA failed with error out of memory"

    monkeypatch.setattr(service, "HEARTBEAT_SECONDS", 0.1)
    monkeypatch.setattr(transcriber.service.weights, "_load_now", fail)
    *events, end = [event async for event in _setting(resume, transcriber)]
    assert events and isinstance(end, Failed)
    assert (end.code, end.retryable) == ("model_not_loaded", True)
    assert end.message.startswith("there is too little memory on cpu")


async def _setting(resume: threading.Event, transcriber: Transcriber) -> Any:
    async for event in transcriber.stream("short.flac"):
        resume.set()
        yield event


async def test_a_client_that_leaves_while_it_loads_leaves_no_mess(
    transcriber: Transcriber, monkeypatch: pytest.MonkeyPatch
) -> None:
    await unload(transcriber)
    resume, load = threading.Event(), transcriber.service.weights._load_now

    def slow() -> str | None:
        resume.wait(60)
        return load()

    monkeypatch.setattr(transcriber.service.weights, "_load_now", slow)
    leaving = asyncio.create_task(transcriber.events("short.flac"))
    await until(transcriber, model_state="loading", free=3)
    leaving.cancel()
    await until(transcriber, model_state="loading", free=4)
    resume.set()
    await until(transcriber, model_state="loaded")
    assert text(await transcriber.events("short.flac")) == truth("short.flac")["text"]


async def test_after_some_idle_time_it_is_unloaded(serve: Serve, script: Script) -> None:
    transcriber = await serve(idle_unload_seconds=0.6)
    script.hold = asyncio.Event()
    running = asyncio.create_task(transcriber.events("short.flac"))
    await until(transcriber, free=3, model_state="loaded")
    await asyncio.sleep(0.8)
    assert await state(transcriber) == "loaded", "a job is running, however quietly"
    script.hold.set()
    await running
    assert await state(transcriber) == "loaded"
    await until(transcriber, model_state="unloaded")
    await transcriber.http.post("/models/load")
    await until(transcriber, model_state="unloaded")
    assert text(await transcriber.events("short.flac")) == truth("short.flac")["text"]


async def test_with_0_it_is_never_unloaded(transcriber: Transcriber) -> None:
    await transcriber.events("short.flac")
    assert not transcriber.service.weights._idle_timer


@pytest.fixture
def one_core() -> Iterator[None]:
    """For the threads that a test starts: there CTranslate2's worker counts its call as ended well after the result."""
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(cores)})
    yield
    os.sched_setaffinity(0, cores)


@pytest.mark.usefixtures("one_core")
async def test_its_memory_is_really_free_each_time(local_ffmpeg: FFmpeg, tmp_path: Path) -> None:
    """Of a model with random weights, large enough to be seen among everything else."""
    loaded = load_model(str(make_model(tmp_path / "tiny")), "cpu", "float32")
    service = TranscriberService(Settings(), local_ffmpeg, loaded, Tokens())
    resident = psutil.Process().memory_info
    for _ in range(6):
        await service.weights.load()
        with_model = resident().rss
        await service.weights.unload()
        assert with_model - resident().rss > 50 << 20
    service.model.close()
