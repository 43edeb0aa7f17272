"""The arguments of ``database``."""

from pathlib import Path
from typing import Annotated

import typer

from orchestrator.cli.options import JsonOption, YesOption
from reelscribe.command_line import CommandLine, ConfigOption

BackupArgument = Annotated[Path, typer.Argument(metavar="FILE", show_default=False)]


def register(cli: typer.Typer) -> None:
    """Add these commands."""
    database = CommandLine(rich_markup_mode=None, no_args_is_help=True)
    database.command(epilog="Example: orchestrator database backup /backups/reelscribe-2026-11-29.backup")(backup)
    database.command(epilog="Example: orchestrator database restore reelscribe-2026-11-29.backup --check")(restore)
    database.command(epilog="Example: orchestrator database upgrade")(upgrade)
    database.command(epilog="Example: orchestrator database check")(check)
    database.command(epilog="Example: orchestrator database kept")(kept)
    cli.add_typer(
        database,
        name="database",
        help="Back up, restore, upgrade and check the database.",
        epilog="Example: orchestrator database backup /backups/reelscribe-2026-11-29.backup",
    )


def backup(
    file: BackupArgument,
    replace: Annotated[bool, typer.Option("--replace", help="A file that has this name already.")] = False,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Write the database and the settings, without secrets, into one file. The services may run.

    It holds the transcripts: only you may read it. Recordings, stored results and datasets are not in it.
    """
    from orchestrator.cli import database as work

    work.backup(file, replace, as_json, config)


def restore(
    file: BackupArgument,
    check: Annotated[
        bool, typer.Option("--check", help="Prove the backup in a database of its own, and touch nothing else.")
    ] = False,
    yes: YesOption = False,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Put a backup in the place of the database, once it is restored and counted. Stop the services before.

    What is in the database now is kept under another name; see: orchestrator database kept.

    Restore only what you have made: a backup is a program, and may do on this host whatever the database's user may.
    So it is with --check.
    """
    from orchestrator.cli import database as work

    work.restore(file, check, yes, as_json, config)


def upgrade(
    file: Annotated[
        Path | None,
        typer.Option("--backup", metavar="FILE", help="Default: next to [database] data_dir.", show_default=False),
    ] = None,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Bring the tables of an earlier version up to date: backup, migrate, verify, else restore.

    Stop the services before. Versions may be skipped. The backup stays.
    """
    from orchestrator.cli import database as work

    work.upgrade(file, as_json, config)


def check(
    repair: Annotated[
        bool,
        typer.Option(
            "--repair", help="Make invalid indexes again, remove rows that refer to nothing, count jobs again."
        ),
    ] = False,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Check tables, indexes, references, totals and queue, one line each with what to do; exit 1 if one is wrong."""
    from orchestrator.cli import database as work

    work.check(repair, as_json, config)


def kept(
    bring_back: Annotated[
        str | None,
        typer.Option("--return", metavar="NAME", help="Put this one in its place again.", show_default=False),
    ] = None,
    remove: Annotated[
        str | None, typer.Option("--remove", metavar="NAME", help="Remove this one.", show_default=False)
    ] = None,
    yes: YesOption = False,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """List the databases that restores have put aside, bring one back, or remove it.

    One that a killed restore has left is named too, and can be removed.
    """
    from orchestrator.cli import database as work

    work.kept(bring_back, remove, yes, as_json, config)
