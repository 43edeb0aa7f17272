"""A service's OpenAPI 3.1 document, made from its operations, their models and their error types."""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from reelscribe import errors
from reelscribe.contracts.messages import ErrorAnswer
from reelscribe.errors import ServiceError
from reelscribe.http.api.operations import BYTES, FORM, JSON, Answer, Header, Operation
from reelscribe.version import version

SCHEMA_REFERENCE = "#/components/schemas/{model}"

Schema = dict[str, Any]

REQUEST_ID = Header("The caller's, or one made for this request; the log has it too")
COMMON_FAILURES: tuple[type[ServiceError], ...] = (
    errors.BadRequest,
    errors.Unauthorized,
    errors.HostNotAllowed,
    errors.OriginNotAllowed,
    errors.ScopeMissing,
    errors.Stopping,
    errors.InternalError,
)
FAILURES_OF_PUBLIC_OPERATIONS = (errors.HostNotAllowed, errors.OriginNotAllowed)
FAILURE_HEADERS = {
    401: {"WWW-Authenticate": Header("Bearer")},
    416: {"Content-Range": Header("bytes */LENGTH")},
    503: {"Retry-After": Header("Seconds, if trying again helps", type="integer", always=False)},
}

SECURITY_SCHEMES = {
    "bearer": {
        "type": "http",
        "scheme": "bearer",
        "description": "A token of [auth] token_file; asked for only if that is set. An operation names the scope that"
        " the token must have: read, submit, which includes read, or admin, which includes both.",
    }
}


def document(title: str, description: str, operations: Sequence[Operation]) -> dict[str, Any]:
    """The OpenAPI document of a service with these operations."""
    schemas, definitions = models_json_schema(
        [(model, "validation") for model in sorted(_models(operations), key=lambda model: model.__name__)],
        ref_template=SCHEMA_REFERENCE,
    )
    references: dict[Any, Schema] = {model: schema for (model, _), schema in schemas.items()}
    paths: dict[str, dict[str, Any]] = {}
    for operation in operations:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _operation(operation, references)
    return {
        "openapi": "3.1.0",
        "info": {"title": title, "description": description, "version": version()},
        "paths": paths,
        "components": {
            "schemas": definitions["$defs"],
            "securitySchemes": SECURITY_SCHEMES,
        },
    }


def _models(operations: Sequence[Operation]) -> set[type[BaseModel]]:
    contents = {model for operation in operations for answer in operation.answers for model in answer.content.values()}
    bodies = {body for operation in operations for body in (operation.body, operation.form)}
    failures = {operation.error_answer for operation in operations}
    return {model for model in contents | bodies | failures if model}


def _operation(operation: Operation, references: Mapping[type[BaseModel], Schema]) -> dict[str, Any]:
    described: dict[str, Any] = {
        "operationId": operation.name,
        "summary": operation.summary,
        "security": []
        if operation.public
        else [{scheme: [operation.needed_scope.value]} for scheme in SECURITY_SCHEMES],
        "responses": {
            **{str(answer.status): _answer(answer, references) for answer in operation.answers},
            **_failures(operation, references),
        },
    }
    if parameters := _parameters(operation):
        described["parameters"] = parameters
    bodies = {JSON: operation.body, FORM: operation.form}
    content: Schema = {kind: {"schema": references[model]} for kind, model in bodies.items() if model}
    if operation.takes_bytes:
        content[BYTES] = {}
    if content:
        described["requestBody"] = {"required": True, "content": content}
    return described


def _parameters(operation: Operation) -> list[Schema]:
    query = operation.query.model_json_schema() if operation.query else {}
    return [
        *(
            {"name": name, "in": "path", "required": True, "schema": {"type": "string", "pattern": f"^{pattern}$"}}
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
    common = FAILURES_OF_PUBLIC_OPERATIONS if operation.public else COMMON_FAILURES
    of_json = (errors.UnsupportedMediaType,) if operation.body or operation.takes_bytes else ()
    for failure in dict.fromkeys((*operation.failures, *of_json, *common)):
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
