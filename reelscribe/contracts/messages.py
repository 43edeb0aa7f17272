"""What all messages have in common: how strict they are, savepaths, errors and health."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Savepath = Annotated[str, Field(min_length=1, max_length=1024, examples=["youtube/abc123.mp4"])]
MOST_SECONDS = 1e7
SHORTEST_SECONDS = 0.001
"""Of a part that can be asked for: some samples at any sample rate."""

NonNegativeSeconds = Annotated[float, Field(ge=0, le=MOST_SECONDS, allow_inf_nan=False)]


class WireModel(BaseModel):
    """A message: frozen, strictly typed, unknown fields refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, protected_namespaces=(), defer_build=True)


class ReceivedModel(WireModel):
    """A message from another service, which may be newer than this one: unknown fields are ignored."""

    model_config = ConfigDict(extra="ignore")


class ErrorObject(ReceivedModel):
    """A :class:`reelscribe.errors.ServiceError` as JSON; its details are extra fields."""

    model_config = ConfigDict(extra="allow")

    code: str
    message: str
    retryable: bool


class RequestError(ErrorObject):
    """The error object of an answer."""

    request_id: str


class ErrorAnswer(ReceivedModel):
    """The body of every answer that is not a success."""

    error: RequestError


class Health(ReceivedModel):
    """Answer of ``GET /healthz``; each service adds fields of its own.

    Attributes:
        problems: what the service needs and lacks now; it is degraded while there are any.
        warnings: what its operator should know; it does all that it should.
    """

    model_config = ConfigDict(extra="allow")

    machine: str
    status: Literal["ok", "degraded", "stopping", "broken"]
    problems: list[str] = Field(default_factory=list)
    warnings: list[str] = Field(default_factory=list)
