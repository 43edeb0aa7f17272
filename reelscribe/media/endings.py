"""To be removed with its last caller: use :func:`reelscribe.media.structure.reading.read_structure`."""

from reelscribe.media.stored_object import StoredObject
from reelscribe.media.structure.reading import read_structure

SELF_EVIDENT = ("mp4", "fragmented mp4", "ogg", "flv", "mpegts")


def ends_abruptly(stored: StoredObject) -> bool:
    """Whether an Ogg page, an FLV tag, a TS packet or an MP4 box is cut at the end; False for any other container."""
    found = read_structure(stored)
    return found.container in SELF_EVIDENT and found.cut is not None
