"""What is wrong with a value, in our own words: the one translation of pydantic's errors, for all APIs, commands and
settings. No word of pydantic, and none of Python, reaches a user.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

from pydantic import ValidationError

Context = Mapping[str, Any]

MOST_SAID = 20
"""Mistakes that one sentence names: a body may hold 5000 wrong savepaths, and a refusal is also a line of the log."""
LONGEST_PLACE = 200
"""Characters of the name of a field; whoever sends one that is not known names it."""

_TEXT, _WHOLE, _NUMBER = "must be text", "must be a whole number", "must be a number"
_BOOLEAN, _LIST, _OBJECT = "must be true or false", "must be a list", "must be an object with named fields"
_TIME = "must be a time such as 2026-01-31T18:00:00Z"

OTHERWISE = "is not valid here"
_WORDS: Mapping[str, str | Callable[[Context], str]] = {
    "missing": "is missing",
    "extra_forbidden": "is not known here",
    "json_invalid": lambda context: _not_json(str(context.get("error", ""))),
    "json_type": "must be JSON",
    "string_type": _TEXT,
    "string_unicode": "is not valid Unicode",
    "string_too_short": lambda context: _at_least(context, "character"),
    "string_too_long": lambda context: f"must have at most {_count(context['max_length'], 'character')}",
    "string_pattern_mismatch": "does not have the form that is expected here",
    "too_short": lambda context: _at_least(context, "entry"),
    "too_long": lambda context: f"must have at most {_count(context['max_length'], 'entry')}",
    "int_type": _WHOLE,
    "int_parsing": _WHOLE,
    "int_from_float": _WHOLE,
    "int_parsing_size": "has too many digits",
    "float_type": _NUMBER,
    "float_parsing": _NUMBER,
    "finite_number": "must be a finite number",
    "bool_type": _BOOLEAN,
    "bool_parsing": _BOOLEAN,
    "greater_than": lambda context: f"must be more than {_number(context['gt'])}",
    "greater_than_equal": lambda context: f"must be at least {_number(context['ge'])}",
    "less_than": lambda context: f"must be less than {_number(context['lt'])}",
    "less_than_equal": lambda context: f"must be at most {_number(context['le'])}",
    "literal_error": lambda context: f"must be {context['expected']}",
    "enum": lambda context: f"must be {context['expected']}",
    "list_type": _LIST,
    "tuple_type": _LIST,
    "set_type": _LIST,
    "dict_type": _OBJECT,
    "mapping_type": _OBJECT,
    "model_type": _OBJECT,
    "model_attributes_type": _OBJECT,
    "bytes_type": "must be a file",
    "none_required": "must be null",
    "path_type": "must be a path",
    "datetime_type": _TIME,
    "datetime_parsing": _TIME,
    "datetime_from_date_parsing": _TIME,
    "datetime_object_invalid": _TIME,
    "value_error": lambda context: str(context.get("error") or OTHERWISE),
}
"""By the type of an error; what is not here is a mistake that none of our models can have."""


def mistake(error: Mapping[str, Any]) -> str:
    """What is wrong with one value, as the end of a sentence; ``error`` is one of ``ValidationError.errors()``."""
    words = _WORDS.get(error["type"], OTHERWISE)
    return words if isinstance(words, str) else words(error.get("ctx", {}))


def place(error: Mapping[str, Any]) -> str:
    """Which value it is, such as ``languages.1``; empty for all of it."""
    name = ".".join(map(str, error["loc"]))
    return name if len(name) <= LONGEST_PLACE else f"{name[:LONGEST_PLACE]}…"


def sentence(invalid: ValidationError, named: Callable[[str], str] = str, whole: str = "") -> str:
    """The mistakes as one line: ``bitrate_kbps: must be at most 320; colour: is not known here``; of more than
    :data:`MOST_SAID`, the first and how many more there are.

    Args:
        named: what a field is called where it was written.
        whole: what all of it is, such as ``the body``: the subject of what is wrong with all of it.
    """

    def say(error: Mapping[str, Any]) -> str:
        if field := place(error):
            return f"{named(field)}: {mistake(error)}"
        if error["type"] == "value_error":  # a sentence of its own
            return mistake(error)
        return f"{whole} {mistake(error)}".strip()

    errors = invalid.errors(include_url=False)
    more = [f"and {len(errors) - MOST_SAID:,} more"] if len(errors) > MOST_SAID else []
    return "; ".join([*map(say, errors[:MOST_SAID]), *more])


def _not_json(reason: str) -> str:
    where = re.search(r"line \d+ column \d+", reason)
    return "is not valid JSON" + (f", from {where[0].replace(' column', ', column')} on" if where else "")


def _at_least(context: Context, thing: str) -> str:
    least = context["min_length"]
    return "must not be empty" if least == 1 else f"must have at least {_count(least, thing)}"


def _count(number: int, thing: str) -> str:
    if number == 1:
        return f"1 {thing}"
    return f"{number} {'entries' if thing == 'entry' else thing + 's'}"


def _number(limit: float) -> str:
    return str(int(limit) if limit == int(limit) else limit)
