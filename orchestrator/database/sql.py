"""What statements have in common: the type of a connection, one row or one value of an answer, patterns."""

import re
from typing import Any

from psycopg import AsyncConnection

Connection = AsyncConnection[Any]


def starting_with(prefix: str) -> str:
    """The pattern of SQL's ``like`` for what starts with this."""
    return re.sub(r"([%_\\])", r"\\\1", prefix) + "%"
