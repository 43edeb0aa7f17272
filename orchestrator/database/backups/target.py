"""The database that ``[database]`` names, whether it is there or not, and those next to it on the same server."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import psycopg
from psycopg import errors as postgres_errors
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from orchestrator.database.pool import CONNECTION, OLDEST_VERSION, one_line, running
from orchestrator.errors import DatabaseUnavailable, InUse
from reelscribe.settings.orchestrator import DatabaseSection

LONGEST_NAME = 63
"""Of a database, in bytes."""
SERVICES_SHOWN = 3
LEAVING_SECONDS = 3.0
"""PostgreSQL takes a moment to notice that a program has closed its connection."""

_SESSIONS = """
    select coalesce(nullif(application_name, ''), 'a program without a name'), coalesce(client_addr::text, 'this host')
    from pg_stat_activity
    where datname = %s and backend_type = 'client backend' and pid <> pg_backend_pid()
"""
_MAY_REPLACE = """
    select current_user, rolcreatedb or rolsuper,
        coalesce((select pg_has_role(datdba, 'usage') from pg_database where datname = %s), true)
    from pg_roles where rolname = current_user
"""
_ATTRIBUTES = "select datcollate, datctype, {provider}, {locale} from pg_database where datname = %s"
_HAS_TABLES = """
    select exists (
        select from pg_class c join pg_namespace n on n.oid = c.relnamespace
        where c.relkind in ('r', 'p', 'v', 'm', 'S', 'f') and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
    )
"""
MARK = "reelscribe: is being restored"
"""The comment of a database that a restore has made and not finished."""
_MARK = "select shobj_description(oid, 'pg_database') from pg_database where datname = %s"
_KEPT = "select datname, pg_database_size(datname) from pg_database where starts_with(datname, %s) order by 1"
_LEFT = """
    select datname, pg_database_size(oid) from pg_database d
    where datname = %s and shobj_description(oid, 'pg_database') = %s
        and not exists (select from pg_stat_activity a where a.datname = d.datname)
