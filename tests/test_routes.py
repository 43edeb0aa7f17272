"""The tables of operations of the services are consistent, and the documentation lists what is in them."""

import re
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import pytest

import extractor_api.routes
import orchestrator.api.routes
import orchestrator.assistants.http
import transcriber.api.routes
from reelscribe.http.api.routes import Api

ROOT = Path(__file__).parent.parent
APIS: dict[str, Api] = {
    "extractor": extractor_api.routes.API,
    "transcriber": transcriber.api.routes.API,
    "orchestrator": orchestrator.api.routes.API,
    "mcp": orchestrator.assistants.http.API,
}


@pytest.fixture(params=APIS)
def api(request: pytest.FixtureRequest) -> Api:
    return APIS[request.param]


def test_no_two_operations_share_a_method_and_path_or_a_name(api: Api) -> None:
    assert set(Counter((operation.method, operation.path) for operation in api.operations).values()) == {1}
    assert set(Counter(operation.name for operation in api.operations).values()) == {1}


def test_each_handler_implements_exactly_the_methods_that_its_operations_name_and_head_with_get(api: Api) -> None:
    methods: defaultdict[Any, set[Any]] = defaultdict(set)
    for operation in api.operations:
        implied = {"HEAD"} if operation.method == "GET" else set()
        methods[operation.path, operation.handler] |= {operation.method} | implied
    assert {key: set(key[1].methods()) for key in methods} == methods


def test_a_path_has_one_handler(api: Api) -> None:
    handlers = {operation.path: operation.handler for operation in api.operations}
    assert all(operation.handler is handlers[operation.path] for operation in api.operations)


def test_each_parameter_of_a_path_has_a_pattern(api: Api) -> None:
    for operation in api.operations:
        assert re.findall(r"\{(\w+)\}", operation.path) == list(operation.path_parameters)


def test_an_operation_is_public_if_its_handler_is(api: Api) -> None:
    for operation in api.operations:
        public = operation.handler.public
        assert isinstance(public, property) or public == operation.public  # a property looks at the request


def test_the_documentation_lists_each_operation_of_each_service() -> None:
    page = (ROOT / "docs" / "http.md").read_text()
    listed: Counter[tuple[str, str, str]] = Counter()
    for services, routes in re.findall(r"^\| (\w+) \| (`.*?`) \| ", page, re.MULTILINE):
        for methods, path in re.findall(r"`([A-Z, ]+) (/[^`?]*)", routes):
            listed.update(
                (service, method, path)
                for service in (APIS if services == "all" else (services,))
                for method in methods.split(", ")
            )
    assert listed == Counter(
        (service, operation.method, operation.path) for service, api in APIS.items() for operation in api.operations
    )
