"""``POST /extract-clip``: a part of a video, streamed while it is made, or in a tar with its sound as a file."""

import asyncio
import hashlib
import json
import logging
import os
import uuid
from collections.abc import AsyncGenerator
from contextlib import ExitStack, aclosing
from math import ceil
from tarfile import BLOCKSIZE
from typing import BinaryIO

from extractor_api.extraction_handler import ExtractionHandler
from reelscribe.contracts.clips import ClipReceipt, ClipRecord, ClipRequest
from reelscribe.contracts.exact import decimal, milliseconds
from reelscribe.contracts.extractor import ExtractAudioRequest
from reelscribe.errors import NoRoom, PastTheEnd, ServiceError
from reelscribe.media.audio import AudioExtraction, extract_audio
from reelscribe.media.clips.clip import ClipExtraction, extract_clip, preceded
from reelscribe.media.pictures.tar import END, MOST_MEMBER_BYTES, TAR, header, name_of, padding
from reelscribe.media.stored_object import StoredObject
from reelscribe.temporary_files import write_all

log = logging.getLogger(__name__)

MP4 = "video/mp4"
SHORT_SECONDS = 60
"""Clips of at most that length may take the slot that is kept for short work."""

READ_BYTES = 1 << 18
MOST_BYTES_PER_SECOND = 4 << 20
"""Space that is reserved for a clip in a tar, and the most that it may take."""
MOST_SOUND_BYTES_PER_SECOND = 192_000 * 8 * 2


class ExtractClipHandler(ExtractionHandler):
    """``POST /extract-clip``."""

    async def post(self) -> None:
        request = self.read_body(ClipRequest)
        await self.within_limits(request.savepath, self._extract(request))

    async def _extract(self, request: ClipRequest) -> None:
        extraction_id, short = uuid.uuid4().hex, request.duration <= SHORT_SECONDS
        service = self.service
        async with service.stored_object(request.savepath, request.bucket_name) as stored:
            with service.decoder_slots.claim(interactive=short) as claim, ExitStack() as files:
                await claim.wait(interactive=short)
                log.info("%s: path resolved: %s (%d bytes)", stored.savepath, stored.origin, stored.size)
                async with extract_clip(service.ffmpeg, stored, request, extraction_id, service.limits) as clip:
                    head = await clip.head(service.limits.start_timeout)
                    if request.audio == "none":
                        self._begin(MP4, clip, stored)
                        await self.stream(clip, head)
                        return
                    tar = await self._tar(files, clip, head, request, stored)
                    self._begin(TAR, clip, stored)
                    self.set_header("Content-Length", str(tar.size))
                    await self.stream(tar, b"")

    def _begin(self, content_type: str, clip: ClipExtraction, stored: StoredObject) -> None:
        self.do_not_buffer()
        self.set_header("Content-Type", content_type)
        self.set_header("X-Extraction-Id", clip.extraction_id)
        self.set_header("X-Object-ETag", stored.etag)
        self.set_header("X-Begins-Seconds", f"{clip.begins:.6f}")

    async def _tar(
        self, files: ExitStack, clip: ClipExtraction, head: bytes, request: ClipRequest, stored: StoredObject
    ) -> "ClipTar":
        otherwise = "ask for audio = none, which needs none"
        reserve = self.service.results.reserve
        wanted = min(ceil(request.duration + 60) * MOST_BYTES_PER_SECOND, MOST_MEMBER_BYTES)
        video = files.enter_context(reserve(wanted, otherwise))
        full = NoRoom(f"{stored.savepath}: the clip does not fit on the disk of temp_dir; {otherwise}")
        position = 0
        async with aclosing(preceded(head, clip.chunks())) as chunks:
            async for chunk in chunks:
                if position + len(chunk) > wanted:
                    raise NoRoom(
                        f"{stored.savepath}: the clip is larger than the {wanted >> 20} MiB reserved; {otherwise}"
                    )
                await asyncio.to_thread(write_all, video.fileno(), chunk, position, full)
                position += len(chunk)
        begins = max(0.0, clip.begins)
        seconds = request.start + request.duration - begins
        sound = files.enter_context(reserve(ceil(seconds) * MOST_SOUND_BYTES_PER_SECOND, otherwise))
        extraction = await self._sound(clip, request, stored, sound, begins, seconds)
        return ClipTar(clip, request, stored, video, sound, extraction)

    async def _sound(
        self,
        clip: ClipExtraction,
        request: ClipRequest,
        stored: StoredObject,
        file: BinaryIO,
        begins: float,
        seconds: float,
    ) -> AudioExtraction | None:
        """The sound of the clip in a file, exact to the sample; None if it has ended before."""
        assert request.audio != "none"
        wanted = ExtractAudioRequest(
            savepath=request.savepath,
            audio_format=request.audio,
            start=begins,
            duration=seconds,
            track=request.track,
            sample_rate=request.sample_rate,
            channels=request.channels or "all",
            allow_incomplete=request.allow_incomplete,
        )
        service = self.service
        try:
            async with extract_audio(
                service.ffmpeg,
                stored,
                wanted,
                request.audio,
                clip.extraction_id,
                service.limits,
                file.fileno(),
                clip.beginning_of_sound,
            ) as extraction:
                await extraction.finish(service.limits.start_timeout)
        except PastTheEnd:
            return None
        return extraction


