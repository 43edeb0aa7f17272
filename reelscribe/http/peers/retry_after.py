"""How long another service asks us to wait."""

from email.utils import parsedate_to_datetime
from time import time

LONGEST_SECONDS = 86400.0


def seconds_to_wait(header: object) -> float | None:
    """What ``Retry-After`` says, in seconds or as a date (RFC 9110, 10.2.3), a day at most; None if it says nothing."""
    if not isinstance(header, str):
        return None
    if header.isascii() and header.strip().isdigit():
        return min(float(header), LONGEST_SECONDS)
    try:
        return min(max(0.0, parsedate_to_datetime(header).timestamp() - time()), LONGEST_SECONDS)
    except (ValueError, OverflowError):
        return None
