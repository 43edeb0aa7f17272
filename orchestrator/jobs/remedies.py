"""What can be done about a job that failed, by the code of its error. No retry is offered that must fail."""

from enum import Enum


class Remedy(Enum):
    """What helps."""

    RETRY = "retry"
    """Another try may succeed, or will once its cause is corrected."""
    ALLOW_INCOMPLETE = "allow_incomplete"
    """The recording is cut: what there is of it can be transcribed."""
    REPLACE = "replace"
    """The recording, its savepath or the options are wrong: the same request fails again."""


_CUT = frozenset({"incomplete_recording"})
_WRONG = frozenset(
    {
        *("bad_request", "unsupported_format", "object_not_found", "not_readable", "no_audio_track", "not_decodable"),
        *("past_the_end", "body_too_large"),
    }
)


def remedy(code: str) -> Remedy:
    """What helps against an error."""
    if code in _CUT:
        return Remedy.ALLOW_INCOMPLETE
    return Remedy.REPLACE if code in _WRONG else Remedy.RETRY
