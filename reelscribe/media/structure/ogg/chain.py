"""The length of an Ogg file in which several recordings follow each other: of each, its last granule position.

RFC 3533, section 4 (chaining). Nothing but the whole file says how many there are, so it is asked after decoding.
"""

from dataclasses import dataclass, replace

from reelscribe.media.stored_object import StoredObject
from reelscribe.media.structure.bounded import Bytes, Unreadable
from reelscribe.media.structure.ogg import pages

LARGER_LIMITS = 10_000
MAX_PAGES = 1_000_000
BEGINS = 2


@dataclass(frozen=True)
class Chain:
    """What a chain holds.

    Attributes:
        seconds: of sound in all recordings.
        alike: they have the same codec, sample rate and channels.
    """

    seconds: float
    alike: bool


def read_chain(stored: StoredObject) -> Chain | None:
    """All recordings of the chain; None if they cannot be read."""
    data = Bytes(stored, times=LARGER_LIMITS)
    formats = set[pages.Stream]()
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
                streams[page.serial] = found = pages.stream_of(page)
                formats |= {replace(found, serial=0, skip=0, packet=0)} if found.audio else set()
            stream = streams.get(page.serial)
            if stream and stream.audio and stream.rate and page.granule > 0:
                lengths[page.serial] = (stream.units(page.granule) - stream.skip) / stream.rate
            position = page.end
    except (Unreadable, ValueError):
        return None
    return Chain(total + max(lengths.values(), default=0.0), len(formats) <= 1)
