"""One extraction: its audio while ffmpeg decodes it, the verdict on what came out, and its receipt."""

import asyncio
import hashlib
import logging
import math
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from reelscribe.contracts.extractor import AudioFormat, ExtractAudioRequest, ExtractionReceipt
from reelscribe.contracts.messages import ErrorObject
from reelscribe.errors import (
    IncompleteRecording,
    InternalError,
    NoAudioInTime,
    NoAudioTrack,
    NoRoom,
    NotDecodable,
    PastTheEnd,
    ServiceError,
)
from reelscribe.media.commands import Encoding, extraction_command
from reelscribe.media.completeness import TOLERATED_SECONDS, declared_seconds, is_cut, shortfall
from reelscribe.media.ffmpeg import FFmpeg
from reelscribe.media.process import FFmpegProcess
from reelscribe.media.sandbox import KILLED_EXIT_CODES
from reelscribe.media.stored_object import StoredObject
from reelscribe.media.tracks import track_seconds
from reelscribe.settings.extractor import ExtractionSection

log = logging.getLogger(__name__)

HEAD_BYTES = 4096
"""Kept until the status is decided: longer than any audio header, so that it is known to hold sound."""


@asynccontextmanager
async def extract_audio(
    ffmpeg: FFmpeg,
    stored: StoredObject,
    request: ExtractAudioRequest,
    encoding: Encoding,
    extraction_id: str,
    limits: ExtractionSection,
    output: int | None = None,
) -> AsyncIterator["AudioExtraction"]:
    """Extract audio from an open object; leaving the block ends ffmpeg.

    Args:
        ffmpeg: the binary.
        stored: the object to read.
        request: what to make of it.
        encoding: of the audio.
        extraction_id: of the receipt.
        limits: ``[extraction]`` of config.cfg.
        output: descriptor of a file to write to; without it, the audio comes through a pipe.
    """
    tracks = await asyncio.to_thread(track_seconds, stored)
    url = "pipe:1" if output is None else f"file:/proc/self/fd/{output}"
    command = extraction_command(ffmpeg, stored, request, encoding, limits.mp3_compression_level, url)
    cpu_seconds = limits.max_duration * (os.cpu_count() or 1)
    async with FFmpegProcess(ffmpeg.sandbox, command, stored, cpu_seconds=cpu_seconds, output=output) as process:
        log.info("%s: ffmpeg started (%s, pid %d)", stored.savepath, encoding, process.pid)
        yield AudioExtraction(process, stored, request, encoding, extraction_id, tracks)


class AudioExtraction:
    """The audio of one ffmpeg run, and what is known of it; :func:`extract_audio` starts one."""

    def __init__(
        self,
        process: FFmpegProcess,
        stored: StoredObject,
        request: ExtractAudioRequest,
        encoding: Encoding,
        extraction_id: str,
        tracks: dict[int, float],
    ) -> None:
        self._process = process
        self._log = process.log
        self._stored = stored
        self._request = request
        self._format: AudioFormat = "source" if encoding == "matroska" or encoding == "adts" else encoding
        self._id = extraction_id
        self._track_seconds = tracks
        self._digest = hashlib.sha256()
        self._bytes = 0
        self._ended = False
        self._verdict: str | None = None

    @property
    def declared_seconds(self) -> float | None:
        """Length of the requested part as the container declares it; known once :meth:`head` has returned."""
        return declared_seconds(self._log, self._track_seconds, self._request.start, self._request.duration)

    async def head(self, timeout: float) -> bytes:
        """The first bytes. If ffmpeg ends within them, they are the complete body, and it has been judged.

        Args:
            timeout: longest wait, in seconds.

        Raises:
            NoAudioInTime: ffmpeg made no byte in time.
            NoAudioTrack, NotDecodable, PastTheEnd, IncompleteRecording: why there is no audio to send.
        """
        head = b""
        try:
            while len(head) < HEAD_BYTES and not self._ended:
                async with asyncio.timeout(timeout):
                    head += await self._read()
            async with asyncio.timeout(timeout):
                await self._process.described()
        except TimeoutError:
            raise NoAudioInTime(
                f"{self._stored.savepath}: ffmpeg made no audio within {timeout:g} s; try again, or raise start_timeout"
            ) from None
        if self._ended:
            await self._judge()
        else:
            self._check_start()
        return head

    async def chunks(self) -> AsyncIterator[bytes]:
        """The rest of the body, then the verdict.

        Raises:
            IncompleteRecording, NotDecodable: the body so far must not look complete.
        """
        if self._ended:
            return
        while chunk := await self._read():
            yield chunk
        await self._judge()

    async def finish(self) -> None:
        """Wait until everything is written to ``output``, and judge it.

        Raises:
            NoRoom, NoAudioTrack, NotDecodable, PastTheEnd, IncompleteRecording: the file is of no use.
        """
        await self._judge()

    def receipt(self, failure: ServiceError | None = None) -> ExtractionReceipt:
        """What was delivered. ``failure`` says why the body was cut; without it, the extraction has ended by itself."""
        return ExtractionReceipt(
            extraction_id=self._id,
            savepath=self._stored.savepath,
            bucket_name=self._stored.bucket_name,
            etag=self._stored.etag,
            last_modified=self._stored.last_modified,
            size=self._stored.size,
            audio_format=self._format,
            state="failed" if failure else ("incomplete" if self._verdict else "complete"),
            reason=failure.message if failure else self._verdict,
            error=ErrorObject.model_validate(failure.as_json()) if failure else None,
            declared_seconds=self.declared_seconds,
            delivered_seconds=self._log.delivered_seconds,
            samples=self._log.samples,
            bytes=self._bytes,
            sha256=self._digest.hexdigest(),
            decode_warnings=self._log.decode_warnings,
        )

    async def _read(self) -> bytes:
        chunk = await self._process.read()
        self._digest.update(chunk)
        self._bytes += len(chunk)
        self._ended = not chunk
        return chunk

    @property
    def _starts_past_the_end(self) -> bool:
        start, total = self._request.start, self._log.container_seconds
        return start > 0 and (self.declared_seconds == 0 or start >= (total or math.inf))

    def _check_start(self) -> None:
        """Refuse a start past the end: in some containers ffmpeg then delivers the last moment instead of nothing."""
        if self._starts_past_the_end and not self._log.estimated:
            raise self._past_the_end()

    def _past_the_end(self) -> PastTheEnd:
        return PastTheEnd(f"{self._stored.savepath} ends before start = {self._request.start:g} s")

    async def _judge(self) -> None:
        exit_code = await self._process.wait()
        savepath, delivered = self._stored.savepath, self._log.delivered_seconds
        if exit_code or self._log.decode_warnings:
            log.warning("%s: ffmpeg exited with %d: %s", savepath, exit_code, " | ".join(self._log.last_lines))
        if failure := self._stored.read_failure():
            raise failure
        if self._log.disk_full:
            raise NoRoom(f"{savepath}: the result does not fit on the disk of temp_dir; ask for delivery = stream")
        if exit_code < 0 or exit_code in KILLED_EXIT_CODES:
            killer = KILLED_EXIT_CODES.get(exit_code, f"signal {-exit_code}")
            raise InternalError(f"{savepath}: ffmpeg was killed by {killer}; try again")
        if delivered <= 0:
            raise self._no_audio()
        self._check_start()
        self._verdict = shortfall(self.declared_seconds, delivered, self._log.damaged_seconds)
        if not self._verdict and await self._is_cut():
            self._verdict = f"the stored file breaks off after {delivered:.1f} s"
        if exit_code and not self._verdict:
            self._verdict = f"ffmpeg gave up after {delivered:.1f} s"
        if self._verdict and not self._request.allow_incomplete:
            raise IncompleteRecording(
                f"{savepath}: {self._verdict}; replace it, or ask again with allow_incomplete",
                declared_seconds=self.declared_seconds,
                delivered_seconds=round(delivered, 3),
            )

    async def _is_cut(self) -> bool:
        wanted = self._request.duration
        if wanted and self._log.delivered_seconds >= wanted - TOLERATED_SECONDS:
            return False  # it may be cut, but after the requested part
        return await asyncio.to_thread(is_cut, self._log, self._track_seconds, self._stored)

    def _no_audio(self) -> ServiceError:
        savepath, track = self._stored.savepath, self._request.track
        if not self._log.container:
            return NotDecodable(f"{savepath} is not an audio or video file that ffmpeg can open")
        if not self._log.audio_tracks:
            return NoAudioTrack(f"{savepath} has no audio track")
        if track is not None and self._log.stream_index is None:
            last = self._log.audio_tracks - 1
            return NoAudioTrack(f"{savepath} has no audio track {track}; its tracks are 0 to {last}")
        if self._starts_past_the_end:
            return self._past_the_end()
        return NotDecodable(f"{savepath}: its audio track cannot be decoded")
