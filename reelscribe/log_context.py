"""What a task is about, such as a request or a job: noted once, and then part of every line that it logs.

Tasks and threads that a task starts with ``asyncio`` note the same.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from types import MappingProxyType
from typing import TypeVar

Request = TypeVar("Request")
Fact = str | int
"""A number or a name; never a secret, for all of them are logged."""

_NOTHING: Mapping[str, Fact] = MappingProxyType({})
_NOTED: ContextVar[Mapping[str, Fact]] = ContextVar("noted", default=_NOTHING)

REQUEST_ID, SAVEPATH = "request_id", "savepath"


def noted() -> Mapping[str, Fact]:
    """What this task is about, in the order in which it was noted."""
    return _NOTED.get()


def note(**facts: Fact) -> None:
    """Add this until the task ends."""
    _NOTED.set({**noted(), **facts})


def noting_savepath(request: Request) -> Request:
    """The same; what this task logs until it ends names the recording that is asked for, if one is."""
    if isinstance(savepath := getattr(request, SAVEPATH, None), str):
        note(savepath=savepath)
    return request


@contextmanager
def noting(**facts: Fact) -> Iterator[None]:
    """Add this during the block."""
    before = _NOTED.set({**noted(), **facts})
    try:
        yield
    finally:
        _NOTED.reset(before)
