"""The signals that stop a program, what they do to one that has nothing to close yet, and when SIGHUP reloads instead.

It is the first that a program imports, and imports as good as nothing.
"""

import os
import signal
from types import FrameType

STOP_SIGNALS = tuple(
    number
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
    if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN
)
"""SIGHUP comes from a terminal that is closed; nohup has it ignored, and then it stays so."""


def _has_terminal() -> bool:
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY))
    except OSError:
        return False
    return True


RELOAD_SIGNALS = () if signal.SIGHUP not in STOP_SIGNALS or _has_terminal() else (signal.SIGHUP,)
"""Where no terminal can be closed, as below systemd, SIGHUP has a service that runs read its tokens and certificates
again; it stops one that runs at a terminal, and every other command."""

INTERRUPTED_EXIT_CODE = 130


def leave_on_signals() -> None:
    """From now on they end the process with that exit code and nothing else, unless who started it has them ignored."""
    for number in STOP_SIGNALS:
        if signal.getsignal(number) in (signal.SIG_DFL, signal.default_int_handler):
            signal.signal(number, _leave)


def raise_on_signals() -> None:
    """From now on they are a ``KeyboardInterrupt`` instead, which closes what is open."""
    for number in STOP_SIGNALS:
        if signal.getsignal(number) is _leave:
            signal.signal(number, signal.default_int_handler)


def ignore_signals() -> None:
    """For the very end: Python gives up its handlers before it has ended, and then they would kill it."""
    for number in STOP_SIGNALS:
        signal.signal(number, signal.SIG_IGN)


def _leave(number: int, frame: FrameType | None) -> None:
    os._exit(INTERRUPTED_EXIT_CODE)
