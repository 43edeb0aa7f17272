"""Holds the answers of a service to its /openapi.json; every client of its tests does so."""

import re
from typing import Any

import httpx
from jsonschema import Draft202012Validator

EVERYWHERE = {401: "unauthorized", 404: "route_not_found", 405: "method_not_allowed"}
LINES = "application/x-ndjson"


class Contract:
    """What one service promises in ``document``."""

    def __init__(self, document: dict[str, Any]) -> None:
        self.document = document

    def documented_path(self, path: str) -> str | None:
        """The path of the document that a URL's path is one of."""
        patterns = {known: re.sub(r"\\{\w+\\}", r"[^/]{1,200}", re.escape(known)) for known in self.document["paths"]}
        matching = [known for known, pattern in patterns.items() if re.fullmatch(pattern, path)]
        return min(matching, key=lambda known: known.count("{"), default=None)

    def validate(self, schema: dict[str, Any], value: object) -> None:
        Draft202012Validator({**schema, "components": self.document["components"]}).validate(value)

    async def check(self, response: httpx.Response) -> None:
        """An httpx hook: status, headers, media type and JSON of an answer are those of the document."""
        path = response.request.url.raw_path.decode().partition("?")[0]
        method = response.request.method.lower()
        known = self.documented_path(path)
        operations = self.document["paths"].get(known, {})
        operation = operations.get(method) or (operations.get("get") if method == "head" else None)
        if operation is None:
            error = await _error(response)
            assert EVERYWHERE.get(response.status_code) == error["code"], f"{method} {path}: {response.status_code}"
            return
        documented = operation["responses"].get(str(response.status_code))
        assert documented is not None, f"{method} {known} is not documented to answer {response.status_code}"
        for name, header in documented["headers"].items():
            assert name in response.headers or not header["required"], f"{method} {known}: no {name}"
        if not documented["content"] or method == "head":
            return
        media_type = response.headers["Content-Type"].split(";")[0]
        assert media_type in documented["content"], f"{method} {known}: {media_type}"
        schema = documented["content"][media_type].get("schema")
        if schema and media_type != LINES:  # those are read, and judged, one at a time
            await response.aread()
            self.validate(schema, response.json())


async def assert_head_is_get_without_its_body(client: httpx.AsyncClient, url: str) -> None:
    """HEAD of a URL answers with the status and the headers that GET does, as far as they do not change.

    GET may be a stream without an end: only its headers are read.
    """
    async with client.stream("GET", url) as by_get:
        status, of_get = by_get.status_code, by_get.headers.copy()
    by_head = await client.head(url, timeout=10)
    assert (by_head.status_code, by_head.content) == (status, b"")
    assert set(of_get) - set(by_head.headers) <= {"transfer-encoding"}, url
    for name in ("Content-Type", "Cache-Control", "Last-Modified"):
        assert of_get.get(name) == by_head.headers.get(name), url


async def _error(response: httpx.Response) -> dict[str, Any]:
    await response.aread()
    error: dict[str, Any] = response.json()["error"]
    return error
