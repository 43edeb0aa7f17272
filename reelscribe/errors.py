"""Every way a request can fail: its HTTP status, its code on the wire, and whether trying again can help.

The sentence (``message``) is written for the person who made the request: what was wrong, where, what to do.
It never holds a path of the host or a secret; those belong in the log.
"""

from typing import Any


class SettingsError(Exception):
    """config.cfg or the environment is wrong; ``problems`` holds one line for each mistake."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class ServiceError(Exception):
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


class BadRequest(ServiceError):
    """The body or a parameter does not fit the contract."""

    status, code = 400, "bad_request"


class UnsupportedFormat(ServiceError):
    """The audio or transcript format is not offered; ``allowed`` lists those that are."""

    status, code = 400, "unsupported_format"


class Unauthorized(ServiceError):
    """The bearer token is missing or not accepted."""

    status, code = 401, "unauthorized"


class HostNotAllowed(ServiceError):
    """The name in ``Host`` may be that of another site; ``allowed_hosts`` allows it."""

    status, code = 403, "host_not_allowed"


class OriginNotAllowed(ServiceError):
    """The request comes from a web page of another site; ``allowed_hosts`` allows its host."""

    status, code = 403, "origin_not_allowed"


class ScopeMissing(ServiceError):
    """The caller's token, or what a proxy's users may do, does not include the ``scope`` of this operation."""

    status, code = 403, "scope_missing"


class RouteNotFound(ServiceError):
    """This service has no such URL."""

    status, code = 404, "route_not_found"


class ObjectNotFound(ServiceError):
    """No object of the bucket has this savepath."""

    status, code = 404, "object_not_found"


class ExtractionNotFound(ServiceError):
    """No receipt is kept under this extraction id."""

    status, code = 404, "extraction_not_found"


class JobNotFound(ServiceError):
    """No job has this id."""

    status, code = 404, "job_not_found"


class TranscriptNotFound(ServiceError):
    """No transcript of this savepath is stored."""

    status, code = 404, "transcript_not_found"


class ModelNotFound(ServiceError):
    """The speech model that is loaded has another name."""

    status, code = 404, "model_not_found"


class MethodNotAllowed(ServiceError):
    """The URL exists, the HTTP method does not."""

    status, code = 405, "method_not_allowed"


class ModelInUse(ServiceError):
    """The speech model cannot be unloaded while requests need it."""

    status, code = 409, "model_in_use"


class BodyTooLarge(ServiceError):
    """The request body is larger than this service accepts."""

    status, code = 413, "body_too_large"


class UnsupportedMediaType(ServiceError):
    """The body is not declared as ``Content-Type: application/json``."""

    status, code = 415, "unsupported_media_type"


class RangeNotSatisfiable(ServiceError):
    """The requested byte range lies outside the result."""

    status, code = 416, "range_not_satisfiable"


class NotReadable(ServiceError):
    """The object exists, but its bytes cannot be read here (encrypted, compressed, one drive of several, …)."""

    status, code = 422, "not_readable"


class NoAudioTrack(ServiceError):
    """The object is a recording without the requested audio track, or channel of it."""

    status, code = 422, "no_audio_track"


class NoVideoTrack(ServiceError):
    """The object is a recording without a picture, or without the requested picture stream."""

    status, code = 422, "no_video_track"


class NotDecodable(ServiceError):
    """ffmpeg found no audio, or no pictures, that it can decode in the object."""

    status, code = 422, "not_decodable"


class PastTheEnd(ServiceError):
    """The requested ``start`` is at or after the end of the recording."""

    status, code = 422, "past_the_end"


class IncompleteRecording(ServiceError):
    """Less audio was delivered than the container declares: the stored file is cut or its header is wrong."""

    status, code = 422, "incomplete_recording"


class TooLarge(ServiceError):
    """The result does not fit into the size that was asked for; ``smallest`` is what was reached, in bytes."""

    status, code = 422, "too_large"


class TooManySignIns(ServiceError):
    """This client has shown too many wrong tokens; ``retry_after`` is in seconds."""

    status, code = 429, "too_many_sign_ins"

    def __init__(self, message: str, retry_after: int) -> None:
        super().__init__(message, retry_after=retry_after)


class HeadersTooLarge(ServiceError):
    """The request line and the headers are larger than any service accepts."""

    status, code = 431, "headers_too_large"


class Busy(ServiceError):
    """All slots are in use and the queue is full; ``retry_after`` is in seconds."""

    status, code, retryable = 503, "busy", True

    def __init__(self, message: str, retry_after: int) -> None:
        super().__init__(message, retry_after=retry_after)


class BucketUnavailable(ServiceError):
    """The bucket is not mounted, has another name, or may not be read: that says nothing about its objects."""

    status, code, retryable = 503, "bucket_unavailable", True


class ModelNotLoaded(ServiceError):
    """The speech model was unloaded and cannot be loaded again now; ``retry_after`` is in seconds."""

    status, code, retryable = 503, "model_not_loaded", True

    def __init__(self, message: str, retry_after: int) -> None:
        super().__init__(message, retry_after=retry_after)


class Stopping(ServiceError):
    """This service is shutting down; another one, or this one later, can do the work."""

    status, code, retryable = 503, "stopping", True


class NoAudioInTime(ServiceError):
    """ffmpeg made no byte within ``start_timeout``."""

    status, code, retryable = 504, "no_audio_in_time", True


class NoRoom(ServiceError):
    """A disk of this service is full."""

    status, code, retryable = 507, "no_room", True


class InternalError(ServiceError):
    """A fault of ours; the log of this service has the details under the request id."""

    status, code, retryable = 500, "internal_error", True


class ModelFailed(ServiceError):
    """The speech model raised on this audio, or ran out of memory."""

    status, code, retryable = 500, "model_failed", True


class ModelBroken(ServiceError):
    """The speech model no longer works on any audio; this service ends, because a new process may fix that."""

    status, code, retryable = 503, "model_broken", True


class ModelOutOfMemory(ModelFailed):
    """The speech model did not get the memory it needs."""

    status, code, retryable = 500, "model_out_of_memory", True


class PeerUnreachable(ServiceError):
    """The service that this one depends on did not answer."""

    status, code, retryable = 502, "peer_unreachable", True


class PeerRefused(ServiceError):
    """The service that this one depends on refused, for a reason that a retry does not change."""

    status, code = 502, "peer_refused"


class StreamCut(ServiceError):
    """A stream from another service broke off, or did not match its receipt."""

    status, code, retryable = 502, "stream_cut", True


class RemoteError(ServiceError):
    """An error that another service answered, passed on with its own status, code and sentence."""

    def __init__(self, status: int, code: str, message: str, retryable: bool, **details: Any) -> None:
        super().__init__(message, **details)
        self.status, self.code, self.retryable = status, code, retryable


_STATUSES = {
    kind.code: kind.status
    for kind in tuple(globals().values())
    if isinstance(kind, type) and issubclass(kind, ServiceError) and kind is not RemoteError
}


def late_error(code: str, message: str, retryable: bool, **details: Any) -> RemoteError:
    """An error that another service could report only after its answer had begun, with the status that it would have
    had before; 502 if this version does not know the code.
    """
    return RemoteError(_STATUSES.get(code, 502), code, message, retryable, **details)
