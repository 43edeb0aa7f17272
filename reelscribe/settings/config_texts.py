"""What config.cfg says together with ``conf.d/*.cfg`` next to it, and at which line of which file."""

import os
from collections.abc import Iterator
from pathlib import Path

from iniconfig import IniConfig, ParseError

from reelscribe.errors import SettingsError

FURTHER_FILES = "conf.d"


class ConfigTexts:
    """config.cfg and the files of its ``conf.d``, in the order of their names: the last one that has a key decides.

    So an installed config.cfg can stay as it came, and be replaced by that of a newer version.

    Raises:
        SettingsError: one of them cannot be read, or is not of that form.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._files = [_parse(path), *map(_parse, _further(path.absolute().parent / FURTHER_FILES))]

    def values(self) -> Iterator[tuple[str, str, str, Path]]:
        """Section, key, value and the folder that relative paths are relative to; a later one replaces an earlier."""
        for file in self._files:
            folder = Path(file.path).absolute().parent
            for section, keys in file.sections.items():
                for key, value in keys.items():
                    yield section, key, value, folder

    def sections(self) -> set[str]:
        """Those of all files, empty ones too."""
        return {section for file in self._files for section in file.sections}

    def where(self, section: str, key: str) -> str | None:
        """``FILE:LINE`` of the value that counts, else of the section, else None."""
        for names in ((section, key), (section,)):
            for file in reversed(self._files):
                if line := file.lineof(*names):
                    return f"{file.path}:{line}"
        return None


def _further(folder: Path) -> list[Path]:
    try:
        names = os.listdir(folder)
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as unreadable:
        raise SettingsError([f"{folder}: cannot be read: {unreadable.strerror}"]) from None
    return [folder / name for name in sorted(names) if name.endswith(".cfg") and not name.startswith(".")]


def _parse(path: Path) -> IniConfig:
    try:
        return IniConfig.parse(str(path), encoding="utf-8-sig")
    except OSError as unreadable:
        raise SettingsError([f"{path}: cannot be read: {unreadable.strerror}"]) from None
    except UnicodeDecodeError:
        raise SettingsError([f"{path}: is not UTF-8 text"]) from None
    except ParseError as malformed:
        raise SettingsError([f"{malformed.path}:{malformed.lineno + 1}: {malformed.msg}"]) from None
