"""A web server, a bucket to ingest into, and what is in it afterwards."""

import json
import random
import sys
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.orchestrator.commands import Orchestrator, Outcome
from tests.orchestrator.ingest.web import Web, serving

Sql = Callable[..., Awaitable[list[Any]]]
TALK = random.Random(1).randbytes(300_000)


@pytest.fixture(scope="module")
def server() -> Iterator[Web]:
    with serving() as web:
        yield web


@pytest.fixture
def web(server: Web) -> Web:
    server.pages.clear()
    server.asked.clear()
    server.ranges.clear()
    return server


@pytest.fixture
def bucket(tmp_path: Path, orchestrator: Orchestrator) -> Path:
    """A bucket, and an environment with yt-dlp: the one that the tests run in."""
    folder = tmp_path / "minio" / "videos"
    folder.mkdir(parents=True)
    (tmp_path / "ingest").mkdir()
    (tmp_path / "ingest" / "environment").symlink_to(sys.prefix)
    configure(orchestrator)
    return folder


def configure(orchestrator: Orchestrator, **ingest: object) -> None:
    keys = {"data_dir": "ingest", "sleep": 0, "sleep_requests": 0, "retry_seconds": 0.05, "timeout": 10, **ingest}
    kept = orchestrator.config.read_text().partition("[paths]")[0]
    section = "\n".join(f"{name} = {value}" for name, value in keys.items())
    orchestrator.config.write_text(f"{kept}[paths]\nminio_data_path = minio\n[ingest]\n{section}\n")


def stored(bucket: Path) -> dict[str, bytes]:
    """All files of the bucket."""
    return {str(path.relative_to(bucket)): path.read_bytes() for path in bucket.rglob("*") if path.is_file()}


def reported(outcome: Outcome) -> list[dict[str, Any]]:
    recordings: list[dict[str, Any]] = json.loads(outcome.out)["recordings"]
    return recordings
