"""What a database is: its version, its size, and whether its schema is that of this program. Nothing is changed."""

from typing import NamedTuple

from orchestrator.database.schema import known_migrations
from orchestrator.database.sql import Connection, fetch_column, fetch_one, fetch_value


class DatabaseFacts(NamedTuple):
    """A database as it is now.

    Attributes:
        version: of PostgreSQL, such as ``16.4``.
        bytes: on its disk.
        missing: migrations that this program would apply.
        unknown: those that were applied by a newer program.
    """

    version: str
    bytes: int
    missing: list[str]
    unknown: list[str]


async def database_facts(connection: Connection) -> DatabaseFacts:
    """Read them; no table is needed."""
    version, size = await fetch_one(
        connection, "select current_setting('server_version'), pg_database_size(current_database())"
    )
    applied: set[str] = set()
    if await fetch_value(connection, "select to_regclass('_yoyo_migration')") is not None:
        applied = set(await fetch_column(connection, "select migration_id from _yoyo_migration"))
    known = known_migrations()
    return DatabaseFacts(version.split()[0], size, sorted(known - applied), sorted(applied - known))
