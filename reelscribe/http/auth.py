"""Bearer tokens that the services share: the first of the file is sent, all are accepted."""

import hmac
import re
from pathlib import Path
from typing import Self

from reelscribe.errors import SettingsError

_TOKEN = re.compile(r"[!-~]{1,512}")


class Tokens:
    """The accepted tokens; if there are none, no token is asked for."""

    def __init__(self, tokens: tuple[str, ...] = ()) -> None:
        self._tokens = tokens

    @classmethod
    def from_file(cls, path: Path | None) -> Self:
        """Read one token per line; empty lines and lines that start with ``#`` are skipped.

        Raises:
            SettingsError: the file cannot be read, holds no token, or holds something that cannot be one.
        """
        if path is None:
            return cls()
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except OSError as unreadable:
            raise SettingsError([f"[auth] token_file: {path} cannot be read: {unreadable.strerror}"]) from None
        except UnicodeDecodeError:
            raise SettingsError([f"[auth] token_file: {path} is not UTF-8 text"]) from None
        numbered = [(number, line.strip()) for number, line in enumerate(lines, 1)]
        given = [(number, line) for number, line in numbered if line and not line.startswith("#")]
        if unfit := [number for number, token in given if not _TOKEN.fullmatch(token)]:
            # The line is not shown: it is a secret.
            wanted = "a token is 1 to 512 ASCII characters without spaces"
            raise SettingsError([f"[auth] token_file: {path}:{number}: {wanted}" for number in unfit])
        tokens = tuple(token for _, token in given)
        if not tokens:
            raise SettingsError([f"[auth] token_file: {path} holds no token; write one per line"])
        return cls(tokens)

    def __bool__(self) -> bool:
        return bool(self._tokens)

    def accept(self, authorization: str | None) -> bool:
        """Whether an ``Authorization`` header has one of the tokens (compared in constant time)."""
        if not self._tokens:
            return True
        scheme, _, given = (authorization or "").partition(" ")
        matches = [hmac.compare_digest(given.strip().encode(), token.encode()) for token in self._tokens]
        return scheme.lower() == "bearer" and any(matches)

    def headers(self) -> dict[str, str]:
        """The headers to send to another service."""
        return {"Authorization": f"Bearer {self._tokens[0]}"} if self._tokens else {}
