"""Bearer tokens that the services share: the first of the file is sent, all are accepted for what their scopes are."""

import hmac
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from reelscribe.contracts.scopes import Scope, highest
from reelscribe.errors import SettingsError

_TOKEN = re.compile(r"[!-~]{1,512}")
_NAME = re.compile(r"[\w.@-]{1,64}")


@dataclass(frozen=True)
class Token:
    """One line of the token file.

    Attributes:
        secret: never shown.
        name: whose it is, for people.
    """

    secret: str = field(repr=False)
    name: str
    scope: Scope = Scope.ADMIN


class Tokens:
    """The accepted tokens; if there are none, no token is asked for.

    Args:
        given: tokens, or only the secrets of some that may do everything.
        file: that they come from.

    Attributes:
        all: as they are now; whoever keeps one of them, or its header, does not notice that it was replaced.
    """

    def __init__(self, given: Iterable[Token | str] = (), file: Path | None = None) -> None:
        self.file = file
        self.all = tuple(
            token if isinstance(token, Token) else Token(token, f"token-{number}")
            for number, token in enumerate(given, 1)
        )

    @classmethod
    def from_file(cls, path: Path | None) -> Self:
        """Read one token per line, with its name and scopes; empty lines and those that start with ``#`` are skipped.

        Raises:
            SettingsError: the file cannot be read, holds no token, or holds something that cannot be one.
        """
        return cls(_read(path) if path else (), path)

    def read_again(self) -> None:
        """From now on, those that the file holds now.

        Raises:
            SettingsError: see :meth:`from_file`; then they stay as they are.
        """
        if self.file:
            self.all = tuple(_read(self.file))

    def __bool__(self) -> bool:
        return bool(self.all)

    def find(self, secret: str) -> Token | None:
        """The token with this secret (compared in constant time)."""
        found = [token for token in self.all if hmac.compare_digest(secret.encode(), token.secret.encode())]
        return found[0] if found else None

    def of_header(self, authorization: str | None) -> Token | None:
        """The token of an ``Authorization`` header."""
        scheme, _, given = (authorization or "").partition(" ")
        return self.find(given.strip()) if scheme.lower() == "bearer" else None

    def headers(self) -> dict[str, str]:
        """The headers to send to another service."""
        return {"Authorization": f"Bearer {self.all[0].secret}"} if self.all else {}


def _read(path: Path) -> list[Token]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as unreadable:
        raise SettingsError([f"[auth] token_file: {path} cannot be read: {unreadable.strerror}"]) from None
    except UnicodeDecodeError:
        raise SettingsError([f"[auth] token_file: {path} is not UTF-8 text"]) from None
    reading = _Reading()
    for number, line in enumerate(map(str.strip, lines), 1):
        if line and not line.startswith("#"):
            reading.take(number, line.split())
    if reading.mistakes:
        raise SettingsError([f"[auth] token_file: {path}:{number}: {mistake}" for number, mistake in reading.mistakes])
    if not reading.tokens:
        raise SettingsError([f"[auth] token_file: {path} holds no token; write one per line"])
    return reading.tokens


class _Reading:
    """What the lines of a token file hold, and what is wrong with them, by line. No secret is shown, nor what may be
    a part of one: a line that is not as it should be may be a passphrase.
    """

    def __init__(self) -> None:
        self.tokens: list[Token] = []
        self.mistakes: list[tuple[int, str]] = []
        self._lines_of_secrets: dict[str, int] = {}
        self._lines_of_names: dict[str, int] = {}

    def take(self, number: int, words: list[str]) -> None:
        """Read the words of one line."""
        try:
            self._take(number, words)
        except ValueError as mistake:
            self.mistakes.append((number, str(mistake)))

    def _take(self, number: int, words: list[str]) -> None:
        if len(words) > 3:
            raise ValueError("a line is TOKEN, TOKEN NAME or TOKEN NAME SCOPE,SCOPE")
        secret, name, scopes = (*words, "", "")[:3]
        if not _TOKEN.fullmatch(secret):
            raise ValueError("a token is 1 to 512 ASCII characters without spaces")
        if name and not _NAME.fullmatch(name):
            raise ValueError("a name is 1 to 64 letters, digits, '.', '_', '@' or '-'")
        if not name and secret in self._lines_of_secrets:
            return  # said twice
        scope = _scope(scopes)
        if not self.tokens and not scope.includes(Scope.SUBMIT):
            raise ValueError("the first token is the one that the services send each other; it must have submit")
        name = name or f"token-{len(self.tokens) + 1}"
        for lines, value, what in ((self._lines_of_secrets, secret, "token"), (self._lines_of_names, name, "name")):
            if (earlier := lines.setdefault(value, number)) != number:
                raise ValueError(f"this {what} is that of line {earlier} too")
        self.tokens.append(Token(secret, name, scope))


def _scope(words: str) -> Scope:
    if not words:
        return Scope.ADMIN
    try:
        return highest(tuple(Scope(word) for word in words.split(",")))
    except ValueError:
        raise ValueError(f"the third word names scopes, with commas between them: {', '.join(Scope)}") from None