class ClipTar:
    """The clip, its sound and its description, as three files of a tar.

    Attributes:
        size: of the tar, in bytes.
    """

    def __init__(
        self,
        clip: ClipExtraction,
        request: ClipRequest,
        stored: StoredObject,
        video: BinaryIO,
        sound: BinaryIO,
        extraction: AudioExtraction | None,
    ) -> None:
        self._clip, self._digest, self._bytes = clip, hashlib.sha256(), 0
        key = request.key or key_of(request.savepath, request.start)
        record = _record(key, clip, request, stored, extraction)
        text = json.dumps(record.model_dump(mode="json")).encode()
        self._members: list[tuple[str, BinaryIO | bytes]] = [(f"{key}.mp4", video)]
        if extraction:
            self._members.append((f"{key}.{request.audio}", sound))
        self._members.append((f"{key}.json", text))
        self.size = sum(
            BLOCKSIZE + (size := _size(content)) + len(padding(size)) for _, content in self._members
        ) + len(END)

    async def chunks(self) -> AsyncGenerator[bytes, None]:
        """All of it."""
        for name, content in self._members:
            size = _size(content)
            yield self._counted(header(name, size))
            for offset in range(0, size, READ_BYTES):
                yield self._counted(await asyncio.to_thread(_piece, content, offset))
            yield self._counted(padding(size))
        yield self._counted(END)

    def receipt(self, failure: ServiceError | None = None) -> ClipReceipt:
        """That of the clip; bytes and SHA-256 are of the tar."""
        return self._clip.receipt(failure).model_copy(update={"bytes": self._bytes, "sha256": self._digest.hexdigest()})

    def _counted(self, chunk: bytes) -> bytes:
        self._digest.update(chunk)
        self._bytes += len(chunk)
        return chunk


def key_of(savepath: str, start: float) -> str:
    """The name of the files in the tar: that of the recording, and the start in milliseconds."""
    return f"{name_of(savepath)}_{milliseconds(decimal(start)):09d}"


def _record(
    key: str, clip: ClipExtraction, request: ClipRequest, stored: StoredObject, extraction: AudioExtraction | None
) -> ClipRecord:
    assert clip.first
    sample_rate, channels = extraction.shape[:2] if extraction else (None, None)
    return ClipRecord(
        key=key,
        savepath=stored.savepath,
        bucket_name=stored.bucket_name,
        etag=stored.etag,
        mode=request.mode,
        asked_start=request.start,
        asked_seconds=request.duration,
        begins=clip.begins,
        seconds=clip.seconds,
        video_pts=clip.first.pts,
        video_time_base=clip.first.time_base,
        frames=clip.frames,
        width=clip.width,
        height=clip.height,
        audio_start_sample=round(max(0.0, clip.begins) * sample_rate) if sample_rate else None,
        audio_samples=extraction.receipt().samples if extraction else None,
        sample_rate=sample_rate,
        channels=channels,
    )


def _size(content: BinaryIO | bytes) -> int:
    return len(content) if isinstance(content, bytes) else os.fstat(content.fileno()).st_size


def _piece(content: BinaryIO | bytes, offset: int) -> bytes:
    if isinstance(content, bytes):
        return content[offset : offset + READ_BYTES]
    return os.pread(content.fileno(), READ_BYTES, offset)
