"""GET /openapi.json is valid, complete, and what the service does."""

import asyncio
import json

import httpx
import pytest
from jsonschema import ValidationError
from openapi_spec_validator import validate

from reelscribe.http.access.tokens import Tokens
from tests.contract import assert_head_is_get_without_its_body
from tests.extractor_api.conftest import Serve
from tests.extractor_api.contract import CONTRACT, assert_as_documented


async def test_the_document_is_valid_openapi_3_1(extractor: httpx.AsyncClient) -> None:
    response = await extractor.get("/openapi.json")
    assert (response.status_code, response.headers["Content-Type"][:16]) == (200, "application/json")
    document = response.json()
    validate(document)
    assert document["openapi"].startswith("3.1") and document == json.loads(json.dumps(CONTRACT))


async def test_a_token_is_asked_for_if_one_is_set(serve: Serve) -> None:
    extractor = await serve(tokens=Tokens(("first",)))
    assert (await extractor.get("/openapi.json")).status_code == 401, "without a token, not even the URLs are public"
    allowed = await extractor.get("/openapi.json", headers={"Authorization": "Bearer first"})
    assert allowed.json()["paths"]["/probe"]["get"]["security"] == [{"bearer": ["read"]}]
    assert allowed.json()["paths"]["/healthz"]["get"]["security"] == []


async def test_an_extraction_cannot_be_read_from_its_own_url(extractor: httpx.AsyncClient) -> None:
    response = await extractor.get("/extract-audio")
    assert (response.status_code, response.headers["Allow"]) == (405, "POST")


@pytest.mark.parametrize(
    "url",
    [
        *("/healthz", "/metrics", "/openapi.json", "/objects", "/objects?limit=no", "/extractions/none"),
        *("/probe?savepath=short.mp4", "/probe?savepath=nothing.mp4", "/extractions/none/audio"),
    ],
)
async def test_what_can_be_read_takes_head_too(url: str, extractor: httpx.AsyncClient) -> None:
    await assert_head_is_get_without_its_body(extractor, url)


def test_the_request_fields_are_those_of_the_model() -> None:
    schema = CONTRACT["components"]["schemas"]["ExtractAudioRequest"]
    assert schema["additionalProperties"] is False
    assert {"savepath", "video_path", "audio_format", "delivery", "start", "track"} <= set(schema["properties"])
    assert schema["oneOf"] == [{"required": ["savepath"]}, {"required": ["video_path"]}]


def test_each_failure_names_its_codes() -> None:
    responses = CONTRACT["paths"]["/extract-audio"]["post"]["responses"]
    assert {"200", "400", "401", "403", "404", "413", "415", "422", "500", "502", "503", "504", "507"} == set(responses)
    codes = responses["422"]["content"]["application/json"]["schema"]["allOf"][1]["properties"]["error"]["properties"]
    assert {"no_audio_track", "incomplete_recording", "past_the_end"} <= set(codes["code"]["enum"])


@pytest.mark.parametrize(
    ("status", "headers", "body", "complaint"),
    [
        (200, {}, {"objects": [], "next": None}, "X-Request-Id"),
        (204, {"X-Request-Id": "a"}, {}, "204"),
        (200, {"X-Request-Id": "a", "Content-Type": "text/html"}, {}, "text/html"),
        (200, {"X-Request-Id": "a"}, {"objects": [{"size": 1}], "next": None}, "savepath"),
        (
            503,
            {"X-Request-Id": "a"},
            {"error": {"code": "no_room", "message": "", "retryable": True, "request_id": "a"}},
            "no_room",
        ),
    ],
)
async def test_an_answer_that_is_not_as_documented_fails(
    status: int, headers: dict[str, str], body: object, complaint: str
) -> None:
    """The control of the hook that every client of these tests has."""
    request = httpx.Request("GET", "http://extractor/objects")
    response = httpx.Response(status, headers={"Content-Type": "application/json", **headers}, request=request)
    response._content = json.dumps(body).encode()
    with pytest.raises((AssertionError, ValidationError), match=complaint):
        await assert_as_documented(response)


async def test_metrics_count_requests_bytes_seconds_ffmpeg_latencies_and_failures(extractor: httpx.AsyncClient) -> None:
    await extractor.post("/extract-audio", json={"savepath": "short.mp4", "audio_format": "wav"})
    await extractor.post("/extract-audio", json={"savepath": "nothing.mp4"})
    with pytest.raises(httpx.RemoteProtocolError):
        await extractor.post("/extract-audio", json={"savepath": "half.mp4", "audio_format": "wav"})
    text = (await extractor.get("/metrics")).text
    samples = dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    assert samples['reelscribe_http_requests_total{method="POST",route="ExtractAudio",status="404"}'] == "1.0"
    assert samples['reelscribe_http_failures_total{code="object_not_found"}'] == "1.0"
    assert samples['reelscribe_http_failures_total{code="incomplete_recording"}'] == "1.0", "though its status was 200"
    assert samples['reelscribe_http_first_byte_seconds_count{route="ExtractAudio"}'] == "3.0"
    assert samples['reelscribe_http_request_seconds_count{route="ExtractAudio"}'] == "3.0"
    assert float(samples["reelscribe_extracted_bytes_total"]) > 200_000
    assert float(samples["reelscribe_extracted_seconds_total"]) > 30
    assert samples["reelscribe_ffmpeg_running"] == samples["reelscribe_ffmpeg_waiting"] == "0.0"


async def test_the_first_byte_is_counted_when_it_leaves_and_not_at_the_end(serve: Serve) -> None:
    extractor = await serve(stall_timeout=0.5)
    body = {"savepath": "long.mp4", "audio_format": "wav", "sample_rate": 192000, "channels": 2}
    with pytest.raises(httpx.RemoteProtocolError):
        async with extractor.stream("POST", "/extract-audio", json=body) as response:
            first_byte = extractor.service.first_byte_seconds.labels("ExtractAudio")  # type: ignore[attr-defined]
            assert first_byte._sum.get() > 0
            while extractor.service.running:  # type: ignore[attr-defined]
                await asyncio.sleep(0.05)
            async for _ in response.aiter_raw():
                pass
    total = extractor.service.request_seconds.labels("ExtractAudio")  # type: ignore[attr-defined]
    assert total._sum.get() > first_byte._sum.get() + 0.4
