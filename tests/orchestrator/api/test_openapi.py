"""GET /openapi.json is valid, complete, and what the orchestrator does; the clients of the API's tests compare."""

import asyncio
import json
import sys
from pathlib import Path

import httpx
from openapi_spec_validator import validate

from reelscribe.http.auth import Tokens
from tests.orchestrator.contract import CONTRACT


async def test_the_document_is_valid_openapi_3_1(serving):
    async with httpx.AsyncClient(base_url=serving(Tokens())) as client:
        document = (await client.get("/openapi.json")).json()
    validate(document)
    assert document["openapi"].startswith("3.1") and document == json.loads(json.dumps(CONTRACT.document))


async def test_schemathesis_finds_nothing(serving, store_transcript, tmp_path):
    """All its checks but one: a schema does not say which jobs there are. Streams of events do not end, so it would."""
    await store_transcript("a.mp4", "hello", "world")
    process = await asyncio.create_subprocess_exec(
        *(Path(sys.executable).parent / "schemathesis", "run", f"{serving(Tokens(('first',)))}/openapi.json"),
        *("--header", "Authorization: Bearer first", "--exclude-path-regex", "/events$"),
        *("--checks", "all", "--exclude-checks", "positive_data_acceptance", "--warnings", "off"),
        *("--max-examples", "10", "--generation-deterministic", "--request-timeout", "20", "--no-color"),
        cwd=tmp_path,  # it leaves a folder of its own
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    assert process.stdout
    said = (await process.stdout.read()).decode()
    assert await process.wait() == 0, said
    assert "No issues found" in said, said
