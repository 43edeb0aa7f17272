"""Whether a database is as it should be: its tables, indexes, references and counts; and repairing what is not."""

from typing import Any, NamedTuple

import psycopg
from psycopg import sql

from orchestrator.database.schema import applied_migrations, known_migrations

REPAIR = "orchestrator database check --repair"
SHOWN = 3

_COUNTS = """
    select (select count(*) from media), (select count(*) from jobs),
        (select count(*) from jobs where kind = 'transcribe' and state = 'done' and not superseded),
        (select count(*) from segments), pg_database_size(current_database())
"""
_INVALID_INDEXES = """
    select n.nspname, c.relname from pg_index i
    join pg_class c on c.oid = i.indexrelid join pg_namespace n on n.oid = c.relnamespace
    where not (i.indisvalid and i.indisready) and n.nspname !~ '^pg_' order by 1, 2
"""
_REFERENCES = """
    select c.conrelid::regclass::text, c.confrelid::regclass::text, c.conname::text,
        (
            select string_agg(format('child.%I = parent.%I', mine.attname, theirs.attname), ' and ')
            from unnest(c.conkey, c.confkey) as pair (mine, theirs)
            join pg_attribute mine on mine.attrelid = c.conrelid and mine.attnum = pair.mine
            join pg_attribute theirs on theirs.attrelid = c.confrelid and theirs.attnum = pair.theirs
        ),
        (
            select string_agg(format('child.%I is not null', mine.attname), ' and ')
            from unnest(c.conkey) as key (number)
            join pg_attribute mine on mine.attrelid = c.conrelid and mine.attnum = key.number
        )
    from pg_constraint c join pg_namespace n on n.oid = c.connamespace
    where c.contype = 'f' and n.nspname !~ '^pg_' and n.nspname <> 'information_schema' order by 1, 3
"""
_WRONG_TOTALS = """
    select count(*) from (
        select kind, state, sum(delta)::bigint as jobs from state_changes group by 1, 2 having sum(delta) <> 0
    ) noted
    full join (
        select kind, state, count(*) as jobs from jobs where not superseded group by 1, 2
    ) counted using (kind, state)
    where noted.jobs is distinct from counted.jobs
"""
_COUNT_AGAIN = """
    delete from state_changes;
    insert into state_changes
    select kind, state, count(*), count(length), coalesce(sum(length), 0) from (
        select kind, state, known_seconds(state, declared_seconds, progress_seconds) as length
        from jobs where not superseded
    ) counted group by kind, state
"""
_NOT_IN_QUEUE = """
    select m.savepath from jobs j join media m on m.id = j.media_id
    where j.state = 'queued' and not exists (select from procrastinate_jobs entry where entry.id = j.queue_job)
    order by j.id
"""


class Finding(NamedTuple):
    """What was looked at, and what was found; ``fix`` says what to do if it is not as it should be."""

    subject: str
    ok: bool
    message: str
    fix: str = ""


def read_findings(connection: psycopg.Connection[Any]) -> list[Finding]:
    """Look at everything; a million segments take some seconds.

    Raises:
        psycopg.Error: the connection is lost, or the user may not read all of it.
    """
    schema = _schema(connection)
    if not schema.ok:
        return [schema]  # what follows knows the tables of this version only
    return [
        schema,
        _counts(connection),
        _indexes(connection),
        _references(connection),
        _totals(connection),
        _queue(connection),
    ]


def repair(connection: psycopg.Connection[Any]) -> None:
    """Make invalid indexes again, remove rows that refer to rows that are gone, count the jobs again; or nothing.

    Raises:
        psycopg.Error: nothing was changed.
    """
    with connection.transaction():
        for schema, name in connection.execute(_INVALID_INDEXES).fetchall():
            connection.execute(sql.SQL("reindex index {}").format(sql.Identifier(schema, name)))
        for child, parent, _, joined, given in connection.execute(_REFERENCES).fetchall():
            connection.execute(_orphans("delete", child, parent, joined, given))
        connection.execute("lock table jobs in share mode")
        connection.execute(_COUNT_AGAIN)


def _schema(connection: psycopg.Connection[Any]) -> Finding:
    applied, known = applied_migrations(connection), known_migrations()
    newest = max((name for name in applied if name[:4].isdigit()), default="")
    if not applied:
        return Finding("tables", False, "there are none", "orchestrator up, serve, worker or submit makes them")
    if applied - known:
        return Finding(
            "tables", False, f"of a newer version: {newest}", "install the newer version of Reelscribe here too"
        )
    if missing := known - applied:
        return Finding(
            "tables", False, f"of an earlier version: {len(missing)} migrations to do", "orchestrator database upgrade"
        )
    return Finding("tables", True, f"of this version: {newest}")


def _counts(connection: psycopg.Connection[Any]) -> Finding:
    row = connection.execute(_COUNTS).fetchone()
    assert row
    recordings, jobs, transcripts, segments, size = row
    return Finding(
        "contents",
        True,
        f"{recordings:,} recordings, {jobs:,} jobs, {transcripts:,} transcripts, {segments:,} segments; "
        f"{size / (1 << 20):,.0f} MiB",
    )


def _indexes(connection: psycopg.Connection[Any]) -> Finding:
    invalid = [name for _, name in connection.execute(_INVALID_INDEXES).fetchall()]
    return _finding("indexes", "all are valid", [f"{name} is invalid" for name in invalid], REPAIR)


def _references(connection: psycopg.Connection[Any]) -> Finding:
    problems = []
    for child, parent, _, joined, given in connection.execute(_REFERENCES).fetchall():
        row = connection.execute(_orphans("select count(*)", child, parent, joined, given)).fetchone()
        if row and row[0]:
            problems.append(f"{row[0]} rows of {child} refer to rows of {parent} that are gone")
    return _finding(
        "references", "no row refers to one that is gone", problems, f"make a backup, then remove them: {REPAIR}"
    )


def _totals(connection: psycopg.Connection[Any]) -> Finding:
    row = connection.execute(_WRONG_TOTALS).fetchone()
    wrong = [f"{row[0]} numbers of jobs by state are wrong"] if row and row[0] else []
    return _finding("totals", "the numbers that status shows are right", wrong, REPAIR)


def _queue(connection: psycopg.Connection[Any]) -> Finding:
    lost = [row[0] for row in connection.execute(_NOT_IN_QUEUE).fetchall()]
    return _finding(
        "queue",
        "every queued job is in the queue",
        [f"{savepath!r} is queued, and no worker will ever take it" for savepath in lost],
        "orchestrator cancel SAVEPATH, then orchestrator retry SAVEPATH",
    )


def _finding(subject: str, well: str, problems: list[str], fix: str) -> Finding:
    if not problems:
        return Finding(subject, True, well)
    more = f"; and {len(problems) - SHOWN} more" if len(problems) > SHOWN else ""
    return Finding(subject, False, "; ".join(problems[:SHOWN]) + more, fix)


def _orphans(statement: str, child: str, parent: str, joined: str, given: str) -> bytes:
    """All names come quoted from PostgreSQL's own catalogue."""
    return (
        f"{statement} from {child} child where {given} and not exists (select from {parent} parent where {joined})"
    ).encode()
