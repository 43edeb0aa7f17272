"""Reverse proxies that sign people in themselves, and say in ``Remote-User`` who it is."""

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Self

from tornado.httputil import HTTPHeaders

from reelscribe.contracts.scopes import Scope, highest
from reelscribe.settings.shared import AuthSection

_MOST_CHARACTERS = 128


class TrustedProxies:
    """The proxies that are believed: those that the connection itself comes from.

    Args:
        networks: of their addresses.
        scope: what those may do whom they name.
    """

    def __init__(self, networks: Iterable[IPv4Network | IPv6Network] = (), scope: Scope = Scope.READ) -> None:
        self.scope = scope
        self._networks = tuple(networks)

    @classmethod
    def of(cls, section: AuthSection) -> Self:
        """Those of config.cfg."""
        return cls(section.trusted_proxies, highest(section.remote_user_scopes))

    def user(self, peer: str | None, headers: HTTPHeaders) -> str | None:
        """Who made a request that came from ``peer``; None unless that is a trusted proxy, and names one person."""
        given = headers.get_list("Remote-User")
        if len(given) != 1 or not self._is_trusted(peer):
            return None
        try:
            name = given[0].encode("latin-1").decode().strip()
        except UnicodeError:
            return None
        return name if name.isprintable() and 0 < len(name) <= _MOST_CHARACTERS else None

    def client(self, peer: str | None, headers: HTTPHeaders) -> str:
        """The address that a request comes from, as far as it is known: that which the last trusted proxy has seen."""
        for hop in (peer or "", *map(str.strip, reversed(headers.get("X-Forwarded-For", "").split(",")))):
            if _address(hop) is None:
                break
            if not self._is_trusted(hop):
                return hop
        return peer or ""

    def _is_trusted(self, ip: str | None) -> bool:
        address = _address(ip or "")
        return address is not None and any(address in network for network in self._networks)


def _address(ip: str) -> IPv4Address | IPv6Address | None:
    try:
        address = ip_address(ip)
    except ValueError:
        return None
    return (address.ipv4_mapped or address) if isinstance(address, IPv6Address) else address
