"""The way back: into a database of another name, counted and compared, and only then in the place of the one before.

A dump is SQL, and whoever made it decides what it does. That cannot be taken from it in a simple way: a role without
rights would restore triggers and functions all the same, which the service then calls with its own, and the statements
that fill the tables are part of the dump too. So the pages say that only backups of one's own are restored.
"""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psycopg

from orchestrator.database import scratch
from orchestrator.database.backups.archive import DUMP, Backup, Manifest, Progress, require_room
from orchestrator.database.backups.contents import read_contents
from orchestrator.database.backups.programs import find_program, restore
from orchestrator.database.backups.target import Target
from orchestrator.database.locks import AdvisoryLock
from orchestrator.database.schema import refuse_newer
from orchestrator.errors import BackupUnusable, DatabaseUnavailable, InUse

SHOWN = 3
LARGEST_LOG_BYTES = 1 << 30
"""PostgreSQL's own default of max_wal_size."""


def prove(backup: Backup, progress: Progress) -> None:
    """Restore a backup into a PostgreSQL of its own in the temporary folder, and compare. Nothing else is touched.

    Raises:
        BackupUnusable: it is damaged, or does not hold what it says.
        NotWritten: the temporary folder has no room for it.
        DatabaseProgramFailed: pg_restore has failed.
    """
    refuse_newer(set(backup.manifest.contents.migrations), str(backup.path))
    require_room(Path(tempfile.gettempdir()), _needed_bytes(backup.manifest))
    with scratch.running() as url:
        target = Target(url.replace("/postgres?", "/reelscribe?"), None)
        with target.server() as server:
            target.make_unfinished(server)
            _fill(target, backup, progress)


def replace_with(target: Target, backup: Backup, progress: Progress) -> str | None:
    """Put what a backup holds in the place of the database, which keeps all it has under another name.

    Until the backup is restored and counted, the database is as it was; then both are renamed, or none.

    Returns:
        The name under which it is kept; None: there was none, or nothing was in it.

    Raises:
        InUse: something is connected to the database, or another restore runs.
        BackupUnusable: the backup is damaged, or does not hold what it says.
        NotWritten: the disk of the embedded database has no room for two of them.
        NewerTables: a newer version of the orchestrator made the backup.
        DatabaseUnavailable: the user lacks rights, or the server went away.
    """
    with target.server() as server, alone(server):
        return replace_alone(target, server, backup, progress)


def replace_alone(target: Target, server: psycopg.Connection[Any], backup: Backup, progress: Progress) -> str | None:
    """The same for who keeps out others already (:func:`alone`)."""
    refuse_newer(set(backup.manifest.contents.migrations), str(backup.path))
    require_possible(target, server, backup.manifest)
    target.refuse_if_used(server, "restoring")
    target.make_unfinished(server)
    try:
        _fill(target, backup, progress)
        kept = target.put_in_place(server, target.unfinished)
    except BaseException:
        with suppress(psycopg.Error):
            target.drop(server, target.unfinished)
        raise
    if kept and target.is_empty(kept):
        target.drop(server, kept)
        return None
    return kept


def bring_back(target: Target, name: str) -> str | None:
    """Put a database that a restore has kept into its place again, and keep the one that is there now.

    Returns:
        The name under which that one is kept.

    Raises:
        InUse: something is connected to one of them.
        DatabaseUnavailable: none of this name is kept.
    """
    with target.server() as server, alone(server):
        require_kept(target, server, name)
        return target.put_in_place(server, name)


def remove(target: Target, name: str) -> None:
    """Remove a database that a restore has kept, or that a killed one has left.

    Raises:
        DatabaseUnavailable: there is none of this name.
    """
    with target.server() as server, alone(server):
        left = target.left(server)
        if not (left and left.name == name):
            require_kept(target, server, name)
        target.drop(server, name)


def require_kept(target: Target, server: psycopg.Connection[Any], name: str) -> None:
    """Refuse to touch any other database.

    Raises:
        DatabaseUnavailable: none of this name is kept.
    """
    if name not in (known := [kept.name for kept in target.kept(server)]):
        raise DatabaseUnavailable(
            f"no database {name} is kept; " + (f"kept are: {', '.join(known)}" if known else "none is")
        )


@contextmanager
def alone(server: psycopg.Connection[Any]) -> Iterator[None]:
    """Keep out other restores and upgrades on this server.

    Raises:
        InUse: one runs.
    """
    server.execute("set idle_session_timeout = 0")
    if server.execute("select pg_try_advisory_lock(%s)", (AdvisoryLock.RESTORING,)).fetchone() != (True,):
        raise InUse("another restore or upgrade runs on this server; wait for it")
    try:
        yield
    finally:
        with suppress(psycopg.Error):
            server.execute("select pg_advisory_unlock(%s)", (AdvisoryLock.RESTORING,))


def require_possible(target: Target, server: psycopg.Connection[Any], manifest: Manifest) -> None:
    """Prove that there is room for another database, and that this user may put it in the place of the one there is.

    Raises:
        NotWritten: the disk of the embedded database has no room for two of them.
        DatabaseUnavailable: the user lacks rights.
    """
    if target.data_dir:
        require_room(target.data_dir, _needed_bytes(manifest))
    target.require_rights(server)


def _needed_bytes(manifest: Manifest) -> int:
    """For the database, and what PostgreSQL writes into its log of changes (WAL) until it begins to use that again."""
    return manifest.database_bytes + min(manifest.database_bytes, LARGEST_LOG_BYTES)


def _fill(target: Target, backup: Backup, progress: Progress) -> None:
    """Restore into the unfinished database, and compare it with what the backup says it holds."""
    with target.connect(target.unfinished) as connection:
        program = find_program("pg_restore", backup.manifest.dumped_by, connection)
        restore(program, connection, backup.read(DUMP, progress, "restoring"))
        progress("collecting statistics", 0, None)
        connection.execute("analyze")
        found = read_contents(connection, progress)
    if differences := backup.manifest.contents.differences(found):
        more = f"; and {len(differences) - SHOWN} more" if len(differences) > SHOWN else ""
        raise BackupUnusable(f"{backup.path} does not hold what it says: {'; '.join(differences[:SHOWN])}{more}")
