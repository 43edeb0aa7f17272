"""The command ``database``: backups, the way back, upgrades, and whether all is well."""

import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, NoReturn

import psycopg
import typer

from orchestrator.cli.bars import bars
from orchestrator.cli.config import settings_lines
from orchestrator.cli.console import counted, print_json
from orchestrator.cli.options import confirmed, require_answer, usage
from orchestrator.database import health
from orchestrator.database.backups import restoring
from orchestrator.database.backups.archive import Backup, Manifest, Progress, left_behind
from orchestrator.database.backups.making import make_backup
from orchestrator.database.backups.target import Kept, Target, open_target
from orchestrator.database.backups.upgrading import upgrade as upgrade_database
from orchestrator.database.pool import one_line
from orchestrator.database.schema import known_migrations
from orchestrator.errors import NeedsDatabase
from orchestrator.session import chosen_server, exit_code, print_error
from reelscribe import logs
from reelscribe.command_line import USAGE_EXIT_CODE, print_check, report_settings_errors
from reelscribe.errors import ServiceError
from reelscribe.program import work_begins
from reelscribe.settings.config_file import choose_config
from reelscribe.settings.loading import Settings, load_settings, origins
from reelscribe.stop_signals import INTERRUPTED_EXIT_CODE

MIB = 1 << 20


def backup(file: Path, replaces: bool, as_json: bool, config: Path | None) -> None:
    """Write the database and the settings, without secrets, into one file."""

    def work(chosen: Settings) -> int:
        with open_target(chosen.database) as target, _progress() as progress:
            manifest = make_backup(target, file.absolute(), _configuration(chosen, config), replaces, progress)
            _name_what_is_left(target, file.absolute().parent)
        if as_json:
            print_json({"file": str(file), **_summary(manifest)})
        else:
            print(f"{file}: {_said(manifest)}, {file.stat().st_size / MIB:,.1f} MiB")
            print(f"prove it with: orchestrator database restore {file} --check")
        return 0

    _run(config, work)


def restore(file: Path, only_checks: bool, yes: bool, as_json: bool, config: Path | None) -> None:
    """Put a backup in the place of the database, or only prove it."""
    if not only_checks:
        require_answer("database restore", yes)

    def work(chosen: Settings) -> int:
        found = Backup(file.absolute())
        kept = None
        if only_checks:
            with _progress() as progress:
                restoring.prove(found, progress)
        else:
            with open_target(chosen.database, creates=True) as target:
                if not confirmed(f"Put the backup of {found.manifest.made_at} in the place of {target.name}?", yes):
                    print_error("nothing was changed")
                    return 1
                with _progress() as progress:
                    kept = restoring.replace_with(target, found, progress)
                _name_what_is_left(target, file.absolute().parent)
        if as_json:
            print_json({"file": str(file), **_summary(found.manifest), "restored": not only_checks, "kept": kept})
            return 0
        print(f"{file} {'can be restored' if only_checks else 'is restored'}: {_said(found.manifest)}")
        if kept:
            print(
                f"what was there before is kept as {kept}; remove it with: orchestrator database kept --remove {kept}"
            )
        if known_migrations() - set(found.manifest.contents.migrations):
            print(
                "its tables are those of an earlier version"
                + ("" if only_checks else "; bring them up to date with: orchestrator database upgrade")
            )
        return 0

    _run(config, work)


def upgrade(file: Path | None, as_json: bool, config: Path | None) -> None:
    """Bring the tables of an earlier version up to date."""

    def work(chosen: Settings) -> int:
        name = f"reelscribe-before-upgrade-{datetime.now():%Y%m%d-%H%M%S-%f}.backup"
        path = (file or chosen.database.data_dir.parent / name).absolute()
        with open_target(chosen.database) as target, _progress() as progress:
            done = upgrade_database(target, path, _configuration(chosen, config), progress)
            _name_what_is_left(target, path.parent)
        if as_json:
            print_json({"migrations": done.migrations if done else [], "backup": str(done.backup) if done else None})
        elif done:
            print(f"upgraded: {counted(len(done.migrations), 'migration')}; the database of before is in {done.backup}")
        else:
            print("the tables are of this version already")
        return 0

    _run(config, work)


def check(repairs: bool, as_json: bool, config: Path | None) -> None:
    """Check tables, indexes, references, totals and the queue."""

    def work(chosen: Settings) -> int:
        with open_target(chosen.database) as target:
            with target.connect() as connection:
                findings = health.read_findings(connection)
                if repairs and findings[0].ok and not all(finding.ok for finding in findings):
                    health.repair(connection)
                    findings = health.read_findings(connection)
            findings.append(_put_aside(target))
        if as_json:
            print_json([finding._asdict() for finding in findings])
        for finding in findings if not as_json else ():
            wrong = ServiceError(f"{finding.message}; {finding.fix}")
            print_check(finding.subject, finding.message if finding.ok else wrong)
        return 0 if all(finding.ok for finding in findings) else 1

    _run(config, work)


