"""What a message says: that a transcription has ended, and how; never what was said in it."""

import json
from datetime import UTC, datetime
from typing import Any

from orchestrator.jobs.models import State
from orchestrator.transcripts.addresses import recording_path
from reelscribe.contracts.messages import ReceivedModel

PING = "ping"


class EndError(ReceivedModel):
    """Why a transcription has failed."""

    code: str
    message: str


class End(ReceivedModel):
    """How a transcription has ended, as the transaction that ended it has noted.

    Attributes:
        complete: of one that is done: whether it covers all of the recording; if not, ``reason`` says why.
        superseded: a newer version replaces it.
        seconds: of the recording; None if its length is not known.
    """

    job: int
    bucket: str
    savepath: str
    state: State
    complete: bool | None
    reason: str | None
    superseded: bool
    language: str | None
    seconds: float | None
    error: EndError | None


def body_of(event: str, at: datetime, data: dict[str, Any], public_url: str | None, default_bucket: str) -> bytes:
    """The body: the same bytes in each attempt.

    Args:
        public_url: of the orchestrator, for links; None: they have no host.
    """
    end = End.model_validate(data)
    before = public_url or ""
    bucket = None if end.bucket == default_bucket else end.bucket
    transcript = recording_path(f"{before}/api/transcripts/", end.savepath, bucket_name=bucket)
    links = {
        "url": f"{before}/api/jobs/{end.job}",
        "transcript_url": transcript if end.state == "done" else None,
    }
    return _body(event, at, {**end.model_dump(), **links})


def ping_body() -> bytes:
    """The body of a message that only proves that it arrives."""
    return _body(PING, datetime.now(UTC), {})


def _body(event: str, at: datetime, data: dict[str, Any]) -> bytes:
    message = {"type": event, "timestamp": at.astimezone(UTC).isoformat(), "data": data}
    return json.dumps(message, ensure_ascii=False, separators=(",", ":")).encode()
