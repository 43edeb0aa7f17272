"""Which certificates the clients of all services trust: those of this system, and the authorities of ``[auth] tls_ca``.

It is one for the process, as OpenSSL's own store is: no client can be made that trusts anything else.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from reelscribe.errors import SettingsError

if TYPE_CHECKING:
    import ssl  # half of all commands have no use for it, and it takes a while

_authorities: Path | None = None


def trust(authorities: Path | None) -> None:
    """From now on, trust these too.

    Args:
        authorities: a PEM file with their certificates.

    Raises:
        SettingsError: it cannot be read, or holds none.
    """
    global _authorities
    if authorities:
        import ssl

        _load(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), authorities)
    _authorities = authorities


def tls_context() -> "ssl.SSLContext":
    """What a client trusts."""
    import ssl

    context = ssl.create_default_context()
    if _authorities:
        _load(context, _authorities)
    return context


def authorities() -> Path | None:
    """The file of ``[auth] tls_ca``, for clients that do not speak Python's TLS."""
    return _authorities


def _load(context: "ssl.SSLContext", path: Path) -> None:
    import ssl

    try:
        context.load_verify_locations(cafile=path)
    except ssl.SSLError:
        raise SettingsError([f"[auth] tls_ca: {path} holds no certificate in PEM format"]) from None
    except OSError as unreadable:
        raise SettingsError([f"[auth] tls_ca: {path} cannot be read: {unreadable.strerror}"]) from None
