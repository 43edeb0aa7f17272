"""URLs as people may see them: in logs, metrics, messages and what ``config`` prints."""

import re

_PASSWORD = re.compile(r"(?<=://)([^/?#@]*?):[^/?#]*@|(?<=[?&]password=)[^&]*|(?<=[?&]sslpassword=)[^&]*")


def without_password(text: str) -> str:
    """The text with ``***`` in place of the passwords of the URL that it is."""
    return _PASSWORD.sub(lambda found: f"{found[1]}:***@" if found[1] is not None else "***", text)
