"""Assistants over HTTP: the package's own client, our tokens and scopes, and what is refused."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import httpx
import httpx2
import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from tornado.testing import bind_unused_port

from orchestrator.assistants.http import API, AssistantService, MessageHandler
from reelscribe.contracts.scopes import Scope
from reelscribe.http.access.tokens import Token, Tokens
from reelscribe.http.server.connections import ServiceServer

READER, WRITER = Token("secret-of-alice", "alice", Scope.READ), Token("secret-of-bob", "bob", Scope.SUBMIT)
LIST = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
HEADERS = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}


@pytest.fixture
def serving(session) -> Callable[..., AbstractAsyncContextManager[str]]:
    """Serve assistants during the block; the URL."""

    @asynccontextmanager
    async def serve(*tokens: Token) -> AsyncIterator[str]:
        service = AssistantService(session)
        service.access.tokens = Tokens(tokens)
        server = ServiceServer(API.application(service))
        socket, port = bind_unused_port()
        async with service.messages.run():
            server.add_socket(socket)
            yield f"http://127.0.0.1:{port}/mcp"
        server.stop()
        await server.close_all_connections()

    return serve


@asynccontextmanager
async def connected(url: str, token: Token | None = None, mode: str = "auto") -> AsyncIterator[Client]:
    headers = {"Authorization": f"Bearer {token.secret}"} if token else {}
    async with (
        httpx2.AsyncClient(headers=headers) as http,
        Client(streamable_http_client(url, http_client=http), mode=mode) as client,
    ):
        yield client


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_a_client_of_each_version_of_the_protocol_uses_the_tools(serving, store_transcript, mode):
    await store_transcript("a.mp4", "your very happy horse")
    async with serving() as url, connected(url, mode=mode) as client:
        found = await client.call_tool("search", {"query": "horse"})
        assert [hit["savepath"] for hit in found.structured_content["hits"]] == ["a.mp4"]
        assert (await client.call_tool("search", {"query": ""})).is_error


async def test_a_token_gives_the_tools_of_its_scope(serving, sql):
    async with serving(WRITER, READER) as url:
        async with connected(url, READER) as client:
            assert "submit" not in [tool.name for tool in (await client.list_tools()).tools]
            [said] = (await client.call_tool("submit", {"savepaths": ["a.mp4"]})).content
            assert said.text.startswith("'alice' has the scope read, and this asks for submit")
            assert not (await client.call_tool("list_recordings", {})).is_error
        assert await sql("select count(*) from media") == [(0,)]
        async with connected(url, WRITER) as client:
            assert "submit" in [tool.name for tool in (await client.list_tools()).tools]
            submitted = await client.call_tool("submit", {"savepaths": ["a.mp4"]})
    assert [job["state"] for job in submitted.structured_content["jobs"]] == ["queued"]


@pytest.mark.parametrize("authorization", [{}, {"Authorization": "Bearer wrong"}, {"Authorization": "secret-of-bob"}])
async def test_without_a_token_of_the_file_nothing_is_answered(serving, authorization):
    async with serving(WRITER) as url, httpx.AsyncClient(headers={**HEADERS, **authorization}) as http:
        answer = await http.post(url, json=LIST)
    assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, "Bearer")
    assert answer.json()["error"]["code"] == "unauthorized"


@pytest.mark.parametrize(
    ("tokens", "headers", "code"),
    [
        ((), {"Origin": "https://evil.example"}, "origin_not_allowed"),
        ((), {"Host": "evil.example"}, "host_not_allowed"),
        ((WRITER,), {"Origin": "https://evil.example", "Authorization": "Bearer secret-of-bob"}, "origin_not_allowed"),
    ],
)
async def test_the_page_of_another_site_is_refused_even_with_a_token(serving, tokens, headers, code):
    async with serving(*tokens) as url, httpx.AsyncClient(headers={**HEADERS, **headers}) as http:
        answer = await http.post(url, json=LIST)
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, code)


async def test_what_is_no_message_is_refused_and_leaves_nothing_open(serving):
    async with serving() as url, httpx.AsyncClient(headers=HEADERS) as http:
        assert (await http.get(url)).json()["error"]["message"] == "/mcp does not take GET"
        assert (await http.delete(url)).status_code == 405
        large = await http.post(url, content=b" " * (MessageHandler.max_body_bytes + 1))
        assert (large.status_code, large.json()["error"]["code"]) == (413, "body_too_large")
        assert (await http.post(url, content=b"{")).status_code == 400
        assert (await http.post(url, content=b"[" * 100_000)).status_code == 400
        assert (await http.post(url, json=LIST, headers={"Content-Type": "text/plain"})).status_code == 400
        listed = await http.post(url, json=LIST)
        assert len(listed.json()["result"]["tools"]) == 5
        assert "Mcp-Session-Id" not in listed.headers
        health = (await http.get(url.replace("/mcp", "/healthz"))).json()
        assert (health["machine"], health["status"], health["problems"]) == ("mcp", "ok", [])


async def test_a_method_that_the_protocol_has_and_this_service_does_not_take_is_405_with_any_token(serving):
    async with serving(WRITER, READER) as url, httpx.AsyncClient(headers=HEADERS) as http:
        for token in (WRITER, READER):
            http.headers["Authorization"] = f"Bearer {token.secret}"
            ended = await http.delete(url)
            assert (ended.status_code, ended.headers["Allow"]) == (405, "POST")
        http.headers["Authorization"] = "Bearer another"
        assert (await http.delete(url)).status_code == 401


async def test_health_says_that_the_database_is_away(serving, pool):
    await pool.close()
    async with serving(WRITER) as url, httpx.AsyncClient() as http:
        health = (await http.get(url.replace("/mcp", "/healthz"))).json()
    assert (health["status"], health["problems"]) == ("degraded", ["the database does not answer"])


async def test_a_call_whose_caller_has_left_is_given_up(serving, pool, sql):
    waiting = "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'"
    call = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "list_recordings", "arguments": {}}}

    async def becomes(count: int) -> None:
        async with asyncio.timeout(60):
            while await sql(waiting) != [(count,)]:
                await asyncio.sleep(0.02)

    async with serving() as url, pool.connection() as connection, connection.transaction(force_rollback=True):
        await connection.execute("lock table jobs in access exclusive mode")
        async with httpx.AsyncClient(headers=HEADERS, timeout=60) as http:
            leaving = asyncio.create_task(http.post(url, json=call))
            await becomes(1)
            leaving.cancel()
            await asyncio.wait([leaving])
        await becomes(0)
