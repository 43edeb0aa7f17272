"""No word of pydantic or of Python reaches a user: of no error of any request, setting or command."""

import json
import math
import re
from collections.abc import Iterator
from typing import Any, get_args

import pytest
import typer
from pydantic import BaseModel, ValidationError
from pydantic_core import core_schema
from pydantic_core._pydantic_core import list_all_errors
from typer.testing import CliRunner

import extractor_api.arguments
import transcriber.arguments
from orchestrator.cli.main import cli
from orchestrator.jobs.models import Options
from reelscribe.contracts.messages import WireModel
from reelscribe.errors import BadRequest, ServiceError
from reelscribe.http.server.parsing import parse_query, parse_request
from reelscribe.mistakes import OTHERWISE, mistake, sentence
from reelscribe.settings.loading import Settings
from tests.test_routes import APIS

THEIR_WORDS = re.compile(
    r"Input|[Ff]ield required|Extra inputs|permitted|should (be|have|match)|[Vv]alue error|Assertion|<class|function-"
    r"|valid (int|str|num|bool|dict|list)|pydantic|validation|unable to (parse|interpret)"
    r"|\b(str|int|bool|float|dict|tuple|NoneType|None)\b"
)
COMMAND_LINES = {
    "orchestrator": cli,
    "extractor-api": extractor_api.arguments.cli,
    "transcriber": transcriber.arguments.cli,
}
MODELS = sorted(
    {
        model
        for api in APIS.values()
        for operation in api.operations
        for model in (operation.body, operation.form, operation.query)
        if model
    }
    | {Options}
    | {field.annotation for field in Settings.model_fields.values()},
    key=lambda model: model.__name__,
)
BAD: tuple[Any, ...] = (
    *(None, "", " ", "x", "x" * 3000, "\ud800", "a\0b", "1e999", "nan", "9" * 5000, "2026-13-45", "00-00"),
    *(-1, 0, 1.5, 10**30, math.nan, math.inf, -1e9, True),
    *([], [None], ["x" * 3000], [1, [2]], {}, {"a": {"b": 1}}, b"\xff"),
)


def ours(said: str) -> str:
    assert not THEIR_WORDS.search(said), said
    return said


def errors_of(model: type[BaseModel]) -> Iterator[ValidationError]:
    """All that is wrong with every field of a model for every bad value: alone, and with the others left out."""
    given = [{name: value} for name in names(model) for value in BAD]
    for values in ({}, {"colour": "red"}, *given):
        for strict in (None, False):
            try:
                model.model_validate(values, strict=strict)
            except ValidationError as invalid:
                yield invalid
            except ServiceError as refused:  # it has its own code, and is ours
                ours(refused.message)
    no_objects: tuple[Any, ...] = ([], "x", 1, None)
    for value in no_objects:
        with pytest.raises(ValidationError) as raised:
            model.model_validate(value)
        yield raised.value


def names(model: type[BaseModel]) -> list[str]:
    return [str(field.validation_alias or name) for name, field in model.model_fields.items()]


@pytest.mark.parametrize("model", MODELS)
def test_every_mistake_in_every_field_is_said_in_our_words(model: type[BaseModel]) -> None:
    seen = 0
    for invalid in errors_of(model):
        ours(sentence(invalid))
        for error in invalid.errors():
            assert mistake(error) != OTHERWISE or error["type"] == "is_instance_of", error  # HTTP has text only
            seen += 1
    assert seen > len(model.model_fields)


def test_every_type_of_error_that_pydantic_has_is_translated() -> None:
    examples = {error["type"]: error.get("example_context") or {} for error in list_all_errors()}
    assert set(examples) == set(get_args(core_schema.ErrorType))
    for kind, context in examples.items():
        said = ours(mistake({"type": kind, "ctx": context, "msg": "Input should be something else", "loc": ()}))
        assert said and said[0].islower()


def test_what_is_no_json_is_said_with_its_place() -> None:
    class Request(WireModel):
        savepath: str

    for body in (b"{", b'{"savepath": }', b'{"savepath":"\xff"}', b"[]", b"7", b'{"savepath": 1e999}', b'{"a": 1}'):
        with pytest.raises(BadRequest) as refused:
            parse_request(Request, body)
        ours(refused.value.message)
    with pytest.raises(BadRequest, match="from line 1, column 1 on"):
        parse_request(Request, b"{")
    with pytest.raises(BadRequest, match="colour: is not known here; there are savepath"):
        parse_query(Request, {"savepath": [b"a"], "colour": [b"red"]})


def test_a_refusal_stays_short_however_much_is_wrong() -> None:
    class Request(WireModel):
        savepaths: list[int]

    with pytest.raises(BadRequest, match=r"savepaths\.19: must be a whole number; and 4,980 more$") as refused:
        parse_request(Request, json.dumps({"savepaths": ["x"] * 5000}).encode())
    assert refused.value.details["fields"] == [f"savepaths.{number}" for number in range(20)]
    with pytest.raises(BadRequest, match=r"y…: is not known here; there are savepaths$") as refused:
        parse_request(Request, json.dumps({"savepaths": [], "y" * 100_000: 1}).encode())
    assert len(str(refused.value)) + len(str(refused.value.details)) < 1000


@pytest.mark.parametrize("program", COMMAND_LINES)
def test_the_help_names_no_type_of_python(program: str) -> None:
    group = typer.main.get_command(COMMAND_LINES[program])
    context = typer.Context(group)
    for command in ["", *group.list_commands(context)]:  # type: ignore[attr-defined]
        shown = CliRunner().invoke(COMMAND_LINES[program], [*command.split(), "--help"]).output
        for part in re.findall(r"<[^>]*>", shown):
            ours(part)
            assert "range" not in part


def bad_calls() -> Iterator[list[str]]:
    group = typer.main.get_command(cli)
    context = typer.Context(group)
    for name in group.list_commands(context):  # type: ignore[attr-defined]
        command = group.get_command(context, name)  # type: ignore[attr-defined]
        yield [name, "--colour"]
        for parameter in command.params:
            if not parameter.opts[0].startswith("-") or parameter.is_flag or parameter.name in ("help", "config"):
                continue
            yield [name, parameter.opts[0]]
            for value in ("x y", "-5", "99999999999", "1.5"):
                yield [name, parameter.opts[0], value]


def test_a_wrong_value_of_an_option_is_said_in_our_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reelscribe.logs.configure", lambda *_: None)  # it is for all of the process
    conversions = 0
    for call in bad_calls():
        outcome = CliRunner().invoke(cli, ["--config", "/no.cfg", *call])
        assert outcome.exit_code == 2, (call, outcome.output)
        ours(outcome.stderr)
        conversions += "Invalid value" in outcome.stderr
    assert conversions > 10


def test_the_pattern_finds_what_it_is_for() -> None:
    for theirs in ("String should have at most 3 characters", "<list[str]>", "<int range>", "Field required"):
        assert THEIR_WORDS.search(theirs)
