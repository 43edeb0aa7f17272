"""The signals that stop a service."""

import signal

STOP_SIGNALS = tuple(
    number
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
    if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN
)
"""SIGHUP comes from a terminal that is closed; nohup has it ignored, and then it stays so."""
