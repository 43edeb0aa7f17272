"""GET /openapi.json is valid, complete, and what the transcriber does; the client of all these tests compares."""

import asyncio
import json
import sys
from pathlib import Path

from openapi_spec_validator import validate

from tests.transcriber.conftest import Serve, Transcriber
from tests.transcriber.contract import CONTRACT
from tests.transcriber.peer import SPEECH


async def test_the_document_is_valid_openapi_3_1(transcriber: Transcriber) -> None:
    document = (await transcriber.http.get("/openapi.json")).json()
    validate(document)
    assert document["openapi"].startswith("3.1")
    assert document == json.loads(json.dumps(CONTRACT.document))


async def test_each_event_is_one_of_the_document(transcriber: Transcriber) -> None:
    schema = {"$ref": "#/components/schemas/EventLine"}
    async with transcriber.http.stream("POST", "/transcribe", json={"savepath": "short.flac"}) as response:
        events = [json.loads(line) async for line in response.aiter_lines()]
    for event in events:
        CONTRACT.validate(schema, event)
    assert {event["event"] for event in events} >= {"started", "segment", "finished"}


def test_a_recording_may_come_as_a_form_or_be_named() -> None:
    bodies = CONTRACT.document["paths"]["/transcribe"]["post"]["requestBody"]["content"]
    assert set(bodies) == {"application/json", "multipart/form-data"}
    schemas = CONTRACT.document["components"]["schemas"]
    assert set(schemas["TranscribeUpload"]["properties"]) - set(schemas["TranscribeRequest"]["properties"]) == {"file"}
    assert schemas["TranscribeUpload"]["required"] == ["file"]


async def test_schemathesis_finds_nothing(serve: Serve, tmp_path: Path) -> None:
    """All its checks but one: a schema cannot say which recordings there are."""
    transcriber = await serve(tokens=("first",))
    process = await asyncio.create_subprocess_exec(
        *(Path(sys.executable).parent / "schemathesis", "run", f"{transcriber.http.base_url}/openapi.json"),
        *("--header", "Authorization: Bearer first"),
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


async def test_a_form_as_documented_is_taken(transcriber: Transcriber) -> None:
    answer = await transcriber.http.post(
        "/v1/audio/transcriptions",
        files={"file": (SPEECH / "short.flac").read_bytes()},
        data={"model": "mini", "response_format": "verbose_json", "timestamp_granularities[]": ["segment", "word"]},
    )
    assert answer.json()["segments"] and answer.json()["words"]
