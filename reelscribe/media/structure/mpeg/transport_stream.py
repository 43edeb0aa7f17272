"""MPEG transport streams: they list their streams, state no length, and have packets of one size.

ISO/IEC 13818-1: 2.4.3 (packets), 2.4.4 (PAT, PMT), Table 2-34 (stream types); ETSI EN 300 468, 6.2 and annexes D, F
(descriptors of private streams); Blu-ray's M2TS puts 4 bytes before each packet.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from reelscribe.media.structure.bounded import Bytes
from reelscribe.media.structure.facts import AudioTrack, Structure

SYNC = 0x47
PACKET_BYTES = (188, 192, 204)
HEAD_BYTES = 1 << 18
TAIL_BYTES = 1 << 17
SYNCS_AT_END = 5

AUDIO_TYPES = (0x03, 0x04, 0x0F, 0x11, 0x1C, 0x81, 0x84, 0x87)
BLU_RAY_AUDIO_TYPES = (0x80, 0x82, 0x85, 0x86, 0xA1, 0xA2)
"""0x83, TrueHD with AC-3 inside, is none of them: ffmpeg makes two streams of it, which shifts the indexes."""

OTHER_TYPES = (
    0x01,
    0x02,
    0x05,
    0x0B,
    0x0C,
    0x0D,
    0x10,
    0x15,
    0x1B,
    0x20,
    0x24,
    0x33,
    0x42,
    0x90,
    0x91,
    0x92,
    0xD1,
    0xEA,
)
"""Picture, sections, subtitles and metadata."""

PRIVATE_TYPE = 0x06
AUDIO_DESCRIPTORS = (0x6A, 0x7A, 0x7B, 0x7C)
AUDIO_REGISTRATIONS = (b"AC-3", b"EAC3", b"BSSD", b"Opus", b"DTS1", b"DTS2", b"DTS3", b"AC-4")
OTHER_DESCRIPTORS = (0x45, 0x46, 0x56, 0x59, 0x6F)
"""VBI data, teletext, subtitles and applications."""


@dataclass(frozen=True)
class Stream:
    """Of a program map. ``audio`` is None if only its packets could say what it is."""

    kind: int
    pid: int
    audio: bool | None


def packet_layout(head: bytes) -> tuple[int, int] | None:
    """Bytes of a packet, and where the sync byte is in it; None if this is no transport stream."""
    for length in PACKET_BYTES:
        offset = 4 if length == 192 else 0
        syncs = head[offset : offset + 5 * length : length]
        if len(syncs) >= 3 and set(syncs) == {SYNC}:
            return length, offset
    return None


def read(data: Bytes) -> Structure:
    head = data.read(0, min(HEAD_BYTES, data.size))
    layout = packet_layout(head[:1024])
    if layout is None:
        return Structure("mpegts")
    length, offset = layout
    rest = _rest(data, length, offset)
    cut = f"its last packet has {rest} of {length} bytes" if rest else None
    tail_start = max(0, data.size - TAIL_BYTES) // length * length
    first = _streams(head, length, offset, 0)
    last = _streams(data.read(tail_start, TAIL_BYTES), length, offset, -1)
    cut = cut or _moves(first, last)
    same = last in ([], first)
    audio = tuple(AudioTrack(index) for index, stream in enumerate(first) if stream.audio)
    return Structure("mpegts", audio if audio and same else None, cut=cut)


def _rest(data: Bytes, length: int, offset: int) -> int:
    """Bytes of a last packet that is cut; packets may have been moved by bytes between them."""
    rest = data.size % length
    last = data.read(data.size - rest - SYNCS_AT_END * length, SYNCS_AT_END * length)
    if not rest or set(last[offset::length]) == {SYNC}:
        return rest
    start, tail = data.tail((SYNCS_AT_END + 1) * length)
    for phase in range(length):
        syncs = tail[phase + offset :: length]
        if set(syncs) == {SYNC} and len(syncs) >= SYNCS_AT_END:
            return (data.size - start - phase) % length
    return rest


def _moves(first: list[Stream], last: list[Stream]) -> str | None:
    """The phrase if the sound continues in a stream that was not there at the beginning, or in another codec."""
    before = [stream.pid for stream in first if stream.audio]
    after = [stream.pid for stream in last if stream.audio]
    changed = [(old, new) for old in first for new in last if old.pid == new.pid and old.kind != new.kind]
    for old, new in changed:
        if old.audio and before == [old.pid]:
            return f"its sound continues in another codec (stream type {new.kind:#x} instead of {old.kind:#x})"
    if not before or not after or set(before) & set(after):
        return None
    return f"its sound continues in another stream (PID {after[0]:#x} instead of {before[0]:#x})"


def _streams(packets: bytes, length: int, offset: int, which: int) -> list[Stream]:
    """The streams of the first (0) or last (-1) program map; none if there are several programs.

    None either if one of them may be sound or not: ffmpeg looks into its packets.
    """
    pats = list(_sections(packets, length, offset, 0, 0x00))
    pat = pats[which] if pats else b""
    entries = [pat[at : at + 4] for at in range(8, len(pat) - 7, 4)]
    programs = [int.from_bytes(entry[2:], "big") & 0x1FFF for entry in entries if entry[:2] != b"\0\0"]
    if len(programs) != 1:
        return []
    maps = list(_sections(packets, length, offset, programs[0], 0x02))
    streams = _mapped(maps[which]) if maps else []
    return [] if any(stream.audio is None for stream in streams) else streams


def _sections(head: bytes, length: int, offset: int, pid: int, table: int) -> Iterator[bytes]:
    """Sections of a table that begin in a packet of ``pid``, continued in its later packets."""
    gathered = b""
    for position in range(offset, len(head) - 187, length):
        packet = head[position : position + 188]
        if packet[0] != SYNC or int.from_bytes(packet[1:3], "big") & 0x1FFF != pid or not packet[3] & 0x10:
            continue
        payload = packet[5 + packet[4] if packet[3] & 0x20 else 4 :]
        if packet[1] & 0x40 and payload:
            gathered = payload[1 + payload[0] :]
        elif gathered:
            gathered += payload
        needed = 3 + (int.from_bytes(gathered[1:3], "big") & 0xFFF) if len(gathered) >= 3 else 1 << 16
        if len(gathered) >= needed:
            if gathered[0] == table:
                yield gathered[:needed]
            gathered = b""


def _mapped(section: bytes) -> list[Stream]:
    """Of a program map, in its order."""
    if len(section) < 16:
        return []
    streams = []
    skipped = int.from_bytes(section[10:12], "big") & 0xFFF
    blu_ray = b"HDMV" in section[12 : 12 + skipped]
    at = 12 + skipped
    while at + 5 <= len(section) - 4:
        kind, pid = section[at], int.from_bytes(section[at + 1 : at + 3], "big") & 0x1FFF
        size = int.from_bytes(section[at + 3 : at + 5], "big") & 0xFFF
        streams.append(Stream(kind, pid, _is_audio(kind, blu_ray, section[at + 5 : at + 5 + size])))
        at += 5 + size
    return streams


def _is_audio(kind: int, blu_ray: bool, descriptors: bytes) -> bool | None:
    if kind in AUDIO_TYPES or (blu_ray and kind in BLU_RAY_AUDIO_TYPES):
        return True
    if kind != PRIVATE_TYPE:
        return False if kind in OTHER_TYPES else None
    at = 0
    while at + 2 <= len(descriptors):
        tag, size = descriptors[at], descriptors[at + 1]
        if tag in AUDIO_DESCRIPTORS or (tag == 0x05 and descriptors[at + 2 : at + 6] in AUDIO_REGISTRATIONS):
            return True
        if tag in OTHER_DESCRIPTORS:
            return False
        at += 2 + size
    return None
