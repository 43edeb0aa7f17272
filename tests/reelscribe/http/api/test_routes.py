"""One table of operations makes the routes of a service and its OpenAPI document."""

import pytest
from openapi_spec_validator import validate

from reelscribe.http.api.routes import HEALTH, SHARED_OPERATIONS, Api
from tests.reelscribe.conftest import API


async def test_a_path_parameter_is_matched_by_its_pattern(served):
    assert (await served.http.post("/orders/echo", json={"item": "bread"})).status_code == 200
    assert (await served.http.post("/orders/a-b", json={"item": "bread"})).status_code == 404


async def test_the_rest_of_a_path_is_literal(served):
    assert (await served.http.get("/shop/axb")).text == "no /shop/axb here"


async def test_a_fallback_serves_only_its_prefix(served):
    assert (await served.http.get("/shop/")).text == "no /shop/ here"
    assert (await served.http.get("/shop")).status_code == 404


@pytest.mark.parametrize("path", ["/healthz", "/openapi.json", "/shop/", "/nowhere"])
async def test_head_answers_as_get_does_without_the_body(served, path):
    by_get, by_head = await served.http.get(path), await served.http.head(path)
    assert by_head.status_code == by_get.status_code and by_head.content == b""
    for headers in (by_get.headers, by_head.headers):
        headers.pop("Date")
        assert len(headers.pop("X-Request-Id")) == 32
    assert by_head.headers == by_get.headers


async def test_head_of_a_stream_ends_with_its_headers(served):
    response = await served.http.head("/wait")
    assert (response.status_code, response.content) == (200, b"")
    assert "Content-Length" not in response.headers
    assert not served.service.running
    assert (await served.http.head("/healthz")).status_code == 200, "the connection can be used further"


async def test_what_takes_get_takes_head(served):
    response = await served.http.post("/wait")
    assert (response.status_code, response.headers["Allow"]) == (405, "GET, HEAD")


async def test_head_is_refused_if_get_is(served):
    response = await served.http.head("/orders/echo")
    assert (response.status_code, response.headers["Allow"]) == (405, "POST")


async def test_the_document_is_served_and_valid(served):
    document = (await served.http.get("/openapi.json")).json()
    validate(document)
    assert document == API.document
    own, shared = (
        {"/orders/{way}", "/wait", "/late", "/shop/a.b"},
        {"/healthz", "/metrics", "/diagnosis", "/openapi.json"},
    )
    assert set(document["paths"]) == own | shared
    [way] = document["paths"]["/orders/{way}"]["post"]["parameters"]
    assert way["schema"]["pattern"] == r"^\w+$"


def test_a_service_may_have_a_shared_operation_in_its_own_way():
    own = Api("Test", "", (HEALTH,))
    assert len(own.operations) == len(SHARED_OPERATIONS)
