"""Which web pages may call a service that asks for no token.

A browser lets the page of any site send requests to whatever its user can reach. Such a request names the page in
``Origin`` (RFC 6454, section 7). A site can also have its own name lead to an address of the user's network (DNS
rebinding); then the page is of the same origin as the service, and the request names the site in ``Host``. Names that
no site can own are safe there: IP addresses, ``localhost``, and names without a dot, which public DNS does not have.
"""

import ipaddress
import re
import socket
from threading import Thread
from typing import Self
from urllib.parse import urlsplit

from reelscribe.errors import HostNotAllowed, OriginNotAllowed
from reelscribe.settings.shared import Listener

_SHOWN_CHARACTERS = 200


class AllowedHosts:
    """The names under which a service may be called, and the hosts whose pages may call it.

    Args:
        section: of config.cfg, for the sentence of a refusal.
        host: that the service listens on.
        named: the setting ``allowed_hosts``.
    """

    def __init__(self, section: str = "server", host: str = "localhost", named: tuple[str, ...] = ()) -> None:
        self._setting = f"allowed_hosts in [{section}] of this service's config.cfg"
        self._named = frozenset(named)
        self._own = {host.lower(), socket.gethostname().lower()}

    @classmethod
    def of(cls, section: str, listener: Listener) -> Self:
        """Those of one service's section of config.cfg."""
        public = (_name_in(urlsplit(listener.public_url).netloc),) if listener.public_url else ()
        return cls(section, listener.host, (*listener.allowed_hosts, *public))

    def add_own_full_name(self) -> None:
        """Allow this host's name with its domain too, as soon as DNS has answered."""
        Thread(target=self._add_own_full_name, daemon=True).start()

    def _add_own_full_name(self) -> None:
        try:
            [(*_, name, _), *_] = socket.getaddrinfo(socket.gethostname(), None, flags=socket.AI_CANONNAME)
        except OSError:
            return
        self._own.add(name.lower())

    def check(self, host: str | None, origin: str | None) -> None:
        """Refuse a request with these headers if a page of another site may have made it.

        Raises:
            HostNotAllowed: the service is called by a name that may be another site's.
            OriginNotAllowed: it comes from a page of another origin.
        """
        if host and not self._is_ours(name := _name_in(host)):
            raise HostNotAllowed(
                f"this service does not know {name[:_SHOWN_CHARACTERS]!r} as its name; add the name to {self._setting},"
                " or set [auth] token_file"
            )
        if origin and not self.is_page_of(origin, host):
            raise OriginNotAllowed(
                f"pages of {origin[:_SHOWN_CHARACTERS]!r} may not use this service; if they should, add their host to"
                f" {self._setting}"
            )

    def is_page_of(self, origin: str | None, host: str | None) -> bool:
        """Whether ``Origin`` names a page of the service that is called by ``Host``, or of a host that is named."""
        return bool(origin) and self._is_allowed(str(origin).lower(), host or "")

    def _is_ours(self, name: str) -> bool:
        return "." not in name or name.endswith(".localhost") or name in self._own | self._named or _is_address(name)

    def _is_allowed(self, origin: str, host: str) -> bool:
        _, separator, authority = origin.partition("://")  # "null" is the origin of files and of sandboxed pages
        return bool(separator) and (authority == host.lower() or _name_in(authority) in self._named)


def _name_in(authority: str) -> str:
    """The host of ``host:port``, without brackets and the dot of a complete name."""
    return re.sub(r":\d*$", "", authority).strip("[]").removesuffix(".").lower()


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
