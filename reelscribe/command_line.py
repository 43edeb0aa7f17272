"""What the commands of all services share: ``--config``, one line for each mistake in the settings, ``check``."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from reelscribe.errors import SettingsError
from reelscribe.program import INTERRUPTED_EXIT_CODE

USAGE_EXIT_CODE = 2


def _here_or_before(context: typer.Context, file: Path | None) -> Path | None:
    """The file that is named after the command, else the one before it."""
    before: Path | None = context.parent.obj if context.parent else None
    context.obj = file or before
    return file or before


ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config",
        metavar="FILE",
        help="Default: $REELSCRIBE_CONFIG, ./config.cfg, ~/.config/reelscribe/config.cfg, /etc/reelscribe/config.cfg.",
        callback=_here_or_before,
    ),
]


def _print_version(wanted: bool) -> None:
    if wanted:
        from reelscribe.version import version

        print(f"reelscribe {version()}")
        raise typer.Exit(0)


VersionOption = Annotated[
    bool,
    typer.Option("--version", help="Print the version and exit.", is_eager=True, callback=_print_version),
]


@contextmanager
def report_settings_errors() -> Iterator[None]:
    """Print each mistake of config.cfg or the environment on its own line and exit with 2; Ctrl-C is a 130."""
    try:
        yield
    except KeyboardInterrupt:
        raise typer.Exit(INTERRUPTED_EXIT_CODE) from None
    except SettingsError as wrong:
        print("\n".join(wrong.problems), file=sys.stderr)
        raise typer.Exit(USAGE_EXIT_CODE) from None


def print_check(subject: str, finding: str | Exception) -> bool:
    """Print one line of ``check``: what was found, or what is wrong. Returns whether all is well."""
    failed = isinstance(finding, Exception)
    mark = typer.style("FAIL" if failed else "ok  ", fg=typer.colors.RED if failed else typer.colors.GREEN)
    typer.echo(f"{mark} {subject}: {finding}")
    return not failed
