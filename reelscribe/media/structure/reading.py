"""What a recording declares, from its bytes: its tracks, their lengths, and whether the file is cut."""

import struct
from collections.abc import Callable
from dataclasses import replace
from functools import partial

from reelscribe.media.stored_object import StoredObject
from reelscribe.media.structure import (
    aiff_caf,
    asf,
    au_voc,
    flac,
    flv,
    lossless,
    matroska,
    mp4,
    mxf,
    nut,
    realmedia,
    riff,
    sized,
)
from reelscribe.media.structure.bounded import Bytes, Unreadable
from reelscribe.media.structure.facts import Structure
from reelscribe.media.structure.id3 import after_id3
from reelscribe.media.structure.mpeg import frames, program_stream, transport_stream
from reelscribe.media.structure.ogg import pages

HEAD_BYTES = 64 << 10

Matches = Callable[[bytes], bool]
Reader = Callable[[Bytes], Structure]

READERS: tuple[tuple[str, Matches, Reader], ...] = (
    ("matroska", matroska.is_matroska, matroska.read),
    ("mp4", mp4.is_mp4, mp4.read),
    ("wav", riff.is_wav, riff.read_wav),
    ("w64", riff.is_wave64, riff.read_wave64),
    ("avi", riff.is_avi, riff.read_avi),
    ("ogg", pages.is_ogg, pages.read),
    ("asf", asf.is_asf, asf.read),
    ("flv", flv.is_flv, flv.read),
    ("aiff", aiff_caf.is_aiff, aiff_caf.read_aiff),
    ("caf", aiff_caf.is_caf, aiff_caf.read_caf),
    ("au", au_voc.is_au, au_voc.read_au),
    ("voc", au_voc.is_voc, au_voc.read_voc),
    ("amr", frames.is_amr, frames.read_amr),
    ("nut", nut.is_nut, nut.read),
    ("rm", realmedia.is_realmedia, realmedia.read),
    ("mxf", mxf.is_mxf, mxf.read),
    ("sox", sized.is_sox, sized.read_sox),
    ("sphere", sized.is_sphere, sized.read_sphere),
    ("iff", sized.is_iff, sized.read_iff),
    ("dsf", sized.is_dsf, sized.read_dsf),
    ("gxf", sized.is_gxf, sized.read_gxf),
    ("mpegts", lambda head: transport_stream.packet_layout(head) is not None, transport_stream.read),
    ("mpeg", program_stream.is_program_stream, program_stream.read),
)
"""Name of a container, whether a file's first bytes are of it, and its reader."""

AFTER_ID3: tuple[tuple[str, bytes, Reader], ...] = (
    ("flac", b"fLaC", flac.read),
    ("wavpack", b"wvpk", lossless.read_wavpack),
    ("tta", b"TTA1", lossless.read_tta),
    ("ape", b"MAC ", lossless.read_ape),
    ("tak", b"tBaK", lossless.read_tak),
)
"""Formats that may follow an ID3v2 tag, by their first bytes; those made of frames only are in ``frames``."""


def read_structure(stored: StoredObject) -> Structure:
    """The structure of an open recording; of a damaged one, what can be known.

    Reads little (headers, the end, a few probes), so that it may be called before the first byte is decoded.
    """
    data = Bytes(stored)
    container = "unknown"
    try:
        container, reader = _recognised(data)
        return reader(data)
    except (Unreadable, struct.error, IndexError, ValueError, OverflowError, ZeroDivisionError):
        return Structure(container)


def container_of(stored: StoredObject) -> str:
    """The name of its container, by its first bytes; ``unknown`` if no reader knows it."""
    try:
        return _recognised(Bytes(stored))[0]
    except (Unreadable, struct.error, IndexError, ValueError, OverflowError):
        return "unknown"


def as_input(stored: StoredObject, structure: Structure) -> StoredObject:
    """The object as ffmpeg has to read it."""
    captured = structure.container == "aac" and structure.begins > 0
    decoder = structure.audio[0].decoder if structure.audio and len(structure.audio) == 1 else None
    return replace(stored, adts_at=structure.begins if captured else None, decoder=decoder)


def _recognised(data: Bytes) -> tuple[str, Reader]:
    head = data.read(0, HEAD_BYTES)
    for name, matches, reader in READERS:
        if matches(head):
            return name, reader
    start = after_id3(data)
    head = data.read(start, HEAD_BYTES)
    for name, magic, reader in AFTER_ID3:
        if head.startswith(magic):
            return name, reader
    name, at = frames.detect(head) or ("unknown", 0)
    if name == "unknown":
        return name, _unknown
    return name, frames.read_mp3 if name == "mp3" and at == 0 else partial(
        frames.read, name=name, begins=start + at if at else 0
    )


def _unknown(_: Bytes) -> Structure:
    return Structure("unknown")
