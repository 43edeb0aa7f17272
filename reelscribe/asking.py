"""Asking a service for its diagnosis, whatever it is that answers."""

import asyncio
from dataclasses import dataclass
from typing import Self

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


@dataclass(frozen=True)
class RefusedToken:
    """What is wrong with the token that this host sends, and what fixes it."""

    message: str
    fix: str

    @classmethod
    def of(cls, tokens: Tokens) -> Self:
        """A service does not know it."""
        if not tokens:
            return cls(
                "asks for a token, and this host sends none: [auth] token_file is not set here",
                "copy the token_file of its host to this one, and name it in [auth] token_file",
            )
        sent = f"{tokens.all[0].name}, the first one in {tokens.file} ([auth] token_file of this host)"
        return cls(
            f"does not accept the token that this host sends: {sent}",
            f"make that token a line of the token_file of its host too, or the first one in {tokens.file} one of those"
            " there; services that run read a changed file within seconds",
        )


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


async def check_token(http: httpx.AsyncClient, name: str, url: str, tokens: Tokens) -> None:
    """Nothing if our token is enough there: what else the service lacks, and whether it is of an older version, is
    not the question.

    Raises:
        ServiceError: it is not.
    """
    try:
        diagnosis = read(name, await ask(http, name, url))
    except ServiceError as failure:
        if failure.code == "unauthorized":
            refused = RefusedToken.of(tokens)
            raise ServiceError(f"{name} {refused.message}; {refused.fix}") from None
        return
    if problem := scope_problem(diagnosis):
        raise ServiceError(f"{name}: {problem}; give it the scope submit in the token_file of that host")
