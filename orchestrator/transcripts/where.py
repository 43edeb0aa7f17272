"""``--where``: which transcripts are wanted, in the words of SQL, of which a few columns and operators are taken.

The text of a user never becomes part of a statement: it is parsed, and a condition is written from what it means.
"""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from orchestrator.transcripts.filters import confidence, last_modified

if TYPE_CHECKING:
    from sqlglot.expressions import Expr

Kind = Literal["text", "number", "boolean", "time"]
LONGEST = 2000


class Column(NamedTuple):
    """What a name means: SQL for it, with ``m`` as the recording and ``t`` as its newest finished transcription."""

    sql: str
    kind: Kind


COLUMNS = {
    "savepath": Column("m.savepath", "text"),
    "language": Column("t.language", "text"),
    "language_probability": Column("t.language_probability", "number"),
    "duration": Column("t.progress_seconds", "number"),
    "confidence": Column(confidence("t"), "number"),
    "model": Column("t.model", "text"),
    "complete": Column("t.complete", "boolean"),
    "modified": Column(last_modified("t"), "time"),
    "finished": Column("t.finished_at", "time"),
}

_COMPARED = {"EQ": "=", "NEQ": "<>", "LT": "<", "LTE": "<=", "GT": ">", "GTE": ">="}
_MATCHED = {"Like": "like", "ILike": 'collate "default" ilike'}
"""The collation of savepaths knows no case but that of ASCII."""
_PARTS = {"this", "expression", "expressions", "low", "high", "negate"}
"""Of a node that is parsed: one that has another part means more than is read here."""
_CASTS: dict[Kind, str] = {"text": "text", "number": "double precision", "boolean": "boolean", "time": "timestamptz"}


class Condition(NamedTuple):
    """SQL with named parameters."""

    sql: str
    parameters: dict[str, Any]


EVERY = Condition("true", {})


def compiled(text: str) -> Condition:
    """The condition that a text means, such as ``language = 'en' and duration < 30``.

    Raises:
        ValueError: it means none, or uses what is not offered; the sentence says what.
    """
    import sqlglot  # a quarter of a second that no other command should wait
    from sqlglot.errors import SqlglotError

    if len(text) > LONGEST:
        raise ValueError(f"is longer than {LONGEST} characters")
    try:
        [parsed] = sqlglot.parse(text, read="postgres")
    except (SqlglotError, ValueError):
        parsed = None
    except RecursionError:
        raise ValueError("is nested too deeply") from None
    if parsed is None:
        raise ValueError(f"{text!r} is no condition; write it as: language = 'en' and duration < 30")
    writer = _Writer()
    return Condition(writer.condition(parsed), writer.parameters)


class _Writer:
    def __init__(self) -> None:
        self.parameters: dict[str, Any] = {}

    def condition(self, node: "Expr") -> str:
        if further := {part for part, value in node.args.items() if value} - _PARTS:
            raise ValueError(f"{_shown(node)} is not offered ({', '.join(sorted(further))})")
        positive = self._positive(node)
        return f"(not {positive})" if node.args.get("negate") else positive

    def _positive(self, node: "Expr") -> str:
        name = type(node).__name__
        if name in ("And", "Or"):
            return f"({self.condition(node.this)} {name.lower()} {self.condition(node.expression)})"
        if name == "Not":
            return f"(not {self.condition(node.this)})"
        if name == "Paren":
            return self.condition(node.this)
        if name == "Column":
            column = self._column(node)
            if column.kind != "boolean":
                raise ValueError(f"{node.sql()} is compared with nothing")
            return column.sql
        if name in _COMPARED:
            return self._comparison(node.this, _COMPARED[name], node.expression)
        if name in _MATCHED:
            column = self._column(node.this)
            if column.kind != "text":
                raise ValueError(f"{node.this.sql()} is no text, which like compares")
            pattern = str(node.expression.name)
            if (len(pattern) - len(pattern.rstrip("\\"))) % 2:
                raise ValueError(f"{_shown(node.expression)} ends with a single \\, after which like wants a character")
            return f"{column.sql} {_MATCHED[name]} {self._value(node.expression, column)}"
        if name == "In" and node.expressions:
            column = self._column(node.this)
            values = ", ".join(self._value(value, column) for value in node.expressions)
            return f"{column.sql} in ({values})"
        if name == "Between":
            column = self._column(node.this)
            low, high = (self._value(node.args[bound], column) for bound in ("low", "high"))
            return f"{column.sql} between {low} and {high}"
        if name == "Is" and type(node.expression).__name__ in ("Null", "Boolean"):
            value = {"Null": "null", "Boolean": "true" if node.expression.this else "false"}
            column = self._column(node.this)
            if type(node.expression).__name__ == "Boolean" and column.kind != "boolean":
                raise ValueError(f"{node.this.sql()} is neither true nor false")
            return f"{column.sql} is {value[type(node.expression).__name__]}"
        raise ValueError(
            f"{_shown(node)} is not offered; there are and, or, not, =, <>, <, <=, >, >=, in, between, like, ilike "
            "and is null"
        )

    def _comparison(self, left: "Expr", operator: str, right: "Expr") -> str:
        if type(left).__name__ != "Column" and type(right).__name__ == "Column":
            left, right = right, left
            operator = operator.translate(str.maketrans("<>", "><")) if operator != "<>" else operator
        column = self._column(left)
        if column.kind == "boolean" and operator not in ("=", "<>"):
            raise ValueError(f"{left.sql()} is true or false, and {operator} compares numbers")
        return f"{column.sql} {operator} {self._value(right, column)}"

    def _column(self, node: "Expr") -> Column:
        name = node.name.lower() if type(node).__name__ == "Column" and not node.args.get("table") else ""
        if name not in COLUMNS:
            raise ValueError(f"{_shown(node)} is no column; there are {', '.join(COLUMNS)}")
        return COLUMNS[name]

    def _value(self, node: "Expr", column: Column) -> str:
        value = _literal(node)
        if column.kind == "time" and isinstance(value, str):
            value = _time(value)
        wanted = {"text": str, "number": float, "boolean": bool, "time": datetime}[column.kind]
        if not isinstance(value, wanted):
            raise ValueError(f"{_shown(node)} is not a {column.kind}")
        name = f"where_{len(self.parameters)}"
        self.parameters[name] = value
        return f"%({name})s::{_CASTS[column.kind]}"


def _time(text: str) -> datetime:
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{text!r} is no time; write it as '2026-01-31' or '2026-01-31T18:00:00Z'") from None
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def _literal(node: "Expr") -> str | float | bool | datetime | None:
    """The value of a constant; None if it is none."""
    name = type(node).__name__
    if name == "Literal":
        return str(node.this) if node.is_string else float(node.this)
    if name == "Boolean":
        return bool(node.this)
    if name == "Neg" and isinstance(value := _literal(node.this), float):
        return -value
    return None


def _shown(node: "Expr") -> str:
    return str(node.sql(dialect="postgres"))[:100]
