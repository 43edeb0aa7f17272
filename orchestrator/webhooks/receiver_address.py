"""Where a message may be sent: to addresses of the internet, and to hosts that config.cfg names."""

import socket
from collections.abc import Collection

from orchestrator.ingest.child import is_public
from reelscribe.blocking_calls import call_blocking
from reelscribe.errors import PeerRefused, PeerUnreachable

MOST_ADDRESSES = 4
"""Of one host, that are tried one after the other."""


async def addresses(host: str, port: int, allowed: Collection[str]) -> list[str]:
    """The addresses of a host that a message may be sent to: a connection is made to one of these, and the name is not
    looked up again.

    Args:
        allowed: names of hosts whose addresses may be private.

    Raises:
        PeerUnreachable: the name cannot be looked up.
        PeerRefused: all its addresses are private.
    """
    try:
        entries = await call_blocking(lambda: socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
    except (OSError, UnicodeError) as unknown:
        reason = getattr(unknown, "strerror", None) or "it is no name of a host"
        raise PeerUnreachable(f"{host} cannot be looked up: {reason}") from unknown
    found = list(dict.fromkeys(str(entry[4][0]) for entry in entries))
    if host.lower().removesuffix(".") not in allowed:
        private, found = found, [address for address in found if is_public(address)]
        if not found:
            raise PeerRefused(
                f"{host} has a private address ({private[0]}); if messages may go there, add {host} to [webhooks] "
                "allowed_hosts"
            )
    return found[:MOST_ADDRESSES]
