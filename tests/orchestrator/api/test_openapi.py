"""GET /openapi.json is valid, complete, and what the orchestrator does; the clients of the API's tests compare."""

import json

import httpx
import pytest
from jsonschema import Draft202012Validator
from openapi_spec_validator import validate

from orchestrator.media.media import Media
from reelscribe.http.access.tokens import Tokens
from tests.orchestrator.conftest import BUCKET
from tests.orchestrator.contract import CONTRACT
from tests.schemathesis_run import finds_nothing


async def test_the_document_is_valid_openapi_3_1(serving):
    async with httpx.AsyncClient(base_url=serving(Tokens())) as client:
        document = (await client.get("/openapi.json")).json()
    validate(document)
    assert document["openapi"].startswith("3.1") and document == json.loads(json.dumps(CONTRACT.document))


@pytest.mark.parametrize(
    "body",
    [
        *({"savepath": "a"}, {"savepath": "a", "savepaths": []}),
        *({"savepaths": ["a"]}, {"savepath": None, "savepaths": ["a", "b"]}),
        *({}, {"savepath": None}, {"savepaths": []}, {"savepath": None, "savepaths": []}),
        *({"savepath": "a", "savepaths": ["b"]}, {"savepaths": None}),
    ],
    ids=json.dumps,
)
async def test_the_document_takes_either_savepath_or_savepaths_as_the_service_does(body, serving):
    schema = {"$ref": "#/components/schemas/SubmitRequest", "components": CONTRACT.document["components"]}
    async with httpx.AsyncClient(base_url=serving(Tokens())) as client:
        answer = await client.post("/api/jobs", json=body)
    assert answer.status_code == (202 if Draft202012Validator(schema).is_valid(body) else 400)


async def test_schemathesis_finds_nothing(serving, store_transcript, tmp_path, orchestrator_service, extractor):
    """Streams of events are left out: they do not end, so neither would it; and what players read, which is the
    extractor's, whose own answers are searched."""
    media = orchestrator_service.media = Media(orchestrator_service.pool, extractor, Tokens(), BUCKET)
    await store_transcript("a.mp4", "hello", "world")
    await finds_nothing(serving(Tokens(("first",))), tmp_path, "--exclude-path-regex", "/events$|^/media/")
    await media.close()
