"""A client of the HTTP API of one orchestrator; its failures are sentences for whoever runs a command."""

from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any, Self, TypeVar

import httpx
from pydantic import BaseModel, ValidationError

from reelscribe.errors import RemoteError, ServiceError, SettingsError
from reelscribe.http.peers.requests import as_service_errors, close_answer, refusal, unexpected
from reelscribe.text.urls import without_password
from reelscribe.trust import tls_context

CONNECT_SECONDS = 5.0
READ_SECONDS = 90.0
"""Longest silence of the server: a submission of many savepaths asks the extractor about each."""

Answer = TypeVar("Answer", bound=BaseModel)


class ApiClient:
    """Asks one orchestrator; use it as ``async with``.

    Args:
        url: base URL of the orchestrator.
        token_file: its first word is the token to send; None: none is.

    Attributes:
        name: what it is called in sentences.
        shown_url: base URL for people: without the user and the password that a proxy may ask for.

    Raises:
        SettingsError: the token file is unusable.
    """

    def __init__(self, url: str, token_file: Path | None) -> None:
        token = None if token_file is None else _token_in(token_file)
        self.shown_url = str(httpx.URL(url).copy_with(userinfo=b""))
        self.name = f"the orchestrator at {without_password(url)}"
        self._has_token = token is not None
        self._http = httpx.AsyncClient(
            base_url=url,
            headers={"Authorization": f"Bearer {token}"} if token else {},
            timeout=httpx.Timeout(READ_SECONDS, connect=CONNECT_SECONDS),
            verify=tls_context(shows_certificate=True),
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._http.aclose()

    async def get(self, path: str, answer: type[Answer], **query: Any) -> Answer:
        """What an operation answers; query parameters that are None are left out.

        Raises:
            ServiceError: the server does not answer, or refuses.
        """
        return await self.ask(answer, 200, "GET", path, params=given(query))

    async def post(self, path: str, answer: type[Answer], body: Mapping[str, Any], status: int = 200) -> Answer:
        """The same of one that takes a body."""
        return await self.ask(answer, status, "POST", path, json=body)

    async def ask(self, answer: type[Answer], status: int, method: str, path: str, **sent: Any) -> Answer:
        """The same of any; ``status`` is that of success."""
        with as_service_errors(self.name):
            response = await self._http.request(method, path, **sent)
        if response.status_code != status:
            raise self._refusal(response)
        try:
            return answer.model_validate_json(response.content)
        except ValidationError:
            raise unexpected(self.name, response.status_code) from None

    async def stream(self, path: str, **query: Any) -> AsyncIterator[bytes]:
        """The body of an answer as it arrives.

        Raises:
            StreamCut: it ended early.
            ServiceError: the server does not answer, or refuses.
        """
        request = self._http.build_request("GET", path, params=given(query))
        with as_service_errors(self.name):
            response = await self._http.send(request, stream=True)
            try:
                if response.status_code != 200:
                    await response.aread()
                    raise self._refusal(response)
                async for part in response.aiter_bytes():
                    yield part
            finally:
                await close_answer(response)

    def _refusal(self, response: httpx.Response) -> ServiceError:
        """The error of an answer, whose body has been read."""
        error = refusal(self.name, response)
        if response.status_code != 401:
            return error
        what = "does not accept the token of this command" if self._has_token else "asks for a token"
        how = "name the file with one of its tokens by --token-file or [client] token_file"
        return RemoteError(401, error.code, f"{self.name} {what}; {how}", retryable=False)


def given(query: Mapping[str, Any]) -> dict[str, str]:
    """Query parameters as they are sent; those that are None are left out."""
    return {
        name: str(value).lower() if isinstance(value, bool) else str(value)
        for name, value in query.items()
        if value is not None
    }


def _token_in(path: Path) -> str:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as unreadable:
        raise SettingsError([f"--token-file: {path} cannot be read: {unreadable.strerror}"]) from None
    except UnicodeDecodeError:
        raise SettingsError([f"--token-file: {path} is not UTF-8 text"]) from None
    words = [line.split() for line in lines if line.strip() and not line.strip().startswith("#")]
    if not words:
        raise SettingsError([f"--token-file: {path} holds no token"])
    token = words[0][0]
    if not token.isascii() or not token.isprintable():
        raise SettingsError([f"--token-file: the token in {path} is not of ASCII characters"])
    return token
