"""What is in a database, counted and hashed, so that two of them can be compared."""

from collections.abc import Callable
from typing import Any

import psycopg
from psycopg import sql
from pydantic import BaseModel, ConfigDict

from orchestrator.database.schema import applied_migrations

_OURS = "n.nspname !~ '^pg_' and n.nspname <> 'information_schema'"
_TABLES = f"""
    select n.nspname, c.relname from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where c.relkind = 'r' and c.relpersistence = 'p' and {_OURS} order by 1, 2
"""
_SEQUENCES = f"""
    select n.nspname || '.' || c.relname, coalesce(pg_sequence_last_value(c.oid), 0)
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where c.relkind = 'S' and c.relpersistence = 'p' and {_OURS}
"""
_OBJECTS = f"""
    select 'indexes', count(*) from pg_index i join pg_class c on c.oid = i.indexrelid
        join pg_namespace n on n.oid = c.relnamespace where {_OURS}
    union all
    select 'constraints', count(*) from pg_constraint c join pg_namespace n on n.oid = c.connamespace
        where c.contype <> 'n' and {_OURS}
    union all
    select 'triggers', count(*) from pg_trigger t join pg_class c on c.oid = t.tgrelid
        join pg_namespace n on n.oid = c.relnamespace where not t.tgisinternal and {_OURS}
    union all
    select 'functions', count(*) from pg_proc p join pg_namespace n on n.oid = p.pronamespace where {_OURS}
    union all
    select 'views', count(*) from pg_class c join pg_namespace n on n.oid = c.relnamespace
        where c.relkind in ('v', 'm') and {_OURS}
"""
# 'n' is left out: only PostgreSQL 18 and newer have constraints for "not null".
_ROWS = """
    select count(*), coalesce(
        sum(('x' || encode(substring(sha256(convert_to(t::text, 'UTF8')) from 1 for 8), 'hex'))::bit(64)::bigint), 0
    )
    from {} t
"""
SESSION = {
    "TimeZone": "UTC",
    "DateStyle": "ISO, MDY",
    "IntervalStyle": "postgres",
    "bytea_output": "hex",
    "extra_float_digits": "1",
    "search_path": "pg_catalog",
    "statement_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
}
"""With these, the text of a row is the same on all servers, and counting takes as long as it takes."""


class Rows(BaseModel):
    """How many rows a table has, and a hash of them all, in whatever order they are."""

    model_config = ConfigDict(frozen=True)

    rows: int
    hash: str


class Contents(BaseModel):
    """All of a database. ``sequences`` are the last numbers that were given out."""

    model_config = ConfigDict(frozen=True)

    migrations: tuple[str, ...]
    tables: dict[str, Rows]
    sequences: dict[str, int]
    objects: dict[str, int]

    def of(self, table: str) -> int:
        """How many rows this one has, in whichever schema it is; 0 if it is not there."""
        return sum(rows.rows for name, rows in self.tables.items() if name.split(".", 1)[1] == table)

    def differences(self, found: "Contents") -> list[str]:
        """What is not the same in a copy, one line each. A copy may have given out more numbers."""
        lines = [
            f"{table}: {_said(found.tables.get(table))} in place of {rows.rows} rows"
            + (", some of them changed" if table in found.tables and found.tables[table].rows == rows.rows else "")
            for table, rows in self.tables.items()
            if found.tables.get(table) != rows
        ]
        lines += [f"{table}: not expected" for table in found.tables.keys() - self.tables.keys()]
        lines += [
            f"{sequence}: {found.sequences.get(sequence)} in place of {last}"
            for sequence, last in self.sequences.items()
            if found.sequences.get(sequence, -1) < last
        ]
        lines += [
            f"{found.objects.get(kind, 0)} {kind} in place of {count}"
            for kind, count in self.objects.items()
            if found.objects.get(kind, 0) != count
        ]
        if set(found.migrations) != set(self.migrations):
            lines.append("the migrations are not the same")
        return lines


def read_contents(connection: psycopg.Connection[Any], progress: Callable[[str, int, int | None], None]) -> Contents:
    """Count and hash all tables, as the transaction of this connection sees them.

    Raises:
        psycopg.Error: the user may not read all of them, or the connection is lost.
    """
    migrations = applied_migrations(connection)
    for name, value in SESSION.items():
        connection.execute("select set_config(%s, %s, false)", (name, value))
    names = connection.execute(_TABLES).fetchall()
    sequences = dict(connection.execute(_SEQUENCES).fetchall())
    tables = {}
    for number, (schema, name) in enumerate(names):
        progress(f"counting {name}", number, len(names))
        found = connection.execute(sql.SQL(_ROWS).format(sql.Identifier(schema, name))).fetchone()
        assert found
        tables[f"{schema}.{name}"] = Rows(rows=found[0], hash=str(found[1]))
    return Contents(
        migrations=tuple(sorted(migrations)),
        tables=tables,
        sequences=sequences,
        objects=dict(connection.execute(_OBJECTS).fetchall()),
    )


def _said(rows: Rows | None) -> str:
    return f"{rows.rows} rows" if rows else "no table"