def kept(bring_back: str | None, remove: str | None, yes: bool, as_json: bool, config: Path | None) -> None:
    """List the databases that restores have put aside, bring one back, or remove it."""
    if bring_back and remove:
        usage("give either --return or --remove")
    if remove:
        require_answer("database kept --remove", yes)

    def work(chosen: Settings) -> int:
        with open_target(chosen.database) as target:
            if bring_back:
                other = restoring.bring_back(target, bring_back)
                print_error(f"{bring_back} is {target.name} again; what was there is kept as {other}")
            elif remove:
                if not confirmed(f"Remove the database {remove}?", yes):
                    print_error("nothing was removed")
                    return 1
                restoring.remove(target, remove)
            with target.server() as server:
                found = target.kept(server)
            _name_what_is_left(target)
        if as_json:
            print_json([one._asdict() for one in found])
        for one in found if not as_json else ():
            print(f"{one.name}  {one.bytes / MIB:,.0f} MiB")
        if not found:
            print_error("no database is kept")
        return 0

    _run(config, work)


def _run(config: Path | None, work: Callable[[Settings], int]) -> NoReturn:
    """Do the work and exit with the code it returns, or with a sentence if it fails."""
    logs.configure(logging.ERROR)
    with report_settings_errors():
        chosen = load_settings(choose_config(config))
        if chosen_server(chosen):
            print_error(NeedsDatabase("database").message)
            raise typer.Exit(USAGE_EXIT_CODE)
        work_begins()
        try:
            code = work(chosen)
        except ServiceError as failure:
            print_error(failure.message)
            code = exit_code(failure)
        except psycopg.errors.DiskFull as full:
            print_error(f"the database has no room left on its disk: {one_line(full)}; nothing was changed")
            code = 1
        except psycopg.Error as failed:
            print_error(f"the database denies it, or went away: {one_line(failed)}; nothing was changed")
            code = 1
        except KeyboardInterrupt:
            code = INTERRUPTED_EXIT_CODE
    raise typer.Exit(code)


def _name_what_is_left(target: Target, folder: Path | None = None) -> None:
    """Say what killed restores and, in a folder, killed backups have left: it takes room, and nothing needs it."""
    with target.server() as server:
        left = target.left(server)
    if left:
        print_error(_left(left))
    for path in left_behind(folder) if folder else ():
        print_error(f"a backup that was killed has left {path}, {path.stat().st_size / MIB:,.0f} MiB; remove that file")


def _left(left: Kept) -> str:
    return (
        f"a restore that was killed has left the database {left.name}, {left.bytes / MIB:,.0f} MiB; remove it with: "
        f"orchestrator database kept --remove {left.name}"
    )


def _put_aside(target: Target) -> health.Finding:
    with target.server() as server:
        found, left = target.kept(server), target.left(server)
    if left:
        return health.Finding("kept", True, _left(left))
    if not found:
        return health.Finding("kept", True, "no database of before a restore is kept")
    size = sum(one.bytes for one in found) / MIB
    return health.Finding("kept", True, f"{counted(len(found), 'database')} of before a restore, {size:,.0f} MiB")


def _configuration(chosen: Settings, config: Path | None) -> str:
    return "\n".join(settings_lines(chosen, origins(choose_config(config)))) + "\n"


def _summary(manifest: Manifest) -> dict[str, Any]:
    contents = manifest.contents
    return {
        "made_at": manifest.made_at,
        "version": manifest.version,
        "recordings": contents.of("media"),
        "jobs": contents.of("jobs"),
        "segments": contents.of("segments"),
        "rows": sum(rows.rows for rows in contents.tables.values()),
    }


def _said(manifest: Manifest) -> str:
    found = _summary(manifest)
    return f"{counted(found['recordings'], 'recording')}, {counted(found['segments'], 'segment')} of {manifest.made_at}"


@contextmanager
def _progress() -> Iterator[Progress]:
    """A bar on a terminal; else nothing."""
    if not sys.stderr.isatty():
        yield lambda doing, done, total: None
        return
    from rich.progress import BarColumn, TextColumn, TimeElapsedColumn

    with bars(TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn()) as shown:
        task = shown.add_task("")

        def report(doing: str, done: int, total: int | None) -> None:
            size = f" {done / MIB:,.0f} MiB" if total is None and done else ""
            shown.tasks[0].total = total  # update() leaves it as it is if there is none
            shown.update(task, description=doing + size, completed=done)

        yield report
