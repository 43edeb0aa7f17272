"""MPEG program streams and VOB: no length; a pack or packet may be cut at the end.

They list no tracks either: those of the first packets are known, in the order in which ffmpeg makes streams of them.

ISO/IEC 13818-1: 2.5.3.3 (packs), 2.5.3.5 (system header), 2.4.3.6 (PES packets); ISO/IEC 11172-1: 2.4.3 (MPEG-1).
"""

from reelscribe.media.structure.bounded import Bytes
from reelscribe.media.structure.facts import AudioTrack, Structure, stops_inside

PREFIX = b"\0\0\x01"
PACK, END, FIRST_PACKET = 0xBA, 0xB9, 0xBB
PRIVATE = 0xBD
AUDIO_IDS, VIDEO_IDS = range(0xC0, 0xE0), range(0xE0, 0xF0)
SUBTITLES, DVD_AUDIO = range(0x20, 0x40), (*range(0x80, 0x90), *range(0xA0, 0xA8), *range(0xC0, 0xD0))
"""First byte of the payload of private stream 1 on DVDs: AC-3, DTS, LPCM; on HD DVDs E-AC-3 too."""

HEAD_BYTES = 1 << 18
TAIL_WINDOWS = (1 << 16, 1 << 19)
MAX_UNITS = 1_000


def is_program_stream(head: bytes) -> bool:
    return (head.startswith(PREFIX + bytes([PACK])) and head[4] >> 6 == 1) or head[:5] == PREFIX + b"\xba\x21"


def read(data: Bytes) -> Structure:
    head = data.read(0, HEAD_BYTES)
    return Structure("mpeg", _audio(head), cut=_cut(data) or _moves(_streams(head), _last_streams(data)))


def _audio(head: bytes) -> tuple[AudioTrack, ...] | None:
    """The sound of the first packets; None if there is none, or one of them may be sound or not."""
    streams = _streams(head)
    if streams is None:
        return None
    return tuple(AudioTrack(index) for index, stream in enumerate(streams) if _is_sound(stream)) or None


def _streams(packets: bytes) -> list[int] | None:
    """Those that begin in these packets, in order; None if one of them may be sound or not."""
    streams: list[int] = []
    position = 0
    while position + 14 <= len(packets) and packets.startswith(PREFIX, position):
        kind = packets[position + 3]
        if kind == PACK:
            position += 12 if packets[position + 4] >> 4 == 2 else 14 + (packets[position + 13] & 7)
            continue
        stream = kind
        if kind == PRIVATE:
            payload = position + 9 + packets[position + 8]
            if payload >= len(packets) or packets[payload] not in (*SUBTITLES, *DVD_AUDIO):
                return None
            stream = PRIVATE << 8 | packets[payload]
        if (kind == PRIVATE or kind in AUDIO_IDS or kind in VIDEO_IDS) and stream not in streams:
            streams.append(stream)
        position += 6 + int.from_bytes(packets[position + 4 : position + 6], "big")
    return streams


def _last_streams(data: Bytes) -> list[int] | None:
    _, tail = data.tail(TAIL_WINDOWS[0])
    return _streams(tail[max(0, tail.find(PREFIX + bytes([PACK]))) :])


def _moves(first: list[int] | None, last: list[int] | None) -> str | None:
    """The phrase if the sound continues in a stream that was not there at the beginning."""
    before, after = (set(filter(_is_sound, streams or ())) for streams in (first, last))
    if not before or not after or before & after:
        return None
    return f"its sound continues in another stream ({min(after):#x} instead of {min(before):#x})"


def _is_sound(stream: int) -> bool:
    return stream in AUDIO_IDS or (stream & 0xFF in DVD_AUDIO and stream > 0xFF)


def _cut(data: Bytes) -> str | None:
    for window in TAIL_WINDOWS:
        start, tail = data.tail(window)
        at = tail.find(PREFIX + bytes([PACK]))
        while at >= 0:
            reached, phrase = _walk(data, start + at)
            if reached:
                return phrase
            at = tail.find(PREFIX + bytes([PACK]), at + 4)
    return None


def _walk(data: Bytes, position: int) -> tuple[bool, str | None]:
    """Whether packs and packets lead from here to the end of the file, and the phrase if the last one is cut."""
    for _ in range(MAX_UNITS):
        header = data.read(position, 14)
        if not header or (len(header) > 3 and not header.strip(b"\0")):
            return position > 0, None  # the end, or padding
        if not header.startswith(PREFIX[: len(header)]):
            return False, None
        if len(header) < 4 or (header[3] != END and len(header) < 6):
            return True, f"its last {len(header)} bytes are the start of a packet"
        if header[3] == END:
            length = 4
        elif header[3] == PACK:
            length = 12 if header[4] >> 4 == 2 else 14 + (header[13] & 7 if len(header) == 14 else 0)
        elif header[3] >= FIRST_PACKET:
            length = 6 + int.from_bytes(header[4:6], "big")
        else:
            return False, None
        if phrase := stops_inside("the last packet", position, position + length, data.size):
            return True, phrase
        position += length
    return True, None
