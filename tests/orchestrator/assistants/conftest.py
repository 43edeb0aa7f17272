"""An open archive, and the client of the protocol's own package on it."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from mcp import Client
from mcp.types import CallToolResult

from orchestrator.assistants.server import make_server
from orchestrator.database.pool import Pool
from orchestrator.exports.deletion import Deletions
from orchestrator.intake.bucket import Objects
from orchestrator.intake.submission import Submissions
from orchestrator.queue.procrastinate import Queue
from orchestrator.session import Session
from reelscribe.http.access.tokens import Tokens
from reelscribe.settings.loading import Settings
from reelscribe.settings.orchestrator import OrchestratorSection
from reelscribe.settings.shared import MinioSection
from tests.orchestrator.conftest import BUCKET

PAGE = "https://talks.example.com"

Call = Callable[..., Awaitable[dict[str, Any]]]
Refused = Callable[..., Awaitable[str]]


@pytest.fixture
def session(pool: Pool, queue: Queue, submissions: Submissions) -> Session:
    """Of an archive whose page has an address of its own."""
    settings = Settings(orchestrator=OrchestratorSection(public_url=PAGE))
    objects = Objects("http://127.0.0.1:9", Tokens(), BUCKET)
    return Session(settings, pool, queue, objects, submissions, Deletions(pool, queue, MinioSection()), Tokens())


async def answer(session: Session, name: str, arguments: dict[str, Any]) -> CallToolResult:
    async with Client(make_server(session)) as client:
        return await client.call_tool(name, arguments)


@pytest.fixture
def call(session: Session) -> Call:
    """Call a tool; what it answers, which the client has compared with the tool's schema."""

    async def call(name: str, **arguments: Any) -> dict[str, Any]:
        result = await answer(session, name, arguments)
        assert not result.is_error, result.content
        content: dict[str, Any] = result.structured_content or {}
        return content

    return call


@pytest.fixture
def refused(session: Session) -> Refused:
    """Call a tool that refuses; its sentence."""

    async def refused(name: str, **arguments: Any) -> str:
        result = await answer(session, name, arguments)
        assert result.is_error and result.structured_content is None, result
        [said] = result.content
        assert said.type == "text"
        return said.text

    return refused
