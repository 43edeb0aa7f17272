"""GET /openapi.json is valid, complete, and what the transcriber does; the client of all these tests compares."""

import json
from pathlib import Path

from openapi_spec_validator import validate

from tests.contract import assert_head_is_get_without_its_body
from tests.schemathesis_run import finds_nothing
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
    transcriber = await serve(tokens=("first",))
    # A form has text only: its 0 is a boolean, and any number can be a word.
    await finds_nothing(str(transcriber.http.base_url), tmp_path, exclude=("negative_data_rejection",))


async def test_a_form_as_documented_is_taken(transcriber: Transcriber) -> None:
    answer = await transcriber.http.post(
        "/v1/audio/transcriptions",
        files={"file": (SPEECH / "short.flac").read_bytes()},
        data={"model": "mini", "response_format": "verbose_json", "timestamp_granularities[]": ["segment", "word"]},
    )
    assert answer.json()["segments"] and answer.json()["words"]


async def test_what_can_be_read_takes_head_too(transcriber: Transcriber) -> None:
    for url in ("/healthz", "/metrics", "/openapi.json", "/v1/models", "/v1/models/mini", "/v1/models/none"):
        await assert_head_is_get_without_its_body(transcriber.http, url)
