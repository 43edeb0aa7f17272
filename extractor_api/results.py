"""Finished extractions (``delivery = file``): made in temp_dir, served whole or by ranges, gone after ``result_ttl``.

The files have no name (``O_TMPFILE``, or unlinked at once), so nothing can be left over: the disk has its room back
when the last descriptor is closed, also after kill -9.
"""

import asyncio
import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from machine.errors import ExtractionNotFound, NoRoom
from machine.wire import AudioFormat, ExtractAudioRequest, ProbeResult

HEADER_BYTES = 1 << 16
SPARE_BYTES = 64 << 20
"""Left free on the disk of temp_dir."""

DEFAULT_SAMPLE_RATE = 48_000
READ_BYTES = 1 << 20


@dataclass(frozen=True)
class Result:
    """A finished extraction.

    Attributes:
        file: open and without a name.
        size: bytes.
        sha256: of its content, and its ETag.
    """

    extraction_id: str
    file: BinaryIO
    audio_format: AudioFormat
    size: int
    sha256: str


class Results:
    """The results that can still be fetched.

    Args:
        temp_dir: where they are made.
        ttl: seconds a result is kept.
    """

    def __init__(self, temp_dir: Path, ttl: float) -> None:
        self._temp_dir = temp_dir
        self._ttl = ttl
        self._results: dict[str, Result] = {}
        self._reserved = 0

    @contextmanager
    def reserve(self, wanted: int) -> Iterator[BinaryIO]:
        """A new file with room for ``wanted`` bytes; closed after the block unless :meth:`keep` took it.

        Raises:
            NoRoom: the disk of temp_dir cannot hold it, with what running extractions will still need.
        """
        disk = os.statvfs(self._temp_dir)
        free = disk.f_bavail * disk.f_frsize - self._reserved - SPARE_BYTES
        if wanted > free:
            raise NoRoom(
                f"the result needs up to {wanted >> 20} MiB and temp_dir has {max(0, free) >> 20} MiB free; "
                "ask for delivery = stream, which needs none"
            )
        file = tempfile.TemporaryFile(dir=self._temp_dir)  # noqa: SIM115 - it outlives the block if kept
        self._reserved += wanted
        try:
            yield file
        finally:
            self._reserved -= wanted
            if file not in (result.file for result in self._results.values()):
                file.close()

    async def keep(self, extraction_id: str, file: BinaryIO, audio_format: AudioFormat) -> Result:
        """Make a finished file available for ``ttl`` seconds."""
        size, sha256 = await asyncio.to_thread(_measure, file)
        result = Result(extraction_id, file, audio_format, size, sha256)
        self._results[extraction_id] = result
        asyncio.get_running_loop().call_later(self._ttl, self._drop, extraction_id)
        return result

    def get(self, extraction_id: str) -> Result:
        """A result that is still kept.

        Raises:
            ExtractionNotFound: it is not, or never was.
        """
        if extraction_id not in self._results:
            raise ExtractionNotFound(f"no result of extraction {extraction_id}; results are kept {self._ttl:g} s")
        return self._results[extraction_id]

    def _drop(self, extraction_id: str) -> None:
        self._results.pop(extraction_id).file.close()

    def close(self) -> None:
        """Drop them all."""
        for extraction_id in list(self._results):
            self._drop(extraction_id)


def expected_bytes(request: ExtractAudioRequest, audio_format: AudioFormat, probed: ProbeResult) -> int:
    """Upper bound of a result's size, from the length that the recording declares.

    One that declares none is taken to be no longer than its bytes at 32 kbit/s.
    """
    whole = probed.duration or probed.size * 8 / 32_000
    seconds = max(0.0, whole - request.start)
    if request.duration:
        seconds = min(seconds, request.duration)
    if audio_format == "source":
        return probed.size + HEADER_BYTES
    if audio_format == "mp3":
        return int(seconds * request.bitrate_kbps * 125) + HEADER_BYTES
    track = next((stream for stream in probed.streams if stream.kind == "audio"), None)
    sample_rate = request.sample_rate or (track and track.sample_rate) or DEFAULT_SAMPLE_RATE
    channels = request.channels or (track and track.channels) or 2
    return int(seconds * sample_rate * channels * 2) + HEADER_BYTES


def _measure(file: BinaryIO) -> tuple[int, str]:
    size, digest = os.fstat(file.fileno()).st_size, hashlib.sha256()
    for offset in range(0, size, READ_BYTES):
        digest.update(os.pread(file.fileno(), READ_BYTES, offset))
    return size, digest.hexdigest()
