"""The length of an Ogg file in which several recordings follow each other: of each, its last granule position.

RFC 3533, section 4 (chaining). Nothing but the whole file says how many there are, so it is asked after decoding.
"""

from reelscribe.media.stored_object import StoredObject
from reelscribe.media.structure.bounded import Bytes, Unreadable
from reelscribe.media.structure.ogg import pages

LARGER_LIMITS = 10_000
MAX_PAGES = 1_000_000
BEGINS = 2


def chained_seconds(stored: StoredObject) -> float | None:
    """Seconds of sound in all recordings of the chain; None if that cannot be read."""
    data = Bytes(stored, times=LARGER_LIMITS)
    total, lengths, position, begun = 0.0, dict[int, float](), 0, True
    streams: dict[int, pages.Stream] = {}
    try:
        for _ in range(MAX_PAGES):
            page = pages.page_at(data, position)
            if page is None:
                break
            if page.flags & BEGINS and not begun:
                total += max(lengths.values(), default=0.0)
                lengths, streams = {}, {}
            begun = bool(page.flags & BEGINS)
            if begun:
                streams[page.serial] = pages.stream_of(page)
            stream = streams.get(page.serial)
            if stream and stream.audio and stream.rate and page.granule > 0:
                lengths[page.serial] = (stream.units(page.granule) - stream.skip) / stream.rate
            position = page.end
    except (Unreadable, ValueError):
        return None
    return total + max(lengths.values(), default=0.0)
