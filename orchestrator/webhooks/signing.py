"""The signature of a message, as https://www.standardwebhooks.com has it."""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Sequence
from pathlib import Path
from typing import Self

from reelscribe.errors import SettingsError

PREFIX = "whsec_"
FEWEST_BYTES, MOST_BYTES = 24, 64
MOST_SECRETS = 4


class Secrets:
    """What messages are signed with: by each secret, so that receivers can change from one to the next.

    Args:
        keys: the secrets as bytes.
    """

    def __init__(self, keys: Sequence[bytes]) -> None:
        self._keys = tuple(keys)

    @classmethod
    def from_file(cls, path: Path) -> Self:
        """Read one secret per line; empty lines and those that start with ``#`` are skipped.

        Raises:
            SettingsError: the file cannot be read, or holds anything else. No secret is shown.
        """
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except OSError as unreadable:
            raise _mistake(f"{path} cannot be read: {unreadable.strerror}") from None
        except UnicodeDecodeError:
            raise _mistake(f"{path} is not UTF-8 text") from None
        given = [(number, line.strip()) for number, line in enumerate(lines, 1)]
        keys = [_key(f"{path}:{number}", line) for number, line in given if line and not line.startswith("#")]
        if not 0 < len(keys) <= MOST_SECRETS:
            raise _mistake(f"{path} must hold 1 to {MOST_SECRETS} secrets, one per line")
        return cls(keys)

    def headers(self, message_id: str, timestamp: int, body: bytes) -> dict[str, str]:
        """The headers that prove where a message comes from, and that it is of now.

        Args:
            timestamp: of this attempt, in seconds since 1970.
        """
        signed = b".".join((message_id.encode(), str(timestamp).encode(), body))
        signatures = (base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode() for key in self._keys)
        return {
            "webhook-id": message_id,
            "webhook-timestamp": str(timestamp),
            "webhook-signature": " ".join(f"v1,{signature}" for signature in signatures),
        }


def _key(where: str, line: str) -> bytes:
    try:
        key = base64.b64decode(line.removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not line.startswith(PREFIX) or not FEWEST_BYTES <= len(key) <= MOST_BYTES:
        wanted = f"{PREFIX} and {FEWEST_BYTES} to {MOST_BYTES} bytes in Base64"
        raise _mistake(f'{where} is no secret ({wanted}); make one with: echo "{PREFIX}$(openssl rand -base64 32)"')
    return key


def _mistake(sentence: str) -> SettingsError:
    return SettingsError([f"[webhooks] secret_file: {sentence}"])
