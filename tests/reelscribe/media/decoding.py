"""Decoding a file without a service."""

import os
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path

import numpy as np
import numpy.typing as npt

from reelscribe.media.commands import Sound
from reelscribe.media.ffmpeg import FFmpeg
from reelscribe.media.sound.decoded_track import DecodedTrack, Part
from reelscribe.media.stored_object import StoredObject, open_file

CPU_SECONDS = 60.0


@asynccontextmanager
async def opened(path: Path) -> AsyncIterator[StoredObject]:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        yield open_file(descriptor, path.name)
    finally:
        os.close(descriptor)


async def decoded(
    ffmpeg: FFmpeg, stored: StoredObject, part: Part | None = None, sound: Sound | None = None
) -> tuple[DecodedTrack, npt.NDArray[np.int16]]:
    """The track, and its samples."""
    track = DecodedTrack(ffmpeg, stored, sound or Sound(), part or Part(), cpu_seconds=CPU_SECONDS)
    body = bytearray()
    async with aclosing(track.chunks()) as chunks:
        async for chunk in chunks:
            body += chunk
    return track, np.frombuffer(bytes(body), np.int16)
