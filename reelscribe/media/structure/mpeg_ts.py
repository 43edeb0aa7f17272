"""MPEG transport streams: they list their streams, state no length, and have packets of one size.

ISO/IEC 13818-1: 2.4.3 (packets), 2.4.4 (PAT, PMT), Table 2-34 (stream types); ETSI EN 300 468, 6.2 and annexes D, F
(descriptors of private streams); Blu-ray's M2TS puts 4 bytes before each packet.
"""

from collections.abc import Iterator

from reelscribe.media.structure.bounded import Bytes
from reelscribe.media.structure.facts import AudioTrack, Structure

PACKET_BYTES = (188, 192, 204)
HEAD_BYTES = 1 << 18
MAX_PACKETS = HEAD_BYTES // 188

AUDIO_TYPES = (0x03, 0x04, 0x0F, 0x11, 0x1C, 0x81, 0x84, 0x87)
BLU_RAY_AUDIO_TYPES = (0x80, 0x82, 0x85, 0x86, 0xA1, 0xA2)
TWO_STREAMS = 0x83
"""TrueHD with AC-3 inside: ffmpeg makes two streams of it."""

AUDIO_DESCRIPTORS = (0x6A, 0x7A, 0x7B, 0x7C)
AUDIO_REGISTRATIONS = (b"AC-3", b"EAC3", b"BSSD", b"Opus", b"DTS1", b"DTS2", b"DTS3", b"AC-4")


def packet_layout(head: bytes) -> tuple[int, int] | None:
    """Bytes of a packet, and where the sync byte is in it; None if this is no transport stream."""
    for length in PACKET_BYTES:
        offset = 4 if length == 192 else 0
        syncs = head[offset : offset + 5 * length : length]
        if len(syncs) >= 3 and set(syncs) == {0x47}:
            return length, offset
    return None


def read(data: Bytes) -> Structure:
    head = data.read(0, min(HEAD_BYTES, data.size))
    layout = packet_layout(head[:1024])
    if layout is None:
        return Structure("mpegts")
    length, offset = layout
    rest = data.size % length
    cut = f"its last packet has {rest} of {length} bytes" if rest else None
    return Structure("mpegts", _audio(head, length, offset), cut=cut)


def _audio(head: bytes, length: int, offset: int) -> tuple[AudioTrack, ...] | None:
    """Of the first program map; None if there are several programs, or none of its streams is sound."""
    pat = next(_sections(head, length, offset, 0, 0x00), b"")
    programs = [
        int.from_bytes(entry[2:4], "big") & 0x1FFF
        for entry in (pat[at : at + 4] for at in range(8, len(pat) - 4, 4))
        if len(entry) == 4 and entry[:2] != b"\0\0"
    ]
    if len(programs) != 1:
        return None
    streams = _streams(next(_sections(head, length, offset, programs[0], 0x02), b""))
    if any(kind == TWO_STREAMS for kind, _ in streams):
        return None
    found = tuple(AudioTrack(index) for index, (_, audio) in enumerate(streams) if audio)
    return found or None


def _sections(head: bytes, length: int, offset: int, pid: int, table: int) -> Iterator[bytes]:
    """Sections of a table that begin in a packet of ``pid``, continued in its later packets."""
    gathered = b""
    for position in range(offset, len(head) - 187, length):
        packet = head[position : position + 188]
        if packet[0] != 0x47 or int.from_bytes(packet[1:3], "big") & 0x1FFF != pid or not packet[3] & 0x10:
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


def _streams(section: bytes) -> list[tuple[int, bool]]:
    """Type of each stream of a program map, and whether it is sound, in their order."""
    if len(section) < 16:
        return []
    streams = []
    skipped = int.from_bytes(section[10:12], "big") & 0xFFF
    blu_ray = b"HDMV" in section[12 : 12 + skipped]
    at = 12 + skipped
    while at + 5 <= len(section) - 4:
        kind, size = section[at], int.from_bytes(section[at + 3 : at + 5], "big") & 0xFFF
        descriptors = section[at + 5 : at + 5 + size]
        audio = kind in AUDIO_TYPES or (blu_ray and kind in BLU_RAY_AUDIO_TYPES) or _says_audio(kind, descriptors)
        streams.append((kind, audio))
        at += 5 + size
    return streams


def _says_audio(kind: int, descriptors: bytes) -> bool:
    at = 0
    while kind == 0x06 and at + 2 <= len(descriptors):
        tag, size = descriptors[at], descriptors[at + 1]
        if tag in AUDIO_DESCRIPTORS or (tag == 0x05 and descriptors[at + 2 : at + 6] in AUDIO_REGISTRATIONS):
            return True
        at += 2 + size
    return False