"""


class Kept(NamedTuple):
    """A database that a restore has put aside, or left behind."""

    name: str
    bytes: int


class Target:
    """The database, on a server that runs.

    Args:
        url: of the database; it need not be there.
        data_dir: of the embedded server; None: it is not embedded.
    """

    def __init__(self, url: str, data_dir: Path | None) -> None:
        self.data_dir, self._url = data_dir, url
        try:
            self.name = str(conninfo_to_dict(url).get("dbname") or "")
        except psycopg.ProgrammingError as malformed:
            raise DatabaseUnavailable(f"[database] url cannot be read: {one_line(malformed)}") from None
        if not self.name:
            raise DatabaseUnavailable("[database] url names no database; write its name after the last /")

    @property
    def unfinished(self) -> str:
        """The name of the database that a restore fills; what a killed one has left has it too."""
        return self._with_suffix("_restoring")

    def url(self, name: str | None = None) -> str:
        """That of this database, or of another one on the same server."""
        return make_conninfo(self._url, dbname=name or self.name)

    def connect(self, name: str | None = None) -> psycopg.Connection[Any]:
        """A connection in autocommit mode; ``name`` is that of another database.

        Raises:
            DatabaseUnavailable: it cannot be reached, or is too old.
        """
        try:
            connection = psycopg.connect(self.url(name), autocommit=True, **CONNECTION)
        except psycopg.Error as refused:
            raise DatabaseUnavailable(
                f"the database {name or self.name} cannot be reached: {one_line(refused)}; see: orchestrator check"
            ) from None
        if (version := connection.info.server_version // 10_000) < OLDEST_VERSION:
            connection.close()
            raise DatabaseUnavailable(f"the server is PostgreSQL {version}; {OLDEST_VERSION} or newer is needed")
        return connection

    def server(self) -> psycopg.Connection[Any]:
        """A connection to its server that is to none of its databases of ours."""
        return self.connect("postgres")

    def is_there(self, server: psycopg.Connection[Any]) -> bool:
        """Whether the database exists."""
        return server.execute("select from pg_database where datname = %s", (self.name,)).fetchone() is not None

    def is_empty(self, name: str) -> bool:
        """Whether a database on its server has nothing in it."""
        with self.connect(name) as connection:
            return connection.execute(_HAS_TABLES).fetchone() == (False,)

    def refuse_if_used(self, server: psycopg.Connection[Any], what: str) -> None:
        """Leave it alone while something is connected to it; what is just leaving has some seconds.

        Raises:
            InUse: with those that are.
        """
        deadline = time.monotonic() + LEAVING_SECONDS
        while sessions := server.execute(_SESSIONS, (self.name,)).fetchall():
            if time.monotonic() > deadline:
                raise _in_use(self.name, what, sorted({f"{program} on {host}" for program, host in sessions}))
            time.sleep(0.05)

    def require_rights(self, server: psycopg.Connection[Any]) -> None:
        """Prove that this user may put another database in its place.

        Raises:
            DatabaseUnavailable: not without an administrator, whose statement is in the sentence.
        """
        row = server.execute(_MAY_REPLACE, (self.name,)).fetchone()
        assert row
        user, creates, owns = row
        if not creates:
            raise DatabaseUnavailable(
                f"the user {user} may not create a database; let an administrator run: alter role {user} createdb"
            )
        if not owns:
            raise DatabaseUnavailable(
                f"the database {self.name} belongs to another user than {user}; let an administrator run: "
                f"alter database {self.name} owner to {user}"
            )

    def make_unfinished(self, server: psycopg.Connection[Any]) -> None:
        """An empty database to restore into, with the collation of this one, in place of what a killed restore left.

        Raises:
            DatabaseUnavailable: there is one of that name that no restore has made.
        """
        found = server.execute(_MARK, (self.unfinished,)).fetchone()
        if found and found[0] != MARK and not self.is_empty(self.unfinished):
            raise DatabaseUnavailable(
                f"there is a database {self.unfinished}, which no restore has made, and a restore needs that name; "
                "rename it"
            )
        self.drop(server, self.unfinished)
        statement = sql.SQL("create database {} template template0 encoding 'UTF8'").format(
            sql.Identifier(self.unfinished)
        )
        if attributes := _attributes(server, self.name):
            statement += sql.SQL(" ") + attributes
        server.execute(statement)
        server.execute(sql.SQL("comment on database {} is {}").format(sql.Identifier(self.unfinished), MARK))

    def drop(self, server: psycopg.Connection[Any], name: str) -> None:
        """Remove a database if it is there, and whatever is connected to it."""
        server.execute(sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(name)))

    def put_in_place(self, server: psycopg.Connection[Any], replacement: str) -> str | None:
        """Give a database the name of this one, and this one another: both or, whatever happens, neither.

        Returns:
            The new name of this one; None if there was none.

        Raises:
            InUse: something is connected to one of them.
        """
        aside, kept = self._free_name(server), None
        try:
            with server.transaction():
                if self.is_there(server):
                    kept = aside
                    server.execute(_renaming(self.name, aside))
                if replacement == self.unfinished:
                    server.execute(sql.SQL("comment on database {} is null").format(sql.Identifier(replacement)))
                server.execute(_renaming(replacement, self.name))
        except postgres_errors.ObjectInUse:
            self.refuse_if_used(server, "putting another database in its place")
            raise _in_use(self.name, "putting another database in its place", ["a program"]) from None
        return kept

    def kept(self, server: psycopg.Connection[Any]) -> list[Kept]:
        """The databases that restores have put aside, the oldest first."""
        rows = server.execute(_KEPT, (self._with_suffix("_before_"),)).fetchall()
        return [Kept(*row) for row in rows]

    def left(self, server: psycopg.Connection[Any]) -> Kept | None:
        """What a killed restore has left; None: nothing, or a restore is filling it."""
        row = server.execute(_LEFT, (self.unfinished, MARK)).fetchone()
        return Kept(*row) if row else None

    def _free_name(self, server: psycopg.Connection[Any]) -> str:
        """For what is put aside now: that of this second, or of the next one that is not taken."""
        taken, now = {one.name for one in self.kept(server)}, datetime.now()
        while (name := self._with_suffix(f"_before_{now:%Y%m%d_%H%M%S}")) in taken:
            now += timedelta(seconds=1)
        return name

    def _with_suffix(self, suffix: str) -> str:
        most = LONGEST_NAME - (len("_before_") + 15)
        return self.name.encode()[:most].decode(errors="ignore") + suffix


@contextmanager
def open_target(section: DatabaseSection, creates: bool = False) -> Iterator[Target]:
    """The database of ``[database]``, whose embedded server runs meanwhile.

    Args:
        creates: the embedded one, if there is none yet.

    Raises:
        DatabaseUnavailable: the embedded one cannot be started, or there is none.
    """
    with running(section, creates) as url:
        yield Target(url, section.data_dir if section.url == "embedded" else None)


def _attributes(server: psycopg.Connection[Any], name: str) -> sql.Composable | None:
    """The collation of a database, for another one like it; None if there is none."""
    version = server.info.server_version // 10_000
    provider = "datlocprovider::text" if version >= 15 else "'c'"
    locale = "datlocale" if version >= 17 else "daticulocale" if version >= 15 else "null"
    statement = _ATTRIBUTES.format(provider=provider, locale=locale)
    row = server.execute(statement.encode(), (name,)).fetchone()
    if row is None:
        return None
    collate, ctype, provided_by, named = row
    parts: list[sql.Composable] = [
        sql.SQL("lc_collate {} lc_ctype {}").format(sql.Literal(collate), sql.Literal(ctype))
    ]
    if provided_by == "i":
        parts.append(sql.SQL("locale_provider icu icu_locale {}").format(sql.Literal(named)))
    elif provided_by == "b":
        parts.append(sql.SQL("locale_provider builtin builtin_locale {}").format(sql.Literal(named)))
    elif version >= 15:
        parts.append(sql.SQL("locale_provider libc"))
    return sql.SQL(" ").join(parts)


def _renaming(before: str, after: str) -> sql.Composed:
    return sql.SQL("alter database {} rename to {}").format(sql.Identifier(before), sql.Identifier(after))


def _in_use(name: str, what: str, users: list[str]) -> InUse:
    shown = ", ".join(users[:SERVICES_SHOWN]) + (", …" if len(users) > SERVICES_SHOWN else "")
    return InUse(
        f"the database {name} is in use ({shown}): stop what uses it before {what}, such as: systemctl stop "
        "reelscribe-orchestrator; nothing was changed"
    )
