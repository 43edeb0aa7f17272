"""The picture stream of a recording, for the programs that decode it; it imports nothing of ours but its neighbours."""

import json
import os
import struct
import sys
from fractions import Fraction
from typing import Any

LENGTHS = struct.Struct(">II")
MOST_THREADS = 4
"""Of a decoder: each holds some pictures of its own, 6 MB of 1080p."""

MOST_PICTURE_BYTES = 1 << 28
"""Of an encoded picture."""

USUAL_RATE = 25
RESTART_SECONDS = 1
"""Timestamps that fall back further than this are those of another clock."""

WITHOUT_PTS = ("avi",)
"""Containers that hold when a picture is decoded, not when it is shown; libav's guesses are wrong for H.264."""


class Failed(Exception):
    """Why there are no pictures: ``reason`` is one of a few words, ``details`` are what goes into its sentence."""

    def __init__(self, reason: str, *details: Any) -> None:
        super().__init__(reason)
        self.reason, self.details = reason, details


def send(event: str, picture: bytes = b"", **fields: Any) -> None:
    """Write one record."""
    described = json.dumps({"event": event, **fields}).encode()
    sys.stdout.buffer.write(LENGTHS.pack(len(described), len(picture)) + described)
    sys.stdout.buffer.write(picture)
    sys.stdout.buffer.flush()


def opened(av: Any, task: dict[str, Any]) -> Any:
    """The container."""
    errors = {"metadata_errors": "surrogateescape"} if int(av.__version__.split(".")[0]) < 19 else {}
    try:
        return av.open(task["url"], format=task["demuxer"], container_options=task["options"], **errors)
    except av.error.FFmpegError as failure:
        raise Failed("unreadable", str(failure)) from None


def check_size(task: dict[str, Any], width: int, height: int) -> None:
    """Refuse pictures over the limit."""
    if width * height > task["max_pixels"]:
        raise Failed("too_large", width, height)


def prepare(stream: Any, task: dict[str, Any]) -> None:
    """Set up the decoder of a stream, if it is one that may be opened."""
    decoder = stream.codec_context
    if decoder is None or decoder.codec.name not in task["decoders"]:
        raise Failed("not_decoded", decoder.codec.name if decoder else "unknown")
    check_size(task, decoder.width, decoder.height)
    decoder.options = {"max_pixels": str(task["max_pixels"])}
    decoder.thread_type, decoder.thread_count = "AUTO", min(MOST_THREADS, len(os.sched_getaffinity(0)))


def usual_span(stream: Any) -> int:
    """How long a picture lasts that does not say so."""
    return max(1, round(1 / Fraction(stream.average_rate or USUAL_RATE) / Fraction(stream.time_base)))


def check_storage(failure: Exception) -> None:
    """Refuse to continue, if reading ended because the storage failed; what makes no sense may still be an end."""
    if isinstance(failure, OSError):
        raise Failed("unread", failure.strerror) from None
