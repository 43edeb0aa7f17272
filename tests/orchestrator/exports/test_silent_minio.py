"""Ctrl-C while MinIO takes connections and never answers."""

import asyncio
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from orchestrator.database.pool import Pool
from orchestrator.exports.pending_results import STORE_RESULT
from orchestrator.jobs import deletion
from orchestrator.jobs.models import Job
from tests.orchestrator.commands import Command, Orchestrator
from tests.orchestrator.dataset.test_folders import make_dataset

READ_SECONDS = 30
"""After which a client gives up by itself."""


@pytest.fixture
async def asked(orchestrator: Orchestrator, tmp_path: Path) -> AsyncIterator[asyncio.Event]:
    """Set once a request has come to the silent MinIO of config.cfg."""
    asked = asyncio.Event()

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            await reader.readuntil(b"\r\n\r\n")
            asked.set()
            await reader.read()
        writer.close()

    server = await asyncio.start_server(listen, "127.0.0.1")
    port = server.sockets[0].getsockname()[1]
    (tmp_path / "secret").write_text("a-secret-key\n")
    section = f"[minio]\nendpoint = 127.0.0.1:{port}\naccess_key = reader\nsecure = false\n"
    orchestrator.config.write_text(f"{orchestrator.config.read_text()}{section}secret_key_file = {tmp_path}/secret\n")
    yield asked
    server.close()


async def interrupted(command: Command, asked: asyncio.Event) -> None:
    async with asyncio.timeout(60):
        await asked.wait()
    assert (await command.ends(signal.SIGINT, READ_SECONDS)).code == 130


async def test_an_upload_ends(orchestrator: Orchestrator, asked: asyncio.Event, tmp_path: Path) -> None:
    (tmp_path / "talk.mp4").write_bytes(b"a recording")
    await interrupted(await orchestrator.start("submit", "--upload", str(tmp_path / "talk.mp4")), asked)


async def test_an_upload_of_a_dataset_ends(orchestrator: Orchestrator, asked: asyncio.Event, tmp_path: Path) -> None:
    data = make_dataset(tmp_path / "data", 1)
    await interrupted(await orchestrator.start("dataset", "upload", str(data), "training/sets"), asked)


async def test_a_deletion_ends_and_nothing_is_forgotten(
    orchestrator: Orchestrator,
    asked: asyncio.Event,
    pool: Pool,
    submit: Callable[..., Awaitable[Job]],
    sql: Callable[..., Awaitable[list[Any]]],
) -> None:
    await submit("talk.mp4")
    [(media,)] = await sql("select id from media")
    async with pool.connection() as connection:
        await deletion.note_result(connection, media, "words", "talk.txt", STORE_RESULT)
    await interrupted(await orchestrator.start("delete", "--yes", "talk.mp4"), asked)
    assert await sql("select savepath from media") == [("talk.mp4",)]
    assert await sql("select state from jobs") == [("queued",)]
