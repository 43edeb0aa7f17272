"""Whether an answer is one that /openapi.json tells of; every client of these tests asks."""

import re
from typing import Any

import httpx
from jsonschema import Draft202012Validator

from extractor_api.openapi import document

CONTRACT = document()
EVERYWHERE = {401: "unauthorized", 404: "route_not_found", 405: "method_not_allowed"}


def documented_path(path: str) -> str | None:
    """The path of the document that a URL's path is one of."""
    patterns = {known: re.sub(r"\\{\w+\\}", r"\\w{1,64}", re.escape(known)) for known in CONTRACT["paths"]}
    return next((known for known, pattern in patterns.items() if re.fullmatch(pattern, path)), None)


async def assert_as_documented(response: httpx.Response) -> None:
    """An httpx hook: status, headers, media type and JSON of an answer are those of the document."""
    path, method = response.request.url.path, response.request.method.lower()
    known = documented_path(path)
    operation = CONTRACT["paths"].get(known, {}).get(method)
    if operation is None:
        error = await _error(response)
        assert EVERYWHERE.get(response.status_code) == error["code"], f"{method} {path}: {response.status_code}"
        return
    told = operation["responses"].get(str(response.status_code))
    assert told is not None, f"{method} {known} is not said to answer {response.status_code}"
    for name, header in told["headers"].items():
        assert name in response.headers or not header["required"], f"{method} {known}: no {name}"
    if not told["content"]:
        return
    media_type = response.headers["Content-Type"].split(";")[0]
    assert media_type in told["content"], f"{method} {known}: {media_type}"
    if schema := told["content"][media_type].get("schema"):
        await response.aread()
        Draft202012Validator({**schema, "components": CONTRACT["components"]}).validate(response.json())


async def _error(response: httpx.Response) -> dict[str, Any]:
    await response.aread()
    error: dict[str, Any] = response.json()["error"]
    return error
