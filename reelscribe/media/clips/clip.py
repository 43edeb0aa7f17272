"""One clip: a part of a recording as a fragmented MP4 while it is made, the verdict on it, and its receipt."""

import asyncio
import hashlib
import os
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

from reelscribe.contracts.clips import ClipReceipt, ClipRequest
from reelscribe.contracts.exact import decimal
from reelscribe.contracts.extractor import ExtractAudioRequest
from reelscribe.contracts.messages import ErrorObject
from reelscribe.errors import (
    IncompleteRecording,
    NoAudioInTime,
    NoAudioTrack,
    PastTheEnd,
    ServiceError,
    UnsupportedFormat,
)
from reelscribe.media.audio import HEAD_BYTES, AudioExtraction, extract_audio
from reelscribe.media.choice import choose_track
from reelscribe.media.clips.commands import clip_command, ffmpeg_failed, filters_of
from reelscribe.media.clips.completeness import LONG_SECONDS, SHORT_SECONDS, missing_picture
from reelscribe.media.clips.picture_filters import shown
from reelscribe.media.clips.picture_process import CutPart, DoneCut, FirstPicture, PictureProcess
from reelscribe.media.ffmpeg import FFmpeg
from reelscribe.media.inspection import InspectedStream, Inspection, inspect
from reelscribe.media.picture_choice import PictureChoice, choose_picture
from reelscribe.media.pictures.beginning import beginning_of_sound, stored_beginning
from reelscribe.media.processes.pipe import Channel, Pipe
from reelscribe.media.sound.encoder import Encoder
from reelscribe.media.stored_object import StoredObject
from reelscribe.media.structure.facts import Structure
from reelscribe.media.structure.reading import as_input, read_structure
from reelscribe.settings.extractor import ExtractionSection

MP4_PICTURES = ("h264", "hevc", "av1", "vp9", "mpeg4", "mpeg2video", "mpeg1video")
MP4_SOUND = ("aac", "mp3", "mp2", "ac3", "eac3", "opus", "flac", "alac")
"""Codecs that are copied into MP4."""

AAC_SAMPLE_RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000, 88200, 96000)
USUAL_SAMPLE_RATE = 48_000


@dataclass
class Recording:
    """What is known of the recording of a request before its picture is read.

    Attributes:
        stored: as libav has to read it.
        origin: see :func:`reelscribe.media.pictures.beginning.stored_beginning`.
        picture: the stream that is taken.
    """

    stored: StoredObject
    structure: Structure
    inspection: Inspection
    origin: str | None
    picture: PictureChoice


async def open_recording(ffmpeg: FFmpeg, stored: StoredObject, video_track: int | None, timeout: float) -> Recording:
    """Look at an open object.

    Raises:
        NotDecodable, NoAudioInTime, NoVideoTrack: there is no picture to take.
    """
    structure = await asyncio.to_thread(read_structure, stored)
    stored = as_input(stored, structure)
    inspection, origin = await asyncio.gather(
        inspect(ffmpeg, stored, timeout, cut=structure.cut), asyncio.to_thread(stored_beginning, stored)
    )
    picture = choose_picture(inspection.streams, video_track, stored.savepath)
    return Recording(stored, structure, inspection, origin, picture)


@asynccontextmanager
async def extract_clip(
    ffmpeg: FFmpeg, stored: StoredObject, request: ClipRequest, extraction_id: str, limits: ExtractionSection
) -> AsyncIterator["ClipExtraction"]:
    """Cut a clip from an open object; leaving the block ends what makes it.

    Raises:
        NotDecodable, NoAudioInTime, NoVideoTrack: there is no picture to take.
    """
    recording = await open_recording(ffmpeg, stored, request.video_track, limits.start_timeout)
    clip = ClipExtraction(ffmpeg, recording, request, extraction_id, limits)
    try:
        yield clip
    finally:
        await clip.close()


