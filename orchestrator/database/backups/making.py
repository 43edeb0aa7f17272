"""Making a backup: of one moment, while the services run."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg

from orchestrator.database.backups.archive import (
    CONFIGURATION,
    DUMP,
    Manifest,
    Progress,
    new_backup,
    require_room,
)
from orchestrator.database.backups.contents import read_contents
from orchestrator.database.backups.programs import dump, find_program
from orchestrator.database.backups.target import Target
from orchestrator.errors import NoTables
from reelscribe.version import version

TABLES_PER_DUMP = 2
"""A compressed dump is rarely larger than half of what its tables take on the disk, without their indexes."""
_SIZES = """
    select pg_database_size(current_database()), coalesce(sum(pg_table_size(oid)), 0)::bigint
    from pg_class where relkind = 'r' and relpersistence = 'p'
"""


def make_backup(target: Target, path: Path, configuration: str, replaces: bool, progress: Progress) -> Manifest:
    """Write a backup of the database as it is now; what changes meanwhile is not in it.

    Args:
        configuration: the settings that apply, without secrets, in the form of a config.cfg.
        replaces: the file that has this name.

    Raises:
        NoTables: there is nothing to back up.
        NotWritten: there is no room, or the file cannot be written; there is no new file then.
        DatabaseProgramFailed: pg_dump is missing, is too old, or has failed.
        DatabaseUnavailable: the database cannot be reached.
    """
    with target.connect() as connection:
        server_version = connection.info.server_version // 10_000
        program = find_program("pg_dump", server_version, connection)
        connection.execute("begin isolation level repeatable read read only")
        snapshot = _snapshot(connection)
        sizes = connection.execute(_SIZES).fetchone()
        assert sizes
        require_room(path.parent, sizes[1] // TABLES_PER_DUMP)
        with new_backup(path, replaces) as writer:
            contents = read_contents(connection, progress)
            if not contents.migrations:
                raise NoTables
            writer.add(CONFIGURATION, [configuration.encode()])
            writer.add(DUMP, _reported(dump(program, connection, snapshot), progress))
            connection.execute("rollback")
            manifest = Manifest(
                made_at=datetime.now(UTC).isoformat(timespec="seconds"),
                version=version(),
                server_version=server_version,
                dumped_by=program.version,
                database_bytes=sizes[0],
                contents=contents,
                members=writer.members,
            )
            writer.finish(manifest)
    return manifest


def _snapshot(connection: psycopg.Connection[Any]) -> str:
    row = connection.execute("select pg_export_snapshot()").fetchone()
    assert row
    return str(row[0])


def _reported(chunks: Iterator[bytes], progress: Progress) -> Iterator[bytes]:
    size = 0
    for chunk in chunks:
        size += len(chunk)
        progress("writing", size, None)
        yield chunk
