"""The certificate of a service."""

import ssl

from reelscribe.errors import SettingsError
from reelscribe.settings.shared import Listener


def server_context(listener: Listener) -> ssl.SSLContext | None:
    """What TLS needs; None: the service speaks plain HTTP.

    Raises:
        SettingsError: the certificate or its key cannot be used.
    """
    if not listener.tls_cert:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(listener.tls_cert, listener.tls_key, password=_no_passphrase)
    except OSError as unusable:
        files = f"tls_cert {listener.tls_cert}, tls_key {listener.tls_key or listener.tls_cert}"
        raise SettingsError([f"{files}: cannot be used: {unusable.strerror or unusable}"]) from None
    return context


def _no_passphrase() -> str:
    raise ssl.SSLError("the key is encrypted, and a service cannot ask for its passphrase")
