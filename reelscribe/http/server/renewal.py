"""What a service reads again while it runs: its tokens, its certificate, and what its clients trust and show.

It does so at SIGHUP (of a service that runs at a terminal, that is the signal of a closed one), and by itself some
seconds after a file was changed. A file that is wrong changes nothing: what was read before stays in use, the log has
the reason with the line, and ``/healthz`` says so until it is right.

Requests that have begun end as they would have, on the connections that they have; what is new counts for the next.
"""

import asyncio
import logging
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from reelscribe import service_manager
from reelscribe.errors import SettingsError

log = logging.getLogger(__name__)

LOOK_SECONDS = 2.0
"""Between two looks whether a file was changed. It is read once two looks have found the same: it is complete then."""

_State = tuple[tuple[int, ...] | None, ...]


@dataclass
class _Part:
    """Files that are read together.

    Attributes:
        read: takes what they hold now, or raises ``SettingsError`` and changes nothing.
        is_wrong: whether they could not be used when they were read last.
    """

    what: str
    files: tuple[Path, ...]
    read: Callable[[], None]
    is_wrong: bool = False


class Renewal:
    """Reads files again.

    Args:
        name: of the service.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._parts: list[_Part] = []
        self._read_state: _State = ()

    def add(self, what: str, files: tuple[Path, ...], read: Callable[[], None]) -> None:
        """Read these too.

        Args:
            what: they hold, in the plural, for people.
            files: all that ``read`` reads; if there are none, it is never called.
            read: takes what they hold now, or raises ``SettingsError`` and changes nothing.
        """
        if files:
            self._parts.append(_Part(what, files, read))

    @property
    def problems(self) -> list[str]:
        """What could not be used, in sentences without paths: anyone may read them."""
        return [
            f"the {part.what} cannot be read again, and those from before are used; the log says why"
            for part in self._parts
            if part.is_wrong
        ]

    def reload(self) -> None:
        """Read all files again, and report it to the log and systemd."""
        service_manager.notify("RELOADING=1")
        self._read_all()
        if self._parts:
            read = [part.what for part in self._parts if not part.is_wrong]
            log.info("%s: read again: %s", self._name, ", ".join(read) or "nothing")
        else:
            log.info("%s: there is nothing to read again: no [auth] token_file, and no certificate", self._name)
        service_manager.notify("READY=1", f"STATUS={'; '.join(self.problems)}")

    async def watch(self) -> None:
        """Reload whenever a file was changed, until this is cancelled."""
        before = self._state()
        self._read_all()  # one may have been changed since it was read: a model loads for minutes
        while self._parts:
            await asyncio.sleep(LOOK_SECONDS)
            now = self._state()
            if now == before and now != self._read_state:
                self.reload()
            before = now

    def _read_all(self) -> None:
        self._read_state = self._state()
        for part in self._parts:
            try:
                part.read()
                part.is_wrong = False
            except SettingsError as wrong:
                part.is_wrong = True
                for problem in wrong.problems:
                    log.error("%s: %s; the %s from before stay in use", self._name, problem, part.what)

    def _state(self) -> _State:
        return tuple(_state_of(file) for part in self._parts for file in part.files)


def _state_of(file: Path) -> tuple[int, ...] | None:
    try:
        found = os.stat(file)
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns
