"""Finished extractions (``delivery = file``): made in temp_dir, served again or by ranges.

Each is kept for ``result_ttl`` seconds after it was last requested.
"""

import asyncio
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from reelscribe.contracts.extractor import ExtractAudioRequest, ProbedStream, ProbeResult
from reelscribe.errors import ExtractionNotFound
from reelscribe.media.commands import Encoding
from reelscribe.temporary_files import TemporaryFolder

HEADER_BYTES = 1 << 16
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
    encoding: Encoding
    size: int
    sha256: str


class Results:
    """The results that can still be fetched.

    Args:
        temp_dir: where they are made.
        ttl: seconds a result is kept after it was last requested.
    """

    def __init__(self, temp_dir: Path, ttl: float) -> None:
        self._folder = TemporaryFolder(temp_dir)
        self._ttl = ttl
        self._results: dict[str, Result] = {}
        self._ends: dict[str, asyncio.TimerHandle] = {}

    @contextmanager
    def reserve(
        self, wanted: int, otherwise: str = "ask for delivery = stream, which needs none"
    ) -> Iterator[BinaryIO]:
        """A new file with space for ``wanted`` bytes; closed after the block unless :meth:`keep` took it.

        Args:
            otherwise: what a client can do if there is no space.

        Raises:
            NoRoom: the disk of temp_dir cannot hold it in addition to what running extractions still need.
        """
        file = self._folder.create(wanted, otherwise)
        try:
            yield file
        finally:
            self._folder.settle(file)
            if file not in (result.file for result in self._results.values()):
                file.close()

    async def keep(self, extraction_id: str, file: BinaryIO, encoding: Encoding) -> Result:
        """Make a finished file available."""
        size, sha256 = await asyncio.to_thread(_measure, file)
        result = Result(extraction_id, file, encoding, size, sha256)
        self._results[extraction_id] = result
        self._keep_on(extraction_id)
        return result

    def get(self, extraction_id: str) -> Result:
        """A result that is still kept.

        Raises:
            ExtractionNotFound: it is no longer kept, or never was.
        """
        if extraction_id not in self._results:
            raise ExtractionNotFound(f"no result of extraction {extraction_id}; results are kept {self._ttl:g} s")
        self._keep_on(extraction_id)
        return self._results[extraction_id]

    def _keep_on(self, extraction_id: str) -> None:
        if extraction_id in self._ends:
            self._ends[extraction_id].cancel()
        self._ends[extraction_id] = asyncio.get_running_loop().call_later(self._ttl, self._drop, extraction_id)

    def _drop(self, extraction_id: str) -> None:
        self._ends.pop(extraction_id).cancel()
        self._results.pop(extraction_id).file.close()

    def close(self) -> None:
        """Drop them all."""
        for extraction_id in list(self._results):
            self._drop(extraction_id)


def expected_bytes(request: ExtractAudioRequest, encoding: Encoding, probed: ProbeResult) -> int:
    """Upper bound of a result's size, from the length that the recording declares.

    If it declares none, it is assumed to be as long as its bytes last at 32 kbit/s.
    """
    total = probed.duration or probed.size * 8 / 32_000
    seconds = max(0.0, total - request.start)
    if request.duration:
        seconds = min(seconds, request.duration)
    if encoding in ("matroska", "adts"):
        return probed.size + HEADER_BYTES
    if encoding == "mp3":
        return int(seconds * request.bitrate_kbps * 125) + HEADER_BYTES
    track = _track(probed, request.track)
    sample_rate = request.sample_rate or (track and track.sample_rate) or DEFAULT_SAMPLE_RATE
    mixed = 1 if request.channel is not None else request.channels
    channels = (None if mixed == "all" else mixed) or (track and track.channels) or 2
    return int(seconds * sample_rate * channels * 2) + HEADER_BYTES


def _track(probed: ProbeResult, requested: int | None) -> ProbedStream | None:
    tracks = [stream for stream in probed.streams if stream.kind == "audio"]
    number = probed.chosen_track if requested is None else requested
    return tracks[number] if number is not None and number < len(tracks) else None


def _measure(file: BinaryIO) -> tuple[int, str]:
    size, digest = os.fstat(file.fileno()).st_size, hashlib.sha256()
    for offset in range(0, size, READ_BYTES):
        digest.update(os.pread(file.fileno(), READ_BYTES, offset))
    return size, digest.hexdigest()
