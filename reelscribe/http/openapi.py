"""A machine's OpenAPI 3.1 document, built from its wire models, its error types and one table of operations."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Any

from prometheus_client import CONTENT_TYPE_LATEST
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from reelscribe import errors
from reelscribe.contracts.messages import ErrorAnswer, Health
from reelscribe.errors import ServiceError

JSON = "application/json"
FORM = "multipart/form-data"
SCHEMA_REFERENCE = "#/components/schemas/{model}"

Schema = dict[str, Any]


@dataclass(frozen=True)
class Header:
    """A header of an answer; one that is not ``always`` there comes where its description says."""

    description: str
    type: str = "string"
    always: bool = True


@dataclass(frozen=True)
class Answer:
    """What an operation answers when it succeeds.

    Attributes:
        description: in a sentence.
        content: model by media type; None for a body that is no JSON.
        headers: beside ``X-Request-Id``, which every answer has.
        status: of HTTP.
    """

    description: str
    content: Mapping[str, type[BaseModel] | None]
    headers: Mapping[str, Header] = field(default_factory=dict)
    status: int = 200


@dataclass(frozen=True)
class Operation:
    """One method of one route.

    Attributes:
        path: with ``{names}``; the pattern of each name is in ``path_parameters``.
        name: its operationId.
        summary: in a few words.
        answers: when it succeeds.
        failures: beside those that every operation has.
        body, query: what is sent.
        form: the same as ``multipart/form-data``.
        error_answer: of its failures.
        request_headers: description of each.
        public: needs no token.
    """

    method: str
    path: str
    name: str
    summary: str
    answers: tuple[Answer, ...]
    failures: tuple[type[ServiceError], ...] = ()
    body: type[BaseModel] | None = None
    form: type[BaseModel] | None = None
    query: type[BaseModel] | None = None
    path_parameters: Mapping[str, str] = field(default_factory=dict)
    request_headers: Mapping[str, str] = field(default_factory=dict)
    error_answer: type[BaseModel] = ErrorAnswer
    public: bool = False


REQUEST_ID = Header("The caller's, or one made for this request; the log has it too")
COMMON_FAILURES: tuple[type[ServiceError], ...] = (
    errors.BadRequest,
    errors.Unauthorized,
    errors.Stopping,
    errors.InternalError,
)
FAILURE_HEADERS = {
    401: {"WWW-Authenticate": Header("Bearer")},
    503: {"Retry-After": Header("Seconds, where trying again helps", type="integer", always=False)},
}

SHARED_OPERATIONS = (
    Operation(
        "GET",
        "/healthz",
        "health",
        "Whether this machine works, for monitors",
        (
            Answer("It works.", {JSON: Health}),
            Answer("It is shutting down, or cannot work now.", {JSON: Health}, status=503),
        ),
        public=True,
    ),
    Operation(
        "GET",
        "/metrics",
        "metrics",
        "Counters and histograms, as Prometheus text",
        (Answer("The metrics.", {CONTENT_TYPE_LATEST.split(";")[0]: None}),),
    ),
    Operation("GET", "/openapi.json", "openapi", "This document", (Answer("OpenAPI 3.1.", {JSON: None}),)),
)


def document(title: str, description: str, operations: Iterable[Operation]) -> dict[str, Any]:
    """The OpenAPI document of a machine with these operations, and those that every machine has where it tells none."""
    own = {(operation.method, operation.path): operation for operation in operations}
    shared = (operation for operation in SHARED_OPERATIONS if (operation.method, operation.path) not in own)
    table = (*own.values(), *shared)
    schemas, definitions = models_json_schema(
        [(model, "validation") for model in sorted(_models(table), key=lambda model: model.__name__)],
        ref_template=SCHEMA_REFERENCE,
    )
    references: dict[Any, Schema] = {model: schema for (model, _), schema in schemas.items()}
    paths: dict[str, dict[str, Any]] = {}
    for operation in table:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _operation(operation, references)
    return {
        "openapi": "3.1.0",
        "info": {"title": title, "description": description, "version": version("reelscribe")},
        "paths": paths,
        "components": {
            "schemas": definitions["$defs"],
            "securitySchemes": {
                "bearer": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "A token of [auth] token_file; asked for only where that is set.",
                }
            },
        },
    }


def _models(table: Iterable[Operation]) -> set[type[BaseModel]]:
    contents = {model for operation in table for answer in operation.answers for model in answer.content.values()}
    bodies = {body for operation in table for body in (operation.body, operation.form)}
    failures = {operation.error_answer for operation in table}
    return {model for model in contents | bodies | failures if model}


def _operation(operation: Operation, references: Mapping[type[BaseModel], Schema]) -> dict[str, Any]:
    told: dict[str, Any] = {
        "operationId": operation.name,
        "summary": operation.summary,
        "security": [] if operation.public else [{"bearer": []}],
        "responses": {
            **{str(answer.status): _answer(answer, references) for answer in operation.answers},
            **({} if operation.public else _failures(operation, references)),
        },
    }
    if parameters := _parameters(operation):
        told["parameters"] = parameters
    bodies = {JSON: operation.body, FORM: operation.form}
    if content := {kind: {"schema": references[model]} for kind, model in bodies.items() if model}:
        told["requestBody"] = {"required": True, "content": content}
    return told


def _parameters(operation: Operation) -> list[Schema]:
    query = operation.query.model_json_schema() if operation.query else {}
    return [
        *(
            {"name": name, "in": "path", "required": True, "schema": {"type": "string", "pattern": pattern}}
            for name, pattern in operation.path_parameters.items()
        ),
        *(
            {"name": name, "in": "query", "required": name in query.get("required", ()), "schema": schema}
            for name, schema in query.get("properties", {}).items()
        ),
        *(
            {"name": name, "in": "header", "description": text, "schema": {"type": "string"}}
            for name, text in operation.request_headers.items()
        ),
    ]


def _answer(answer: Answer, references: Mapping[type[BaseModel], Schema]) -> Schema:
    return {
        "description": answer.description,
        "headers": _headers(answer.headers),
        "content": {
            media_type: {"schema": references[model]} if model else {} for media_type, model in answer.content.items()
        },
    }


def _failures(operation: Operation, references: Mapping[type[BaseModel], Schema]) -> dict[str, Schema]:
    by_status: dict[int, list[type[ServiceError]]] = {}
    for failure in dict.fromkeys((*operation.failures, *COMMON_FAILURES)):
        by_status.setdefault(failure.status, []).append(failure)
    return {
        str(status): {
            "description": "  \n".join(f"`{failure.code}`: {failure.__doc__}" for failure in failures),
            "headers": _headers(FAILURE_HEADERS.get(status, {})),
            "content": {JSON: {"schema": _error_schema(operation.error_answer, references, failures)}},
        }
        for status, failures in sorted(by_status.items())
    }


def _error_schema(
    error_answer: type[BaseModel], references: Mapping[type[BaseModel], Schema], failures: list[type[ServiceError]]
) -> Schema:
    if error_answer is not ErrorAnswer:
        return references[error_answer]
    narrowed = {"properties": {"error": {"properties": {"code": {"enum": [failure.code for failure in failures]}}}}}
    return {"allOf": [references[error_answer], narrowed]}


def _headers(headers: Mapping[str, Header]) -> Schema:
    return {
        name: {"description": header.description, "required": header.always, "schema": {"type": header.type}}
        for name, header in {"X-Request-Id": REQUEST_ID, **headers}.items()
    }
