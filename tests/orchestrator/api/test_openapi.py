"""GET /openapi.json is valid, complete, and what the orchestrator does; the clients of the API's tests compare."""

import json

import httpx
from openapi_spec_validator import validate

from reelscribe.http.auth import Tokens
from tests.orchestrator.contract import CONTRACT
from tests.schemathesis_run import finds_nothing


async def test_the_document_is_valid_openapi_3_1(serving):
    async with httpx.AsyncClient(base_url=serving(Tokens())) as client:
        document = (await client.get("/openapi.json")).json()
    validate(document)
    assert document["openapi"].startswith("3.1") and document == json.loads(json.dumps(CONTRACT.document))


async def test_schemathesis_finds_nothing(serving, store_transcript, tmp_path):
    """Streams of events are left out: they do not end, so neither would it."""
    await store_transcript("a.mp4", "hello", "world")
    await finds_nothing(serving(Tokens(("first",))), tmp_path, "--exclude-path-regex", "/events$")
