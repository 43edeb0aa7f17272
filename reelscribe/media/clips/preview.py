"""A preview: some moments of a recording one after the other, without sound, as a small file that moves."""

import asyncio
import os
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from fractions import Fraction
from math import sqrt
from typing import BinaryIO, Literal, Protocol

from reelscribe.contracts.clips import ClipReceipt, PreviewMoment, PreviewRequest
from reelscribe.contracts.exact import decimal
from reelscribe.errors import BadRequest, IncompleteRecording, NoAudioInTime, NoRoom, PastTheEnd, TooLarge
from reelscribe.media.clips.clip import Recording, open_recording
from reelscribe.media.clips.commands import ffmpeg_failed, filters_of, preview_command, raw_command
from reelscribe.media.clips.picture_filters import Shown, shown
from reelscribe.media.clips.picture_process import CutPart, DoneCut, PictureProcess
from reelscribe.media.ffmpeg import FFmpeg
from reelscribe.media.processes.pipe import Channel
from reelscribe.media.processes.process import FFmpegProcess
from reelscribe.media.stored_object import StoredObject
from reelscribe.media.verdict import is_full
from reelscribe.settings.extractor import ExtractionSection
from reelscribe.temporary_files import write_all

BYTES_PER_PIXEL = 3
MOST_RAW_BYTES = 512 << 20
MOST_ATTEMPTS = 8
SMALLEST_SIDE = 48
SLOWEST_FPS = 2.0
OVERSHOOT = 2
"""Times the size that is asked for, which an attempt may reach: what is longer is cut there, and not kept."""

SAFETY = 0.94
"""What is aimed at, as a share of the size that is asked for: sizes of files are not in proportion to pictures."""


class Reserve(Protocol):
    """Makes a temporary file with space for so many bytes; it is closed by its maker."""

    def __call__(self, wanted: int) -> BinaryIO:
        """The file."""


@dataclass
class Preview:
    """A finished preview.

    Attributes:
        file: that holds it.
        bytes: its length.
        width, height, fps: as delivered.
        attempts: how often it was encoded until it fitted.
    """

    file: BinaryIO
    bytes: int
    width: int
    height: int
    fps: float
    attempts: int


