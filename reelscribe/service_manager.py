"""What systemd gets to know of a service: that it is ready, that it stops, and that it still works (``Type=notify``,
``WatchdogSec=``).

Pings come from the event loop: a loop that is blocked sends none, and systemd starts the service again. A process that
systemd has not started sends nothing.
"""

import asyncio
import logging
import os
import socket
from collections.abc import Callable

log = logging.getLogger(__name__)

SOCKET_VARIABLE = "NOTIFY_SOCKET"
PINGS_PER_TIMEOUT = 4
"""systemd asks for two at least; with more, one that comes late does no harm."""


def notify(*lines: str) -> bool:
    """Send assignments such as ``READY=1`` to who started this process; whether that could be done.

    A socket that is gone is no reason to stop serving, so this raises nothing.
    """
    if not (address := os.environ.get(SOCKET_VARIABLE)):
        return False
    if address.startswith("@"):  # an abstract one
        address = "\0" + address[1:]
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sending:
            sending.setblocking(False)  # a reader that has stopped reading must not block the event loop
            sending.sendto("\n".join(lines).encode(), address)
    except OSError as failed:
        log.warning("systemd cannot be notified: %s", failed.strerror)
        return False
    return True


def ping_seconds() -> float | None:
    """Between two pings; None: this process is not asked for any."""
    microseconds, of_process = os.environ.get("WATCHDOG_USEC", ""), os.environ.get("WATCHDOG_PID", "")
    if not microseconds.isdecimal() or not int(microseconds) or of_process not in ("", str(os.getpid())):
        return None
    return int(microseconds) / 1e6 / PINGS_PER_TIMEOUT


async def report(stopping: asyncio.Event, stalled: Callable[[], str | None] = lambda: None) -> None:
    """Say that the service is ready, ping until this is cancelled, and say when it begins to stop.

    Args:
        stopping: set when the service stops. It is pinged for then too: systemd has a timeout of its own for that.
        stalled: what has made no progress for too long, in a sentence; there are no pings meanwhile. None: nothing.
    """
    notify("READY=1")
    seconds, reported, stops = ping_seconds(), None, asyncio.create_task(stopping.wait())
    try:
        while True:
            reason = stalled()
            if reason is None:
                notify("WATCHDOG=1")
            elif reason != reported:
                log.critical("%s; systemd's watchdog gets no more pings, so that it starts a new process", reason)
            reported = reason
            await asyncio.wait([stops], timeout=seconds)
            if stops.done():
                break
        notify("STOPPING=1")
        while seconds:
            notify("WATCHDOG=1")
            await asyncio.sleep(seconds)
    finally:
        stops.cancel()
