"""What a service reports of itself for ``orchestrator doctor``: findings, each with what fixes it."""

from typing import Literal, Self

from reelscribe.contracts.messages import ReceivedModel
from reelscribe.contracts.scopes import Scope

Level = Literal["ok", "warning", "fault"]


class Finding(ReceivedModel):
    """One thing that was looked at.

    Attributes:
        subject: what it is, such as ``ffmpeg``.
        level: ``fault``: something does not work, or soon will not; ``warning``: it works, but not as it should.
        message: what was found, without secrets.
        fix: what an operator does about it; empty if nothing is to be done.
    """

    subject: str
    level: Level
    message: str
    fix: str = ""

    @classmethod
    def ok(cls, subject: str, message: str) -> Self:
        """All is well."""
        return cls(subject=subject, level="ok", message=message)

    @classmethod
    def warning(cls, subject: str, message: str, fix: str) -> Self:
        """It works, but not as it should."""
        return cls(subject=subject, level="warning", message=message, fix=fix)

    @classmethod
    def fault(cls, subject: str, message: str, fix: str) -> Self:
        """It does not work, or soon will not."""
        return cls(subject=subject, level="fault", message=message, fix=fix)


class Diagnosis(ReceivedModel):
    """Answer of ``GET /diagnosis``.

    Attributes:
        service: its name.
        version: of Reelscribe.
        time: of its clock, in seconds since 1970.
        caller: name of the token that asks; ``anonymous`` if no token is asked for.
        scope: what that token may do.
    """

    service: str
    version: str
    time: float
    caller: str
    scope: Scope
    findings: list[Finding]
