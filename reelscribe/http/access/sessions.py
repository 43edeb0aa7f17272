"""The cookie of who has signed in with a token: when it ends, signed with that token.

Nothing is stored. A session ends with its time, or when its token is removed from the token file; what the token may do
is looked up in the file at each request.
"""

import hashlib
import hmac
import re
import time

from reelscribe.http.access.tokens import Token, Tokens

COOKIE = "reelscribe_session"
SECONDS = 30 * 86400


def new_session(token: Token) -> str:
    """The value of the cookie for someone who has shown this token."""
    ends = int(time.time()) + SECONDS
    return f"{ends}.{_signature(token, ends)}"


def token_of_session(tokens: Tokens, cookie: str) -> Token | None:
    """The token that a cookie was made for, while it lasts."""
    parts = re.fullmatch(r"([0-9]{1,12})\.([0-9a-f]{64})", cookie)
    if not parts or int(parts[1]) <= time.time():
        return None
    ends, signature = int(parts[1]), parts[2]
    found = [token for token in tokens.all if hmac.compare_digest(signature, _signature(token, ends))]
    return found[0] if found else None


def _signature(token: Token, ends: int) -> str:
    return hmac.new(token.secret.encode(), f"reelscribe session until {ends}".encode(), hashlib.sha256).hexdigest()
