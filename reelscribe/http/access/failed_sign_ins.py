"""Limits how often tokens can be guessed in the form for people, in a bounded memory."""

import ipaddress
import math
import time

MOST_FAILURES = 10
"""Of one client, within ``WINDOW_SECONDS`` from its first."""
WINDOW_SECONDS = 600.0
MOST_CLIENTS = 10_000
"""Remembered at a time; beyond them, the one whose window began first is forgotten."""


class FailedSignIns:
    """How often clients have shown a wrong token. A client is an IPv4 address, or the /64 network of an IPv6 address:
    whoever has one of its addresses has them all.
    """

    def __init__(self) -> None:
        self._windows: dict[str, tuple[float, int]] = {}

    def wait_seconds(self, client: str) -> int:
        """For how long the client must not try again; 0 if it may."""
        ends, failures = self._windows.get(_key(client), (0.0, 0))
        return max(0, math.ceil(ends - time.monotonic())) if failures >= MOST_FAILURES else 0

    def note(self, client: str) -> None:
        """The client has shown a wrong token."""
        now, key = time.monotonic(), _key(client)
        ends, failures = self._windows.get(key, (0.0, 0))
        if ends > now:
            self._windows[key] = ends, failures + 1
            return
        self._windows.pop(key, None)
        if len(self._windows) >= MOST_CLIENTS:
            del self._windows[next(iter(self._windows))]
        self._windows[key] = now + WINDOW_SECONDS, 1

    def __len__(self) -> int:
        return len(self._windows)


def _key(client: str) -> str:
    try:
        address = ipaddress.ip_address(client)
    except ValueError:
        return ""
    if isinstance(address, ipaddress.IPv6Address) and not address.ipv4_mapped:
        return str(ipaddress.ip_network((int(address), 64), strict=False))
    return str(getattr(address, "ipv4_mapped", None) or address)
