"""NUT: an index at its end, with the time of the last packet.

ffmpeg.org/~michael/nut.txt (version 3): main header, stream header, index; ``v`` is a number of 7 bits a byte.
"""

from reelscribe.media.structure.bounded import Bytes, Unreadable
from reelscribe.media.structure.facts import AudioTrack, Structure

FILE_ID = b"nut/multimedia container\0"
MAIN, STREAM, INDEX = (b"NM\x7a\x56\x1f\x5f\x04\xad", b"NS\x11\x40\x5b\xf2\xf9\xdb", b"NX\xdd\x67\x2f\x23\xe6\x4e")
AUDIO_CLASS = 1
MAX_STREAMS = 100


def is_nut(head: bytes) -> bool:
    return head.startswith(FILE_ID)


class _Numbers:
    """Reads ``v`` numbers one after the other."""

    def __init__(self, content: bytes, offset: int) -> None:
        self.content, self.offset = content, offset

    def next(self) -> int:
        value = 0
        for _ in range(10):
            if self.offset >= len(self.content):
                break
            byte = self.content[self.offset]
            self.offset += 1
            value = value << 7 | byte & 0x7F
            if not byte & 0x80:
                return value
        raise Unreadable


def read(data: Bytes) -> Structure:
    """ffmpeg writes the index when it ends, so that a file without one was cut or its writer was stopped."""
    head = data.read(0, 1 << 16)
    streams, bases = _main(head)
    classes = _classes(head, min(streams, MAX_STREAMS))
    index = _index(data)
    seconds = None
    if index is not None and bases:
        time = _Numbers(index, 8)
        if time.next() > 4096:
            time.offset += 4
        latest = time.next()
        numerator, denominator = bases[latest % len(bases)]
        seconds = latest // len(bases) * numerator / denominator if denominator else None
    cut = "it has no index at its end" if index is None else None
    audio = tuple(
        AudioTrack(number, seconds if len(classes) == 1 else None)
        for number, kind in enumerate(classes)
        if kind == AUDIO_CLASS
    )
    return Structure("nut", audio if len(classes) == streams else None, seconds, cut)


def _main(head: bytes) -> tuple[int, list[tuple[int, int]]]:
    at = head.find(MAIN)
    if at < 0:
        raise Unreadable
    numbers = _Numbers(head, at + 8)
    if numbers.next() > 4096:
        numbers.offset += 4
    if numbers.next() > 3:
        numbers.next()
    streams, _, count = numbers.next(), numbers.next(), numbers.next()
    return streams, [(numbers.next(), numbers.next()) for _ in range(min(count, MAX_STREAMS))]


def _classes(head: bytes, streams: int) -> list[int]:
    classes: dict[int, int] = {}
    at = head.find(STREAM)
    for _ in range(streams):
        if at < 0:
            break
        numbers = _Numbers(head, at + 8)
        if numbers.next() > 4096:
            numbers.offset += 4
        number = numbers.next()
        classes.setdefault(number, numbers.next())
        at = head.find(STREAM, at + 8)
    return [classes[number] for number in sorted(classes)] if sorted(classes) == list(range(len(classes))) else []


def _index(data: Bytes) -> bytes | None:
    """Its last 12 bytes are its own length and a checksum."""
    length = int.from_bytes(data.read(data.size - 12, 8), "big")
    start = data.size - length
    index = data.read(start, 64) if 8 < length <= data.size else b""
    return index if index.startswith(INDEX) else None
