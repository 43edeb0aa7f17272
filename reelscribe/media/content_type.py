"""The media type of a stored recording, by its first bytes and not by its name: one of a list of types of media."""

from reelscribe.media.stored_object import StoredObject
from reelscribe.media.structure.reading import container_of

UNKNOWN = "application/octet-stream"

_BRAND, _DOC_TYPE = slice(8, 12), slice(0, 64)

_OF_CONTAINERS = {
    "matroska": "video/x-matroska",
    "mp4": "video/mp4",
    "wav": "audio/wav",
    "avi": "video/x-msvideo",
    "ogg": "application/ogg",
    "asf": "video/x-ms-asf",
    "flv": "video/x-flv",
    "aiff": "audio/aiff",
    "caf": "audio/x-caf",
    "au": "audio/basic",
    "amr": "audio/amr",
    "mxf": "application/mxf",
    "mpegts": "video/mp2t",
    "mpeg": "video/mpeg",
    "flac": "audio/flac",
    "mp3": "audio/mpeg",
    "aac": "audio/aac",
    "ac3": "audio/ac3",
    "eac3": "audio/eac3",
}
_OF_BRANDS = {b"qt  ": "video/quicktime", b"M4A ": "audio/mp4", b"M4B ": "audio/mp4"}

CONTENT_TYPES = (*_OF_CONTAINERS.values(), *dict.fromkeys(_OF_BRANDS.values()), "video/webm", UNKNOWN)
"""All that :func:`content_type` returns."""


def content_type(stored: StoredObject) -> str:
    """The media type of an open object; blocks."""
    container, head = container_of(stored), stored.read(0, _DOC_TYPE.stop)
    if container == "matroska" and b"webm" in head[_DOC_TYPE]:
        return "video/webm"
    if container == "mp4" and head[_BRAND] in _OF_BRANDS:
        return _OF_BRANDS[head[_BRAND]]
    return _OF_CONTAINERS.get(container, UNKNOWN)
