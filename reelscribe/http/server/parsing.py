"""Parsing untrusted input (JSON bodies, queries, forms) into messages; a refusal names each mistake."""

from collections.abc import Mapping, Sequence
from typing import Any, get_origin

from pydantic import ValidationError

from reelscribe.contracts.messages import WireModel
from reelscribe.errors import BadRequest
from reelscribe.mistakes import MOST_SAID, place, sentence


def parse_request(model: type[WireModel], body: bytes) -> Any:
    """Read a request body.

    Raises:
        BadRequest: it is not a JSON object of this model; the sentence names each wrong field.
    """
    if not body.strip():
        raise BadRequest(f"the body is empty; send a JSON object with {', '.join(_required(model))}")
    try:
        return model.model_validate_json(body)
    except ValidationError as invalid:
        raise _refusal(invalid, model) from None


def parse_query(model: type[WireModel], arguments: Mapping[str, Sequence[bytes]]) -> Any:
    """Read the arguments of a URL's query, or the fields of a form. A list may be given once, with commas, or in turn.

    Raises:
        BadRequest: they do not fit this model; the sentence names each wrong one.
    """
    lists = {name for name, field in model.model_fields.items() if get_origin(field.annotation) is tuple}
    repeated = [name for name, values in arguments.items() if len(values) > 1 and name not in lists]
    if repeated:
        raise BadRequest(f"{', '.join(repeated)}: give it once", fields=repeated)
    try:
        given = {name: b",".join(values).decode() for name, values in arguments.items()}
        return model.model_validate(given, strict=False)
    except UnicodeDecodeError:
        raise BadRequest("the arguments are not UTF-8") from None
    except ValidationError as invalid:
        raise _refusal(invalid, model) from None


def _refusal(invalid: ValidationError, model: type[WireModel]) -> BadRequest:
    errors = invalid.errors()
    known = ""
    if any(error["type"] == "extra_forbidden" for error in errors):
        known = f"; there are {', '.join(_names(model))}"
    fields = [name for name in map(place, errors[:MOST_SAID]) if name]
    return BadRequest(sentence(invalid, whole="the body") + known, fields=fields)


def _names(model: type[WireModel]) -> list[str]:
    return [str(field.validation_alias or name) for name, field in model.model_fields.items()]


def _required(model: type[WireModel]) -> list[str]:
    return [name for name, field in model.model_fields.items() if field.is_required()]
