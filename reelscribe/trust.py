"""Which certificates the clients of all services trust: those of this system, and the authorities of ``[auth] tls_ca``;
and the certificate by which a service shows other machines who it is.

They are one for the process, as OpenSSL's own store is: no client can be made that trusts anything else. What a client
holds follows them: each of its new connections is made with what has been read last.
"""

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from reelscribe.errors import SettingsError

if TYPE_CHECKING:
    import ssl  # half of all commands have no use for it, and it takes a while


class Trust(NamedTuple):
    """Files in PEM format.

    Attributes:
        authorities: certificates to trust too.
        certificate: of this process, for other machines of ours that ask for one, with its chain.
        key: of that certificate; None: it is in the same file.
    """

    authorities: Path | None = None
    certificate: Path | None = None
    key: Path | None = None


_trust = Trust()
_contexts: "dict[bool, ssl.SSLContext]" = {}
"""By whether the certificate is shown."""


def trust(files: Trust) -> None:
    """From now on, this is what clients trust and show.

    Raises:
        SettingsError: a file cannot be read, or holds something else.
    """
    global _trust
    if any(files):
        import ssl

        _load(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), files, shows=True)
    renewed = {shows: _made(files, shows) for shows in _contexts}
    _trust = files
    _contexts.update(renewed)


def read_again() -> None:
    """Take what the files hold now, for new connections.

    Raises:
        SettingsError: see :func:`trust`; then it stays as it was.
    """
    trust(_trust)


def tls_context(*, shows_certificate: bool = False) -> "ssl.SSLContext":
    """What a client trusts. What this system trusts is read when a connection needs it: over plain HTTP, none does.

    Args:
        shows_certificate: of this process, to a server that asks for it; only for other machines of ours.
    """
    from reelscribe.following_context import FollowingContext

    if any(_trust):  # their faults are those of the settings, and no connection's
        current_context(shows_certificate)
    return FollowingContext(lambda: current_context(shows_certificate))


def current_context(shows_certificate: bool) -> "ssl.SSLContext":
    """What :func:`tls_context` follows, as it is now."""
    if shows_certificate not in _contexts:
        _contexts[shows_certificate] = _made(_trust, shows_certificate)
    return _contexts[shows_certificate]


def unverified_context() -> "ssl.SSLContext":
    """For a service that is known to be ours whatever its certificate says; it is shown that of this process."""
    import ssl

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    _load(context, _trust, shows=True)
    return context


def authorities() -> Path | None:
    """The file of ``[auth] tls_ca``, for clients that do not speak Python's TLS."""
    return _trust.authorities


def files() -> tuple[Path, ...]:
    """All of them that are set."""
    return tuple(filter(None, _trust))


def load_certificate(context: "ssl.SSLContext", certificate: Path, key: Path | None, keys: str) -> None:
    """Have a context show a certificate.

    Args:
        keys: of the settings that name the files, without and with ``_cert``: ``tls`` is ``tls_cert`` and ``tls_key``.

    Raises:
        SettingsError: the files cannot be used.
    """
    try:
        context.load_cert_chain(certificate, key, password=_no_passphrase)
    except OSError as unusable:
        named = f"{keys}_cert {certificate}, {keys}_key {key or certificate}"
        raise SettingsError([f"{named}: cannot be used: {unusable.strerror or unusable}"]) from None


def load_authorities(context: "ssl.SSLContext", path: Path, key: str) -> None:
    """Have a context trust the authorities of a file, which the setting ``key`` names.

    Raises:
        SettingsError: it cannot be read, or holds none.
    """
    import ssl

    try:
        context.load_verify_locations(cafile=path)
    except ssl.SSLError:
        raise SettingsError([f"{key}: {path} holds no certificate in PEM format"]) from None
    except OSError as unreadable:
        raise SettingsError([f"{key}: {path} cannot be read: {unreadable.strerror}"]) from None


def _made(files: Trust, shows: bool) -> "ssl.SSLContext":
    import ssl

    context = ssl.create_default_context()
    _load(context, files, shows)
    return context


def _load(context: "ssl.SSLContext", files: Trust, shows: bool) -> None:
    if files.authorities:
        load_authorities(context, files.authorities, "[auth] tls_ca")
    if files.certificate and shows:
        load_certificate(context, files.certificate, files.key, "[auth] tls_client")


def _no_passphrase() -> str:
    import ssl

    raise ssl.SSLError("the key is encrypted, and a service cannot ask for its passphrase")
