"""Bringing the tables up to date, with a way back: backup, migrate, verify, else restore."""

from pathlib import Path
from typing import NamedTuple

import psycopg

from orchestrator.database.backups.archive import Backup, Manifest, Progress
from orchestrator.database.backups.making import make_backup
from orchestrator.database.backups.restoring import alone, replace_alone, require_possible
from orchestrator.database.backups.target import Target
from orchestrator.database.health import read_findings
from orchestrator.database.pool import one_line, prepare
from orchestrator.database.schema import applied_migrations, known_migrations, refuse_newer
from orchestrator.errors import NoTables, UpgradeFailed
from reelscribe.errors import ServiceError

KEPT_BY_MIGRATIONS = ("media", "jobs", "attempts", "segments", "edits", "vocabularies", "datasets")
"""Tables that no migration may take rows from."""


class Upgraded(NamedTuple):
    """The migrations that were done, and the backup of before."""

    migrations: tuple[str, ...]
    backup: Path


def upgrade(target: Target, path: Path, configuration: str, progress: Progress) -> Upgraded | None:
    """Do the migrations that are missing; None: there are none.

    Args:
        path: of the backup that is made before.
        configuration: for the backup.

    Raises:
        NoTables: the database is empty.
        NewerTables: a newer version has made its tables.
        InUse: something is connected to it.
        UpgradeFailed: it is as it was before; or, if the sentence says so, the backup is.
        ServiceError: the backup cannot be made, or could not be restored; nothing was changed.
    """
    with target.server() as server, alone(server):
        with target.connect() as connection:
            applied = applied_migrations(connection)
        if not applied:
            raise NoTables
        refuse_newer(applied)
        missing = tuple(sorted(known_migrations() - applied))
        if not missing:
            return None
        target.refuse_if_used(server, "upgrading it")
        manifest = make_backup(target, path, configuration, False, progress)
        require_possible(target, server, manifest)  # else there would be no way back
        progress("migrating", 0, None)
        try:
            prepare(target.url())
            _verify(target, manifest)
        except Exception as failed:
            reason = failed.message if isinstance(failed, ServiceError) else one_line(failed)
            try:
                kept = replace_alone(target, server, Backup(path), progress)
            except (ServiceError, psycopg.Error) as worse:
                raise UpgradeFailed(
                    f"the upgrade has failed: {reason}; and the backup could not be restored: {one_line(worse)}; it is "
                    f"in {path}: install the version of before, then: orchestrator database restore {path}"
                ) from failed
            raise UpgradeFailed(
                f"the upgrade has failed: {reason}; the database is as it was before, restored from {path}"
                + (f", and what the upgrade has left is kept as {kept}" if kept else "")
            ) from failed
    return Upgraded(missing, path)


def _verify(target: Target, before: Manifest) -> None:
    with target.connect() as connection:
        findings = [finding for finding in read_findings(connection) if not finding.ok]
        counted = dict(
            connection.execute(
                " union all ".join(f"select '{table}', count(*) from {table}" for table in KEPT_BY_MIGRATIONS).encode()
            ).fetchall()
        )
    problems = [f"{finding.subject}: {finding.message}" for finding in findings]
    problems += [
        f"{table} has {counted[table]} rows in place of {rows}"
        for table in KEPT_BY_MIGRATIONS
        if counted[table] < (rows := before.contents.of(table))
    ]
    if problems:
        raise UpgradeFailed("; ".join(problems))