@dataclass
class PreviewExtraction:
    """Makes one preview; the attributes after ``reserve`` are known once :meth:`make` has returned."""

    ffmpeg: FFmpeg
    stored: StoredObject
    request: PreviewRequest
    extraction_id: str
    limits: ExtractionSection
    reserve: Reserve
    preview: Preview | None = None
    reason: str | None = None
    remarks: list[str] = field(default_factory=list)
    moments: list[PreviewMoment] = field(default_factory=list)
    damaged: int = 0
    _recording: Recording | None = None

    async def make(self) -> Preview:
        """Decode the moments, and encode them until they fit.

        Raises:
            BadRequest, NoVideoTrack, NotDecodable, PastTheEnd, IncompleteRecording: there is nothing to show.
            TooLarge: it cannot be made as small as asked for.
        """
        request, timeout = self.request, self.limits.start_timeout
        self._recording = await open_recording(self.ffmpeg, self.stored, request.video_track, timeout)
        starts = self._starts(self._recording)
        fps, seconds = decimal(request.fps), decimal(request.seconds)
        raw, look = await self._decode([CutPart(start, start + seconds, fps) for start in starts])
        self.preview = await self._encode(raw, look)
        return self.preview

    def receipt(self, sha256: str) -> ClipReceipt:
        """What was delivered."""
        assert self.preview and self._recording
        stored, picture = self.stored, self._recording.picture
        state: Literal["complete", "incomplete"] = "incomplete" if self.reason else "complete"
        return ClipReceipt(
            extraction_id=self.extraction_id,
            kind="preview",
            savepath=stored.savepath,
            bucket_name=stored.bucket_name,
            etag=stored.etag,
            last_modified=stored.last_modified,
            size=stored.size,
            state=state,
            reason=self.reason,
            asked_seconds=self.request.seconds * len(self.moments),
            seconds=round(sum(moment.seconds for moment in self.moments), 6),
            begins=self.moments[0].start,
            frames=sum(moment.frames for moment in self.moments),
            damaged_frames=self.damaged,
            bytes=self.preview.bytes,
            sha256=sha256,
            width=self.preview.width,
            height=self.preview.height,
            fps=self.preview.fps,
            moments=self.moments,
            video_track=picture.track,
            video_track_choice=picture.why,
            remarks=self.remarks,
        )

    def _starts(self, recording: Recording) -> list[Fraction]:
        """
        Raises:
            BadRequest: they are not named, and the recording does not say how long it is.
        """
        if self.request.moments is not None:
            return [decimal(moment) for moment in self.request.moments]
        length = recording.picture.stream.duration or recording.inspection.duration or recording.structure.seconds
        if not length:
            raise BadRequest(f"count: {self.stored.savepath} does not say how long it is; name moments instead")
        count, seconds = self.request.count or 1, self.request.seconds
        middles = (length * (number + 0.5) / count for number in range(count))
        return [decimal(round(max(0.0, min(middle - seconds / 2, length - seconds)), 3)) for middle in middles]

    async def _decode(self, parts: Sequence[CutPart]) -> tuple[BinaryIO, Shown]:
        """The pictures as raw ones in a file."""
        assert self._recording
        recording, savepath = self._recording, self.stored.savepath
        cpu_seconds = self.limits.max_duration * (os.cpu_count() or 1)
        async with AsyncExitStack() as stack:
            raw_pictures = Channel()
            stack.callback(raw_pictures.close)
            pictures = PictureProcess(
                self.ffmpeg,
                recording.stored,
                parts,
                raw_pictures,
                picture=recording.picture.stream.index,
                origin=recording.origin,
                cpu_seconds=cpu_seconds,
                most_pixels=self.limits.max_picture_pixels,
            )
            await stack.enter_async_context(pictures)
            try:
                async with asyncio.timeout(self.limits.start_timeout):
                    first = await pictures.first()
            except TimeoutError:
                raise NoAudioInTime(
                    f"{savepath}: no picture was decoded within {self.limits.start_timeout:g} s; try again, or raise "
                    "start_timeout"
                ) from None
            if first is None:
                raise PastTheEnd(f"{savepath} shows no picture at any of these moments")
            look = shown(first, self.request.size, await asyncio.to_thread(filters_of, self.ffmpeg.path), square=True)
            self.remarks += look.remarks
            raw, position = self.reserve(self._raw_bytes(parts, look)), 0
            command = raw_command(self.ffmpeg, look.filters, raw_pictures.reading)
            async with FFmpegProcess(
                self.ffmpeg.sandbox, command, cpu_seconds=cpu_seconds, channels=(raw_pictures,)
            ) as process:
                while chunk := await process.read():
                    await asyncio.to_thread(write_all, raw.fileno(), chunk, position, self._full())
                    position += len(chunk)
                if exit_code := await process.wait():
                    raise ffmpeg_failed(savepath, "preview", exit_code, process.messages.last)
            self._take(parts, await pictures.done())
        return raw, look

    def _full(self) -> NoRoom:
        return NoRoom(f"{self.stored.savepath}: the disk of temp_dir is full; ask for a smaller preview")

    def _raw_bytes(self, parts: Sequence[CutPart], look: Shown) -> int:
        """
        Raises:
            BadRequest: it is too much.
        """
        pictures = sum(int((part.end - part.start) * (part.fps or 1)) + 1 for part in parts)
        wanted = pictures * look.width * look.height * BYTES_PER_PIXEL
        if wanted > MOST_RAW_BYTES:
            raise BadRequest(
                f"{pictures} pictures of {look.width}x{look.height} are {wanted >> 20} MiB; a preview is made of at "
                f"most {MOST_RAW_BYTES >> 20}: ask for a smaller size, fewer seconds or a lower fps",
                fields=["size", "seconds", "fps"],
            )
        return wanted

    def _take(self, parts: Sequence[CutPart], done: DoneCut) -> None:
        """
        Raises:
            PastTheEnd: a moment has no picture.
            IncompleteRecording: pictures are damaged, and that is not allowed.
        """
        savepath = self.stored.savepath
        for part, found in zip(parts, done.parts, strict=True):
            if not found.frames:
                raise PastTheEnd(f"{savepath} shows no picture at {float(part.start):g} s")
            seconds = float(found.frames / (part.fps or 1))
            self.moments.append(PreviewMoment(start=float(part.start), seconds=seconds, frames=found.frames))
            if seconds < float(part.end - part.start) - float(1 / (part.fps or 1)):
                self.remarks.append(f"the recording ends {seconds:.3f} s after the moment at {float(part.start):g} s")
        self.damaged = done.corrupt + done.failed
        if self.damaged:
            self.reason = f"{self.damaged} pictures of these moments could not be decoded intact"
            if not self.request.allow_incomplete:
                raise IncompleteRecording(f"{savepath}: {self.reason}; replace it, or ask again with allow_incomplete")

    async def _encode(self, raw: BinaryIO, look: Shown) -> Preview:
        """Smaller pictures, then fewer of them, until the file fits.

        Raises:
            TooLarge: it does not, whatever is tried.
        """
        request = self.request
        longest, step, smallest = max(look.width, look.height), 1, 0
        for attempt in range(1, MOST_ATTEMPTS + 1):
            factor = longest / max(look.width, look.height)
            size = max(2, 2 * round(look.width * factor / 2)), max(2, 2 * round(look.height * factor / 2))
            file = self.reserve(OVERSHOOT * request.max_bytes)
            await self._run(raw, file, look, size, step)
            length = os.fstat(file.fileno()).st_size
            smallest = min(smallest or length, length)
            if length <= request.max_bytes:
                if attempt > 1:
                    self.remarks.append(f"made smaller to fit into {request.max_bytes} bytes")
                return Preview(file, length, *size, request.fps / step, attempt)
            file.close()
            share = SAFETY * request.max_bytes / length
            may_slow = request.fps / (2 * step) >= SLOWEST_FPS
            if may_slow and (share < 0.6 or longest <= SMALLEST_SIDE):
                step, share = 2 * step, min(1.0, share * 1.7)
            elif longest <= SMALLEST_SIDE:
                break
            longest = max(min(SMALLEST_SIDE, longest), min(longest, int(longest * sqrt(share))))
        other = ", or for webp or mp4" if request.format == "gif" else ""
        raise TooLarge(
            f"{self.stored.savepath}: the smallest {request.format} of these moments has {smallest} bytes or more, and "
            f"max_bytes is {request.max_bytes}: ask for fewer moments or seconds{other}",
            smallest=smallest,
            max_bytes=request.max_bytes,
        )

    async def _run(self, raw: BinaryIO, file: BinaryIO, look: Shown, size: tuple[int, int], step: int) -> None:
        command = preview_command(
            self.ffmpeg,
            self.request.format,
            raw.fileno(),
            (look.width, look.height),
            size,
            self.request.fps,
            step,
            file.fileno(),
        )
        cpu_seconds = self.limits.max_duration
        async with FFmpegProcess(
            self.ffmpeg.sandbox,
            command,
            (raw.fileno(), file.fileno()),
            cpu_seconds=cpu_seconds,
            may_write=True,
            most_bytes=OVERSHOOT * self.request.max_bytes,
        ) as process:
            await process.read_all()
            exit_code = await process.wait()
        if exit_code and os.fstat(file.fileno()).st_size < OVERSHOOT * self.request.max_bytes:
            if is_full(file.fileno()):
                raise self._full()
            raise ffmpeg_failed(self.stored.savepath, "preview", exit_code, process.messages.last)
