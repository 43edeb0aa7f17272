"""What a token that is removed from the file had opened: streams of events end, sessions are refused."""

from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from orchestrator.api.handlers import OrchestratorService
from reelscribe.errors import SettingsError
from reelscribe.http.access.tokens import Tokens

MINE, HERS = {"Authorization": "Bearer mine"}, {"Authorization": "Bearer hers"}


@pytest.fixture
def token_file(tmp_path: Path) -> Path:
    file = tmp_path / "tokens"
    file.write_text("mine me\nhers ada read\n")
    return file


@pytest.fixture
def url(serving: Callable[[Tokens], str], token_file: Path) -> str:
    return serving(Tokens.from_file(token_file))


async def test_its_streams_of_events_end_and_others_continue(
    url: str, token_file: Path, orchestrator_service: OrchestratorService
) -> None:
    async with httpx.AsyncClient(base_url=url, timeout=30) as client:
        async with (
            client.stream("GET", "/api/events", headers=HERS) as theirs,
            client.stream("GET", "/api/events", headers=MINE) as ours,
        ):
            their_lines, our_lines = theirs.aiter_lines(), ours.aiter_lines()
            assert [await anext(their_lines), await anext(our_lines)] == ["retry: 2000"] * 2
            token_file.write_text("mine me\n")
            orchestrator_service.read_tokens_again()
            async for _ in their_lines:
                pass  # it has an end
            assert [handler.caller.name for handler in orchestrator_service.running] == ["me"]
        assert (await client.get("/api/events", headers=HERS)).status_code == 401


async def test_a_stream_ends_too_if_its_token_may_do_less_than_before(
    url: str, token_file: Path, orchestrator_service: OrchestratorService
) -> None:
    async with (
        httpx.AsyncClient(base_url=url, timeout=30) as client,
        client.stream("GET", "/api/events", headers=MINE) as stream,
    ):
        lines = stream.aiter_lines()
        assert await anext(lines) == "retry: 2000"
        token_file.write_text("another\nmine me read\n")
        orchestrator_service.read_tokens_again()
        async for _ in lines:
            pass  # it has an end


async def test_a_stream_continues_where_the_file_is_wrong(
    url: str, token_file: Path, orchestrator_service: OrchestratorService
) -> None:
    async with (
        httpx.AsyncClient(base_url=url, timeout=30) as client,
        client.stream("GET", "/api/events", headers=HERS) as stream,
    ):
        assert await anext(stream.aiter_lines()) == "retry: 2000"
        token_file.write_text("")
        with pytest.raises(SettingsError, match="holds no token"):
            orchestrator_service.read_tokens_again()
        assert [handler.caller.name for handler in orchestrator_service.running] == ["ada"]
        assert (await client.get("/api/status", headers=HERS)).status_code == 200


async def test_who_has_signed_in_with_it_must_sign_in_again(
    url: str, token_file: Path, orchestrator_service: OrchestratorService
) -> None:
    async with httpx.AsyncClient(base_url=url, headers={"Origin": url}) as browser:
        assert (await browser.post("/sign-in", data={"token": "hers", "next": "/"})).headers["Location"] == "/"
        assert (await browser.get("/api/status")).status_code == 200
        token_file.write_text("mine me\n")
        orchestrator_service.read_tokens_again()
        assert (await browser.get("/api/status")).status_code == 401
        assert (await browser.get("/")).headers["Location"].startswith("/sign-in")
