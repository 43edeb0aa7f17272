"""Formats whose header states how much follows, or whose last packet says that it is the last.

SoX: man page soxformat(7), ``.sox``; NIST SPHERE: its header is text, ``sample_count`` and so on; IFF: EA IFF 85, FORM;
DSF: "DSF File Format Specification" 1.01, DSD chunk; GXF: SMPTE 360M, section 5 (packet header, EOS packet).
"""

import re
import struct

from reelscribe.media.structure.bounded import Bytes
from reelscribe.media.structure.facts import Structure, ends_early, only

SPHERE_HEADER_BYTES = 1024
GXF_MARKS = (b"\0\0\0\0\x01", b"\xe1\xe2")
GXF_HEADER_BYTES, GXF_LAST = 16, 0xFB
SOX_SAMPLE_BYTES = 4

_SPHERE_NUMBER = re.compile(rb"^(sample_count|sample_rate|sample_n_bytes|channel_count) -i (\d+)", re.MULTILINE)


def is_sox(head: bytes) -> bool:
    return head[:4] in (b".SoX", b"XoS.")


def read_sox(data: Bytes) -> Structure:
    order = "<" if data.exactly(0, 4) == b".SoX" else ">"
    header, samples, rate, channels = struct.unpack(f"{order}IQdI", data.exactly(4, 24))
    if not samples or not rate or not channels:
        return Structure("sox")
    cut = ends_early(SOX_SAMPLE_BYTES * samples, data.size - 4 - header)
    seconds = samples / channels / rate
    return Structure("sox", only(0, seconds, channels), seconds, cut)


def is_sphere(head: bytes) -> bool:
    return head.startswith(b"NIST_1A\n")


def read_sphere(data: Bytes) -> Structure:
    found = {name: int(value) for name, value in _SPHERE_NUMBER.findall(data.read(0, SPHERE_HEADER_BYTES))}
    count, rate = found.get(b"sample_count", 0), found.get(b"sample_rate", 0)
    width = found.get(b"sample_n_bytes", 0) * found.get(b"channel_count", 1)
    if not count or not rate or not width:
        return Structure("sphere")
    return Structure(
        "sphere",
        only(0, count / rate, found.get(b"channel_count")),
        count / rate,
        ends_early(count * width, data.size - int(data.exactly(8, 8).strip() or b"0")),
    )


def is_iff(head: bytes) -> bool:
    return head.startswith(b"FORM") and head[8:12] in (b"8SVX", b"16SV", b"MAUD")


def read_iff(data: Bytes) -> Structure:
    return Structure("iff", cut=ends_early(int.from_bytes(data.exactly(4, 4), "big"), data.size - 8))


def is_dsf(head: bytes) -> bool:
    return head.startswith(b"DSD ")


def read_dsf(data: Bytes) -> Structure:
    return Structure("dsf", cut=ends_early(int.from_bytes(data.exactly(12, 8), "little"), data.size, "bytes"))


def is_gxf(head: bytes) -> bool:
    return _is_gxf_packet(head[:GXF_HEADER_BYTES])


def read_gxf(data: Bytes) -> Structure:
    _, last = data.tail(GXF_HEADER_BYTES)
    ended = _is_gxf_packet(last) and last[5] == GXF_LAST
    return Structure("gxf", cut=None if ended else "its last packet is missing")


def _is_gxf_packet(header: bytes) -> bool:
    return header.startswith(GXF_MARKS[0]) and header.endswith(GXF_MARKS[1])
