"""What the commands of all services share: ``--config``, one line for each mistake in the settings, ``check``."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer
from typer.core import TyperCommand

from reelscribe.errors import SettingsError
from reelscribe.stop_signals import INTERRUPTED_EXIT_CODE

USAGE_EXIT_CODE = 2

Function = TypeVar("Function", bound=Callable[..., Any])


class PlainCommand(TyperCommand):
    """A command whose help and errors hold no words of Python: typer shows ``<list[str]>`` and pydantic's sentences."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        for parameter in self.params:
            limits = getattr(parameter, "min", None), getattr(parameter, "max", None)
            setattr(parameter, "_get_number_range_help_str", lambda limits=limits: _range(*limits))  # noqa: B010
            described = getattr(parameter, "type_descriptor", None)
            if described is None or described.is_choice or getattr(parameter, "is_flag", False):
                continue
            if parameter.param_type_name == "argument":
                setattr(parameter, "display_type_rich", lambda ctx: "")  # noqa: B010
                if getattr(parameter, "required", False):
                    shown = str(parameter.metavar) + ("..." if parameter.nargs != 1 else "")
                    setattr(parameter, "_usage_display_name", lambda shown=shown: shown)  # noqa: B010
            elif parameter.metavar is None:
                parameter.metavar = str(parameter.name).upper()

    def get_short_help_str(self, limit: int = 45) -> str:
        """In the list of commands: a whole sentence, however long it is."""
        return super().get_short_help_str(1000)

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        try:
            return super().parse_args(ctx, args)
        except typer.BadParameter as wrong:
            from pydantic import ValidationError

            from reelscribe.mistakes import sentence

            if isinstance(wrong.__cause__, ValidationError):
                wrong.message = sentence(wrong.__cause__)
            raise


def _range(least: float | None, most: float | None) -> str | None:
    if least is not None and most is not None:
        return f"{least:,} to {most:,}"
    if least is not None:
        return f"at least {least:,}"
    return None if most is None else f"at most {most:,}"


class CommandLine(typer.Typer):
    """A command line of such commands."""

    def command(self, name: str | None = None, **options: Any) -> Callable[[Function], Function]:
        return super().command(name, **{"cls": PlainCommand, **options})


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
