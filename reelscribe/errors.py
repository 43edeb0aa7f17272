"""Every way a request can fail: its HTTP status, its code on the wire, and whether trying again can help.

The sentence (``message``) is written for the person who made the request: what was wrong, where, what to do.
It never holds a path of the server or a secret; those belong in the log.
"""

from typing import Any


class SettingsError(Exception):
    """config.cfg or the environment is wrong; ``problems`` holds one line for each mistake."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class MachineError(Exception):
    """A failure that a caller may see.

    Args:
        message: one sentence for the caller: what was wrong, where, what to do.
        details: extra JSON-ready fields of the error object (numbers, the allowed values, …).
    """

    status: int = 500
    code: str = "internal_error"
    retryable: bool = False

    def __init__(self, message: str, **details: Any) -> None:
        super().__init__(message)
        self.message = message
        self.details = details

    def as_json(self) -> dict[str, Any]:
        """The ``error`` object of the wire: code, message, retryable, then the details."""
        return {"code": self.code, "message": self.message, "retryable": self.retryable, **self.details}


class BadRequest(MachineError):
    """The body or a parameter does not fit the contract."""

    status, code = 400, "bad_request"


class UnsupportedFormat(MachineError):
    """An audio or transcript format that is not offered; ``allowed`` lists those that are."""

    status, code = 400, "unsupported_format"


class Unauthorized(MachineError):
    """The bearer token is missing or is none of the accepted ones."""

    status, code = 401, "unauthorized"


class RouteNotFound(MachineError):
    """No such URL on this machine."""

    status, code = 404, "route_not_found"


class ObjectNotFound(MachineError):
    """No object of the bucket has this savepath."""

    status, code = 404, "object_not_found"


class ExtractionNotFound(MachineError):
    """No receipt is kept under this extraction id."""

    status, code = 404, "extraction_not_found"


class JobNotFound(MachineError):
    """No job has this id."""

    status, code = 404, "job_not_found"


class TranscriptNotFound(MachineError):
    """No transcript of this savepath is stored."""

    status, code = 404, "transcript_not_found"


class ModelNotFound(MachineError):
    """A speech model of this name is not the one that is loaded."""

    status, code = 404, "model_not_found"


class MethodNotAllowed(MachineError):
    """The URL exists, the HTTP method does not."""

    status, code = 405, "method_not_allowed"


class ModelInUse(MachineError):
    """The speech model cannot be unloaded while requests need it."""

    status, code = 409, "model_in_use"


class BodyTooLarge(MachineError):
    """The request body is over the limit of this machine."""

    status, code = 413, "body_too_large"


class RangeNotSatisfiable(MachineError):
    """The byte range that was asked for lies outside the result."""

    status, code = 416, "range_not_satisfiable"


class NotReadable(MachineError):
    """The object exists, but its bytes cannot be read here (encrypted, compressed, one drive of several, …)."""

    status, code = 422, "not_readable"


class NoAudioTrack(MachineError):
    """The object is a recording without the requested audio track."""

    status, code = 422, "no_audio_track"


class NotDecodable(MachineError):
    """ffmpeg found no audio it can decode in the object."""

    status, code = 422, "not_decodable"


class PastTheEnd(MachineError):
    """The requested ``start`` is at or after the end of the recording."""

    status, code = 422, "past_the_end"


class IncompleteRecording(MachineError):
    """Less audio came out than the container declares: the stored file is cut or its header lies."""

    status, code = 422, "incomplete_recording"


class Busy(MachineError):
    """Every place and the queue are taken; ``retry_after`` is in seconds."""

    status, code, retryable = 503, "busy", True

    def __init__(self, message: str, retry_after: int) -> None:
        super().__init__(message, retry_after=retry_after)


class ModelNotLoaded(MachineError):
    """The speech model was unloaded and cannot be loaded again now; ``retry_after`` is in seconds."""

    status, code, retryable = 503, "model_not_loaded", True

    def __init__(self, message: str, retry_after: int) -> None:
        super().__init__(message, retry_after=retry_after)


class Stopping(MachineError):
    """This machine is shutting down; another one, or the same one later, can do the work."""

    status, code, retryable = 503, "stopping", True


class NoAudioInTime(MachineError):
    """ffmpeg made no byte within ``start_timeout``."""

    status, code, retryable = 504, "no_audio_in_time", True


class NoRoom(MachineError):
    """A disk of this machine is full."""

    status, code, retryable = 507, "no_room", True


class InternalError(MachineError):
    """A fault of ours; the log of this machine has the details under the request id."""

    status, code, retryable = 500, "internal_error", True


class ModelFailed(MachineError):
    """The speech model raised on this audio, or ran out of memory."""

    status, code, retryable = 500, "model_failed", True


class ModelBroken(MachineError):
    """The speech model does not work on any audio any more; this machine ends, and a new process may cure that."""

    status, code, retryable = 503, "model_broken", True


class ModelOutOfMemory(ModelFailed):
    """The speech model did not get the memory it needs."""

    status, code, retryable = 500, "model_out_of_memory", True


class PeerUnreachable(MachineError):
    """The machine this one depends on did not answer."""

    status, code, retryable = 502, "peer_unreachable", True


class PeerRefused(MachineError):
    """The machine this one depends on refused for a reason that a retry does not change."""

    status, code = 502, "peer_refused"


class StreamCut(MachineError):
    """A stream from another machine ended before its end, or did not match its receipt."""

    status, code, retryable = 502, "stream_cut", True


class RemoteError(MachineError):
    """An error that another machine answered, passed on with its own status, code and sentence."""

    def __init__(self, status: int, code: str, message: str, retryable: bool, **details: Any) -> None:
        super().__init__(message, **details)
        self.status, self.code, self.retryable = status, code, retryable