class ClipExtraction:
    """The MP4 of one clip, and what is known of it; :func:`extract_clip` starts one.

    Attributes:
        first: its first picture; None before it is known.
        width, height: of the picture as delivered; None of a copy.
    """

    def __init__(
        self,
        ffmpeg: FFmpeg,
        recording: Recording,
        request: ClipRequest,
        extraction_id: str,
        limits: ExtractionSection,
    ) -> None:
        self.extraction_id = extraction_id
        self.first: FirstPicture | None = None
        self.width: int | None = None
        self.height: int | None = None
        self.seconds = 0.0
        self._ffmpeg, self._recording, self._request = ffmpeg, recording, request
        self._limits = limits
        self._cpu_seconds = limits.max_duration * (os.cpu_count() or 1)
        self._end = request.start + request.duration
        self._sound: AudioExtraction | None = None
        self._track: tuple[int, str] | None = None
        self._done: DoneCut | None = None
        self._reason: str | None = None
        self._remarks: list[str] = []
        self._digest, self._bytes, self._ended = hashlib.sha256(), 0, False
        self._body = self._copied() if request.mode == "copy" else self._encoded()

    @property
    def begins(self) -> float:
        """Time in the recording at which the clip begins: ``start``, but of a copy that of its key frame."""
        copied = self._request.mode == "copy" and self.first
        return self.first.seconds if copied and self.first else self._request.start

    @property
    def beginning_of_sound(self) -> float | None:
        """The ``origin`` of :func:`extract_audio` for sound that goes with its pictures, once the first is known."""
        return beginning_of_sound(self._recording.structure, Fraction(self.first.origin) if self.first else None)

    @property
    def frames(self) -> int:
        """Pictures in the body."""
        return self._done.parts[0].frames if self._done else 0

    async def head(self, timeout: float) -> bytes:
        """The first bytes. If the clip ends within them, they are the complete body, and it has been judged.

        Raises:
            NoAudioInTime: no byte was made in time.
            ServiceError: why there is no clip to send.
        """
        head = b""
        try:
            while len(head) < HEAD_BYTES and not self._ended:
                async with asyncio.timeout(timeout):
                    head += await self._read()
        except TimeoutError:
            savepath = self._recording.stored.savepath
            raise NoAudioInTime(
                f"{savepath}: no picture was made within {timeout:g} s; try again, or raise start_timeout"
            ) from None
        return head

    async def chunks(self) -> AsyncGenerator[bytes, None]:
        """The rest of the body, then the verdict.

        Raises:
            ServiceError: the body so far must not look complete.
        """
        while not self._ended and (chunk := await self._read()):
            yield chunk

    async def close(self) -> None:
        """End all that makes it."""
        await self._body.aclose()

    async def _read(self) -> bytes:
        chunk = await anext(self._body, b"")
        self._digest.update(chunk)
        self._bytes += len(chunk)
        self._ended = not chunk
        return chunk

    async def _encoded(self) -> AsyncGenerator[bytes, None]:
        request, raw = self._request, Channel()
        async with AsyncExitStack() as stack:
            stack.callback(raw.close)
            pictures = await self._start(stack, raw)
            wav = await self._wav(stack)
            assert self.first
            look = shown(self.first, request.size, await asyncio.to_thread(filters_of, self._ffmpeg.path))
            self.width, self.height = look.width, look.height
            self._remarks += look.remarks
            command = clip_command(self._ffmpeg, look.filters, raw.reading, with_sound=wav is not None)
            encoder = Encoder(self._ffmpeg, command, cpu_seconds=self._cpu_seconds, channels=(raw,))
            async with aclosing(encoder.encode(wav or _nothing())) as chunks:
                async for chunk in chunks:
                    yield chunk
            if encoder.exit_code:
                raise ffmpeg_failed(self._recording.stored.savepath, "clip", encoder.exit_code, encoder.messages)
            self._done = await pictures.done()
            self._judge()

    async def _copied(self) -> AsyncGenerator[bytes, None]:
        sound, pipe = self._copied_sound(self._recording.picture.stream), Pipe()
        async with AsyncExitStack() as stack:
            stack.callback(pipe.close)
            pictures = await self._start(stack, pipe, sound)
            while chunk := await pipe.read():
                yield chunk
            self._done = await pictures.done()
            self._judge()

    async def _start(self, stack: AsyncExitStack, body: Pipe | Channel, sound: int | None = None) -> PictureProcess:
        start = decimal(self._request.start)
        pictures = PictureProcess(
            self._ffmpeg,
            self._recording.stored,
            [CutPart(start, start + decimal(self._request.duration))],
            body,
            picture=self._recording.picture.stream.index,
            sound=sound,
            origin=self._recording.origin,
            copy=self._request.mode == "copy",
            cpu_seconds=self._cpu_seconds,
            most_pixels=self._limits.max_picture_pixels,
        )
        await stack.enter_async_context(pictures)
        self.first = await pictures.first()
        if self.first is None:
            raise PastTheEnd(f"{self._recording.stored.savepath} shows no picture from start = {float(start):g} s on")
        return pictures

    def _copied_sound(self, picture: InspectedStream) -> int | None:
        """
        Raises:
            UnsupportedFormat: a codec cannot be copied.
            NoAudioTrack: the requested track does not exist.
        """
        savepath, streams = self._recording.stored.savepath, self._recording.inspection.streams
        if picture.codec not in MP4_PICTURES:
            raise UnsupportedFormat(f"{savepath}: {picture.codec} is not copied into mp4; take mode = exact")
        if self._request.track is None and not self._recording.inspection.audio:
            return None
        choice = choose_track(streams, self._request.track, savepath)
        if (codec := streams[choice.index].codec) not in MP4_SOUND:
            raise UnsupportedFormat(f"{savepath}: sound of {codec} is not copied into mp4; take mode = exact")
        self._track = choice.track, choice.why
        return choice.index

    async def _wav(self, stack: AsyncExitStack) -> AsyncGenerator[bytes, None] | None:
        """The sound of the clip, exact to the sample; None if the part has none."""
        request, recording = self._request, self._recording
        if request.track is None and not recording.inspection.audio:
            return None
        choice = choose_track(recording.inspection.streams, request.track, recording.stored.savepath)
        stream = recording.inspection.streams[choice.index]
        wanted = ExtractAudioRequest(
            savepath=request.savepath,
            audio_format="wav",
            start=request.start,
            duration=request.duration,
            track=choice.track,
            sample_rate=None if stream.sample_rate in AAC_SAMPLE_RATES else USUAL_SAMPLE_RATE,
            channels=2 if (stream.channels or 0) > 2 else None,
            allow_incomplete=request.allow_incomplete,
        )
        try:
            sound = await stack.enter_async_context(
                extract_audio(
                    self._ffmpeg,
                    recording.stored,
                    wanted,
                    "wav",
                    self.extraction_id,
                    self._limits,
                    origin=self.beginning_of_sound,
                )
            )
            head = await sound.head(self._limits.start_timeout)
        except (PastTheEnd, NoAudioTrack) as none:
            if request.track is not None and isinstance(none, NoAudioTrack):
                raise
            self._remarks.append("its sound ends before this part")
            return None
        self._sound, self._track = sound, (choice.track, choice.why)
        return preceded(head, sound.chunks())

    def _judge(self) -> None:
        """
        Raises:
            IncompleteRecording: it is not complete, and that is not allowed.
        """
        assert self._done and self.first
        request, [part] = self._request, self._done.parts
        ends = min(part.ends or request.start, self._end) if request.mode == "exact" else part.ends or request.start
        sound = self._sound.receipt() if self._sound else None
        self.seconds = max(ends - self.begins, sound.delivered_seconds if sound else 0.0)
        recording = self._recording
        self._reason = missing_picture(
            recording.structure, recording.inspection, recording.picture, self._done, ends, self._end
        )
        if sound:
            self._reason = self._reason or sound.reason
            self._remarks += sound.remarks
        late = self.first.seconds - self.begins
        if late > SHORT_SECONDS:
            self._remarks.append(f"the picture begins {late:.3f} s after the clip")
        if part.longest > LONG_SECONDS:
            self._remarks.append(f"one picture is shown for {part.longest:.1f} s")
        missing = self._end - self.begins - self.seconds
        if missing > SHORT_SECONDS:
            self._remarks.append(f"the recording ends {missing:.3f} s before the requested part does")
        if self._reason and not request.allow_incomplete:
            raise IncompleteRecording(
                f"{self._recording.stored.savepath}: {self._reason}; replace it, or ask again with allow_incomplete",
                delivered_seconds=round(self.seconds, 3),
            )

    def receipt(self, failure: ServiceError | None = None) -> ClipReceipt:
        """What was delivered. ``failure`` says why the body was cut."""
        stored, sound = self._recording.stored, self._sound.receipt() if self._sound else None
        state: Literal["complete", "incomplete", "failed"] = "incomplete" if self._reason else "complete"
        return ClipReceipt(
            extraction_id=self.extraction_id,
            kind="clip",
            savepath=stored.savepath,
            bucket_name=stored.bucket_name,
            etag=stored.etag,
            last_modified=stored.last_modified,
            size=stored.size,
            state="failed" if failure else state,
            reason=failure.message if failure else self._reason,
            error=ErrorObject.model_validate(failure.as_json()) if failure else None,
            asked_seconds=self._request.duration,
            seconds=round(self.seconds, 6),
            begins=self.begins,
            frames=self.frames,
            damaged_frames=self._done.corrupt + self._done.failed if self._done else None,
            samples=sound.samples if sound else None,
            bytes=self._bytes,
            sha256=self._digest.hexdigest(),
            width=self.width,
            height=self.height,
            track=self._track and self._track[0],
            track_choice=self._track and self._track[1],
            video_track=self._recording.picture.track,
            video_track_choice=self._recording.picture.why,
            remarks=self._remarks,
        )


async def preceded(head: bytes, rest: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
    """``head``, then the rest."""
    yield head
    async with aclosing(rest) as chunks:
        async for chunk in chunks:
            yield chunk


async def _nothing() -> AsyncGenerator[bytes, None]:
    return
    yield b""
