"""Which config.cfg is read, and the line that says so."""

import os
import sys
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path
from stat import S_ISREG

CONFIG_VARIABLE = "REELSCRIBE_CONFIG"
NAME = "config.cfg"
SHIPPED_AT_ROOT = Path(__file__).parents[2] / NAME


def searched() -> tuple[Path, ...]:
    """Where a file is looked for, if neither ``--config`` nor the environment names one."""
    of_user = Path(os.environ.get("XDG_CONFIG_HOME") or Path("~/.config").expanduser())
    return Path(NAME), of_user / "reelscribe" / NAME, Path("/etc/reelscribe") / NAME


def find_config(named: Path | None = None, *, only_readable: bool = False) -> Path | None:
    """The file to read: ``named`` by ``--config``, else by ``REELSCRIBE_CONFIG`` (empty: none), else the first of
    :func:`searched` that exists.

    Args:
        only_readable: those of them that are closed to this user are not meant for it. Else they are returned too: the
            defaults would be other settings than those of this host, and reading it says what is wrong.
    """
    if named is not None:
        return named
    if (by_environment := os.environ.get(CONFIG_VARIABLE)) is not None:
        return Path(by_environment) if by_environment else None
    return next((place for place in searched() if _exists(place, only_readable)), None)


def _exists(place: Path, only_readable: bool) -> bool:
    try:
        may_read = not only_readable or os.access(place, os.R_OK, effective_ids=True)
        return may_read and S_ISREG(place.stat().st_mode)
    except PermissionError:  # its folder is closed; the current one is where this user happens to be
        return place.is_absolute() and not only_readable
    except OSError:
        return False


def choose_config(named: Path | None) -> Path | None:
    """The file to read, and one line on standard error that says which, unless ``--config`` did.

    That none was found is always said, for then all of the user's settings are missing; which one was found only on a
    terminal, for it would be in every mail of a script that runs by the clock.
    """
    found = find_config(named)
    if named is not None or os.environ.get(CONFIG_VARIABLE) == "":
        return found
    if found is None:
        places = ", ".join(str(place.absolute()) for place in searched())
        print(f"no config.cfg was found, so the defaults apply; searched: {places}; see --config", file=sys.stderr)
    elif sys.stderr.isatty():
        print(f"config: {found.absolute()}", file=sys.stderr)
    return found


def shipped_config() -> Path:
    """The commented file with all defaults: in an installed wheel, or at the root of the project."""
    try:
        installed = [file for file in files("reelscribe") or () if file.name == NAME]
    except PackageNotFoundError:
        installed = []
    return next((path for file in installed if (path := Path(str(file.locate()))).is_file()), SHIPPED_AT_ROOT)
