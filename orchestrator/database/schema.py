"""Our tables and procrastinate's, created and migrated with yoyo-migrations by whichever process comes first."""

import importlib.util
import logging
from collections.abc import Iterator, Set
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlencode

import psycopg
from psycopg.conninfo import conninfo_to_dict

from orchestrator.database.locks import AdvisoryLock
from orchestrator.database.rights import read_rights, try_to_create
from orchestrator.errors import NewerTables, NoTables, OlderTables
from reelscribe.version import version

if TYPE_CHECKING:
    from yoyo.backends import DatabaseBackend
    from yoyo.migrations import MigrationList

log = logging.getLogger(__name__)

MIGRATIONS = Path(__file__).parent / "migrations"


def migrate(url: str, connection: psycopg.Connection, creates: bool = True, migrates: bool = True) -> None:
    """Apply what is missing; processes that come at the same time wait for the one that applies it.

    Args:
        url: of the database, for yoyo's own connection.
        connection: to the same database, in autocommit mode.
        creates: the tables of an empty database.
        migrates: the tables of an earlier version.

    Raises:
        NoTables: it is empty, and nothing is to be created.
        OlderTables: they are of an earlier version, and nothing is to be changed.
        NewerTables: they are of a newer version.
        DatabaseUnavailable: this user lacks rights to them.
    """
    rights = read_rights(connection)
    rights.check_use()
    known = known_migrations()
    applied = applied_migrations(connection)
    refuse_newer(applied)
    if known == applied:
        return
    if applied and not migrates:
        with _alone(connection):  # once a process that is at it is ready
            applied = applied_migrations(connection)
        refuse_newer(applied)
        if applied != known:
            raise OlderTables
        return
    rights.check_migration()
    if not (applied or creates):
        try_to_create(connection)
        raise NoTables
    import yoyo  # only where something is missing: it takes long, as procrastinate does
    from procrastinate.schema import SchemaManager

    ours, queues = yoyo.read_migrations(str(MIGRATIONS)), yoyo.read_migrations(SchemaManager.get_migrations_path())
    with _alone(connection), yoyo.get_backend(_yoyo_url(url)) as backend:
        backend.break_lock()
        with backend.lock():
            _apply_queue_schema(backend, queues)
            missing = backend.to_apply(ours)
            if missing and applied:
                log.info("database schema: is being updated; a new index may take minutes for a million segments")
            backend.apply_migrations(missing)
    if missing:  # else another process was faster
        log.info("database schema %s", "updated" if applied else "created")


@contextmanager
def _alone(connection: psycopg.Connection) -> Iterator[None]:
    """Wait until no other process migrates, and keep others from it."""
    connection.execute("select pg_advisory_lock(%s)", (AdvisoryLock.MIGRATION,))
    try:
        yield
    finally:
        connection.execute("select pg_advisory_unlock(%s)", (AdvisoryLock.MIGRATION,))


def known_migrations() -> set[str]:
    """The ids of procrastinate's migrations and of ours, as yoyo reads them: the names of their files."""
    procrastinate = importlib.util.find_spec("procrastinate")
    assert procrastinate and procrastinate.origin
    folders = (MIGRATIONS, Path(procrastinate.origin).parent / "sql" / "migrations")
    return {file.stem for folder in folders for file in folder.iterdir() if file.suffix in (".sql", ".py")}


def refuse_newer(applied: Set[str], where: str = "the database") -> None:
    """Leave alone what a newer version has made.

    Args:
        applied: the migrations that ``where`` has.

    Raises:
        NewerTables: one of these migrations is not known here.
    """
    if unknown := sorted(applied - known_migrations()):
        raise NewerTables(
            f"the tables of {where} are those of a newer version of the orchestrator (migration {unknown[0]}), and "
            f"this is {version()}: install that version here too, or use a backup of before: orchestrator database "
            "restore FILE"
        )


def applied_migrations(connection: psycopg.Connection) -> set[str]:
    """The ids of those that the database has; none in an empty one."""
    if connection.execute("select to_regclass('_yoyo_migration')").fetchone() == (None,):
        return set()
    return {row[0] for row in connection.execute("select migration_id from _yoyo_migration")}


def _apply_queue_schema(backend: "DatabaseBackend", queues: "MigrationList") -> None:
    """procrastinate's complete schema in a new database, and the migrations of a newer version in one that has it."""
    from procrastinate.schema import SchemaManager

    if backend.execute("select to_regclass('procrastinate_jobs')").fetchone() != (None,):
        backend.apply_migrations(backend.to_apply(queues))
        return
    backend.ensure_internal_schema_updated()
    with backend.transaction():
        backend.connection.execute(SchemaManager.get_schema())
        for migration in queues:
            backend.mark_one(migration, log=False)


def _yoyo_url(url: str) -> str:
    parameters = {key: str(value) for key, value in conninfo_to_dict(url).items() if value is not None}
    name = parameters.pop("dbname", "")
    return f"postgresql+psycopg:///{name}?{urlencode(parameters)}"
