"""Asking a service for its diagnosis, whatever it is that answers."""

import asyncio

import httpx
from pydantic import ValidationError

from reelscribe.contracts.diagnosis import Diagnosis
from reelscribe.contracts.scopes import Scope
from reelscribe.errors import ServiceError, StreamCut
from reelscribe.http.access.tokens import Tokens
from reelscribe.http.peers.requests import as_service_errors, refusal, unexpected
from reelscribe.trust import tls_context

CONNECT_SECONDS, ANSWER_SECONDS = 5.0, 30.0
MOST_BYTES = 1 << 20
"""A diagnosis has a few thousand."""

TOKEN_FIX = "the first line of [auth] token_file on this host must be a line of the token_file on that host"


def asking_client(tokens: Tokens) -> httpx.AsyncClient:
    """A client for :func:`ask`, which shows our token and our certificate."""
    timeout = httpx.Timeout(ANSWER_SECONDS, connect=CONNECT_SECONDS)
    return httpx.AsyncClient(headers=tokens.headers(), timeout=timeout, verify=tls_context(shows_certificate=True))


async def ask(http: httpx.AsyncClient, name: str, url: str) -> httpx.Response:
    """The answer of ``GET /diagnosis``, all of it.

    Raises:
        PeerUnreachable, StreamCut: there is none, or not within :data:`ANSWER_SECONDS`.
        RemoteError: it is too long for a diagnosis.
    """
    content = b""
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            with as_service_errors(name):
                async with http.stream("GET", f"{url}/diagnosis") as response:
                    async for chunk in response.aiter_bytes():
                        content += chunk
                        if len(content) > MOST_BYTES:
                            raise unexpected(name, response.status_code)
    except TimeoutError:
        raise StreamCut(f"{name} broke off: it took too long") from None
    return httpx.Response(response.status_code, content=content, extensions=response.extensions)


def read(name: str, response: httpx.Response) -> Diagnosis:
    """What it says.

    Raises:
        RemoteError: the service refuses, or is none of ours.
    """
    if response.status_code != 200:
        raise refusal(name, response)
    try:
        return Diagnosis.model_validate_json(response.content)
    except ValidationError:
        raise unexpected(name, response.status_code) from None


def scope_problem(diagnosis: Diagnosis) -> str | None:
    """Why our token is not enough there; None if it is."""
    if diagnosis.scope.includes(Scope.SUBMIT):
        return None
    return f"our token, {diagnosis.caller}, may only {diagnosis.scope} there"


async def check_token(http: httpx.AsyncClient, name: str, url: str) -> None:
    """Nothing if our token is enough there: what else the service lacks, and whether it is of an older version, is
    not the question.

    Raises:
        ServiceError: it is not.
    """
    try:
        diagnosis = read(name, await ask(http, name, url))
    except ServiceError as failure:
        if failure.code == "unauthorized":
            raise ServiceError(f"{name} does not accept our token: {TOKEN_FIX}") from None
        return
    if problem := scope_problem(diagnosis):
        raise ServiceError(f"{name}: {problem}; give it the scope submit in the token_file of that host")
