"""What a user may do in a database that it did not make itself, with what to do where that is not enough."""

from typing import NamedTuple

import psycopg
from psycopg.rows import class_row

from orchestrator.errors import DatabaseUnavailable

_RIGHTS = """
    with tables as (
        select oid, relowner from pg_class
        where relnamespace = to_regnamespace(current_schema()) and relkind = 'r'
            and relname in ('_yoyo_migration', 'jobs', 'segments', 'procrastinate_jobs')
    )
    select current_database() as database, current_user as "user", current_schema() as schema,
        coalesce(has_schema_privilege(current_schema(), 'create'), false) as may_create,
        (
            select min(pg_get_userbyid(relowner)) from tables where not (
                has_table_privilege(oid, 'select') and has_table_privilege(oid, 'insert')
                and has_table_privilege(oid, 'update') and has_table_privilege(oid, 'delete')
            )
        ) as closed_by,
        (select min(pg_get_userbyid(relowner)) from tables where not pg_has_role(relowner, 'usage')) as owned_by
"""


class Rights(NamedTuple):
    """Those of the user of a connection; ``closed_by`` and ``owned_by`` are other owners of our tables, if any."""

    database: str
    user: str
    schema: str | None
    may_create: bool
    closed_by: str | None
    owned_by: str | None

    def check_use(self) -> None:
        """Whether the tables can be used, if they are there.

        Raises:
            DatabaseUnavailable: they cannot.
        """
        if self.closed_by:
            raise DatabaseUnavailable(self._of_another(self.closed_by))

    def check_migration(self) -> None:
        """Whether this user may make and change tables.

        Raises:
            DatabaseUnavailable: it may not.
        """
        if self.owned_by:
            raise DatabaseUnavailable(self._of_another(self.owned_by))
        if not self.may_create:
            schema = self.schema or "public"
            raise DatabaseUnavailable(
                f"the user {self.user} may not create tables in the database {self.database}; let an administrator run "
                f"there: grant usage, create on schema {schema} to {self.user}"
            )

    def _of_another(self, owner: str) -> str:
        return (
            f"the tables in the database {self.database} belong to the user {owner}, not to {self.user}; name {owner} "
            f"in [database] url, or restore a dump of it as {self.user}, with pg_restore --no-owner"
        )


def read_rights(connection: psycopg.Connection) -> Rights:
    """The rights of its user.

    Raises:
        DatabaseUnavailable: the database is not one for text in all languages.
    """
    info = connection.info
    if (encoding := info.parameter_status("server_encoding")) != "UTF8":
        raise DatabaseUnavailable(
            f"the database {info.dbname} has the encoding {encoding}, which does not hold all languages; make another "
            f"one for [database] url: createdb --owner={info.user} --encoding=UTF8 --template=template0 NAME"
        )
    with connection.cursor(row_factory=class_row(Rights)) as cursor:
        [rights] = cursor.execute(_RIGHTS).fetchall()
    return rights


def try_to_create(connection: psycopg.Connection) -> None:
    """Make what migrations make, in a transaction that is rolled back: the rights are proved, and nothing is left.

    Raises:
        psycopg.Error: this user, or this database, does not allow it.
    """
    with connection.transaction(force_rollback=True):
        connection.execute("create table reelscribe_check (id bigint generated always as identity primary key)")
        connection.execute("create type reelscribe_check_state as enum ('made')")
        connection.execute("create function reelscribe_check() returns int language sql as 'select 1'")
