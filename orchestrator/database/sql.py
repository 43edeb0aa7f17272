"""What statements have in common: a connection, the rows or the one value that they return, patterns."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

from psycopg import AsyncConnection
from psycopg.rows import class_row

Connection = AsyncConnection[Any]
Parameters = Sequence[Any] | Mapping[str, Any] | None
Model = TypeVar("Model")


class Part(NamedTuple):
    """Part of a larger statement: SQL for its ``with``, and the parameters of that, by name."""

    statement: str
    parameters: Mapping[str, Any]


async def fetch_all(connection: Connection, statement: str, parameters: Parameters = None) -> list[Any]:
    """All rows, as tuples."""
    return await (await connection.execute(statement, parameters)).fetchall()


async def fetch_one(connection: Connection, statement: str, parameters: Parameters = None) -> Any:
    """The first row, as a tuple; None if there is none."""
    return await (await connection.execute(statement, parameters)).fetchone()


async def fetch_value(connection: Connection, statement: str, parameters: Parameters = None) -> Any:
    """The first column of the first row; None if there is none."""
    row = await fetch_one(connection, statement, parameters)
    return row[0] if row else None


async def fetch_column(connection: Connection, statement: str, parameters: Parameters = None) -> list[Any]:
    """The first column of all rows."""
    return [row[0] for row in await fetch_all(connection, statement, parameters)]


async def fetch_models(
    connection: Connection, model: type[Model], statement: str, parameters: Parameters = None
) -> list[Model]:
    """All rows as objects of a class whose fields are the columns."""
    async with connection.cursor(row_factory=class_row(model)) as cursor:
        await cursor.execute(statement, parameters)
        return await cursor.fetchall()


def text_array(values: Sequence[str]) -> str:
    """As PostgreSQL writes an array of these, at a tenth of what psycopg takes; NUL, which is in no text there, must be
    in none.
    """
    if not values:
        return "{}"
    escaped = "\0".join(values).replace("\\", r"\\").replace('"', r"\"")
    return '{"' + escaped.replace("\0", '","') + '"}'


def starting_with(prefix: str) -> str:
    """The pattern of SQL's ``like`` for what starts with this."""
    return re.sub(r"([%_\\])", r"\\\1", prefix) + "%"
