"""The operations of a service: one table of them makes its routes and its OpenAPI document."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from pydantic import BaseModel

from reelscribe.contracts.messages import ErrorAnswer
from reelscribe.contracts.scopes import Scope
from reelscribe.errors import ServiceError
from reelscribe.http.access.admission import default_scope
from reelscribe.http.server.service import ServiceHandler

JSON = "application/json"
FORM = "multipart/form-data"
BYTES = "application/octet-stream"


@dataclass(frozen=True)
class Header:
    """A header of an answer; the description of one that is not ``always`` sent says when it is."""

    description: str
    type: str = "string"
    always: bool = True


@dataclass(frozen=True)
class Answer:
    """What an operation answers when it succeeds.

    Attributes:
        description: one sentence.
        content: model by media type; None for a body that is not JSON.
        headers: in addition to ``X-Request-Id``, which every answer has.
        status: of HTTP.
    """

    description: str
    content: Mapping[str, type[BaseModel] | None]
    headers: Mapping[str, Header] = field(default_factory=dict)
    status: int = 200


@dataclass(frozen=True)
class Operation:
    """One method of one path.

    Attributes:
        path: with its parameters in braces, such as ``/api/jobs/{id}``.
        name: the operationId.
        summary: a few words.
        answers: of success.
        failures: in addition to those that every operation has.
        body: what is sent, as JSON.
        form: what is sent, as ``multipart/form-data``; an operation may take either.
        takes_bytes: whether the body is bytes as they are.
        query: the URL's query.
        path_parameters: the pattern of each parameter of ``path``, without anchors and groups.
        request_headers: the description of each.
        error_answer: the body of a failure.
        public: needs no token.
        scope: what a caller must be allowed to do; None: to read for GET and HEAD, to submit for others.
        handler: serves all operations of this path.
    """

    method: str
    path: str
    name: str
    summary: str
    answers: tuple[Answer, ...]
    failures: tuple[type[ServiceError], ...] = ()
    body: type[BaseModel] | None = None
    form: type[BaseModel] | None = None
    takes_bytes: bool = False
    query: type[BaseModel] | None = None
    path_parameters: Mapping[str, str] = field(default_factory=dict)
    request_headers: Mapping[str, str] = field(default_factory=dict)
    error_answer: type[BaseModel] = ErrorAnswer
    public: bool = False
    scope: Scope | None = None
    handler: type[ServiceHandler] = field(kw_only=True)

    @property
    def needed_scope(self) -> Scope:
        """What a caller must be allowed to do."""
        return self.scope or default_scope(self.method)

    @property
    def url_pattern(self) -> str:
        """The path as Tornado matches it: each parameter is a group."""
        literals_and_names = re.split(r"\{(\w+)\}", self.path)
        return "".join(
            f"({self.path_parameters[part]})" if number % 2 else re.escape(part)
            for number, part in enumerate(literals_and_names)
        )
