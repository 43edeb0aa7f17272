"""How a page writes lengths and numbers; ``static/format.js`` writes them alike in the browser."""

from datetime import UTC, datetime


def clock(seconds: float) -> str:
    """A position or length in a recording: ``0:07``, ``12:34``, ``1:02:03``."""
    minutes, rest = divmod(max(0, int(seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def duration(seconds: float) -> str:
    """How long something takes or is ago: ``40 s``, ``12 min``, ``3.5 h``, ``12 d``."""
    if seconds < 60:
        return f"{max(0, _rounded(seconds))} s"
    if seconds < 3600:
        return f"{_rounded(seconds / 60)} min"
    return f"{decimal(seconds / 3600)} h" if seconds < 172800 else f"{count(_rounded(seconds / 86400))} d"


def count(number: int) -> str:
    """``1,234``."""
    return f"{number:,}"


def decimal(number: float) -> str:
    """With one digit after the point, unless that is zero: ``3.5``, ``12``."""
    return f"{_rounded(number * 10) / 10:,.1f}".removesuffix(".0")


def universal_time(when: datetime) -> str:
    """A time for readers without scripts, whose zone is not known."""
    return f"{when.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def _rounded(number: float) -> int:
    return int(number + 0.5)  # as JavaScript rounds what is not negative
