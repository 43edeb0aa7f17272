"""One request for pairs or frames: the tar of its samples while they are decoded, and its receipt."""

import asyncio
import hashlib
import os
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from fractions import Fraction
from typing import Any

from reelscribe.contracts.exact import decimal, half_up, milliseconds
from reelscribe.contracts.extractor import ExtractAudioRequest
from reelscribe.contracts.messages import MOST_SECONDS, ErrorObject
from reelscribe.contracts.pictures import FrameRecord, PairRecord, PairsRequest, SamplesReceipt
from reelscribe.errors import BadRequest, IncompleteRecording, NoAudioInTime, NotDecodable, PastTheEnd, ServiceError
from reelscribe.media.audio import AudioExtraction, extract_audio
from reelscribe.media.completeness import shortfall
from reelscribe.media.ffmpeg import FFmpeg
from reelscribe.media.pictures.beginning import VAGUE, beginning_of_sound, stored_beginning
from reelscribe.media.pictures.flac import check_channels, flac
from reelscribe.media.pictures.moments import Moment, SamplesRequest, moments, number_of_moments, part_end
from reelscribe.media.pictures.process import Opened, Picture, PictureProcess, decode_pictures
from reelscribe.media.pictures.tar import END, member, name_of
from reelscribe.media.pictures.windows import CutSound, SoundWindows
from reelscribe.media.stored_object import StoredObject
from reelscribe.media.structure.facts import Structure
from reelscribe.media.structure.reading import as_input, read_structure
from reelscribe.settings.extractor import ExtractionSection

SOON_SECONDS = 30
"""If the first moment comes within them, the sound is decoded from the beginning, while the first picture is sought."""

SUFFIXES = {"jpeg": "jpg", "png": "png", "webp": "webp"}


@asynccontextmanager
async def extract_samples(
    ffmpeg: FFmpeg,
    stored: StoredObject,
    request: SamplesRequest,
    extraction_id: str,
    limits: ExtractionSection,
) -> AsyncIterator["SamplesExtraction"]:
    """Extract samples from an open object; leaving the block ends all processes.

    Raises:
        BadRequest: it asks for more samples than one answer may hold.
    """
    structure = await asyncio.to_thread(read_structure, stored)
    if number_of_moments(request, structure.seconds or 0.0) > limits.max_samples:
        raise BadRequest(f"that are more than max_samples = {limits.max_samples} samples; ask for a part at a time")
    extraction = SamplesExtraction(ffmpeg, as_input(stored, structure), request, extraction_id, limits, structure)
    try:
        yield extraction
    finally:
        await extraction.close()


class SamplesExtraction:
    """The samples of one request; :func:`extract_samples` starts it."""

    def __init__(
        self,
        ffmpeg: FFmpeg,
        stored: StoredObject,
        request: SamplesRequest,
        extraction_id: str,
        limits: ExtractionSection,
        structure: Structure,
    ) -> None:
        self._ffmpeg = ffmpeg
        self._stored = stored
        self._request = request
        self._pairs = request if isinstance(request, PairsRequest) else None
        self._id = extraction_id
        self._limits = limits
        self._structure = structure
        self._cpu_seconds = limits.max_duration * (os.cpu_count() or 1)
        self._prefix = request.key or name_of(stored.savepath)
        self._resources = AsyncExitStack()
        self._process: PictureProcess | None = None
        self._sound: AudioExtraction | None = None
        self._windows: SoundWindows | None = None
        self._digest = hashlib.sha256()
        self._bytes = self._samples = self._dropped = self._without = self._damaged = 0
        self._reason: str | None = None
        self._body = self._make_body()

    async def head(self, timeout: float) -> bytes:
        """The first sample, or the complete tar of none.

        Args:
            timeout: longest wait, in seconds.

        Raises:
            NoAudioInTime: it was not decoded in time.
            ServiceError: why there are no samples to send.
        """
        try:
            async with asyncio.timeout(timeout):
                return await anext(self._body)
        except TimeoutError:
            raise NoAudioInTime(
                f"{self._stored.savepath}: no sample was made within {timeout:g} s; try again, or raise start_timeout"
            ) from None

    async def chunks(self) -> AsyncGenerator[bytes, None]:
        """The rest of the tar. Its end blocks come last, and only if it is complete.

        Raises:
            ServiceError: the tar so far must not look complete.
        """
        async for chunk in self._body:
            yield chunk

    async def close(self) -> None:
        """End all processes."""
        await self._body.aclose()

    def receipt(self, failure: ServiceError | None = None) -> SamplesReceipt:
        """What was delivered. ``failure`` says why the tar was cut."""
        process, windows = self._process, self._windows
        return SamplesReceipt(
            extraction_id=self._id,
            savepath=self._stored.savepath,
            bucket_name=self._stored.bucket_name,
            etag=self._stored.etag,
            last_modified=self._stored.last_modified,
            size=self._stored.size,
            kind="pairs" if self._pairs else "frames",
            state="failed" if failure else ("incomplete" if self._reason else "complete"),
            reason=failure.message if failure else self._reason,
            error=ErrorObject.model_validate(failure.as_json()) if failure else None,
            samples=self._samples,
            dropped_edges=self._dropped,
            without_picture=self._without,
            damaged_pictures=self._damaged,
            bytes=self._bytes,
            sha256=self._digest.hexdigest(),
            decode_warnings=process.warnings if process else 0,
            video_track=process.opened.video_track if process else None,
            track=self._sound.track if self._sound else None,
            sample_rate=windows.sample_rate if windows else None,
            channels=windows.channels if windows else None,
            remarks=self._sound.receipt().remarks if self._sound else [],
        )

    async def _make_body(self) -> AsyncGenerator[bytes, None]:
        async with self._resources:
            async with aclosing(self._sample_tars()) as samples:
                async for sample in samples:
                    self._samples += 1
                    yield self._counted(sample)
            await self._judge()
            yield self._counted(END)

    def _counted(self, chunk: bytes) -> bytes:
        self._digest.update(chunk)
        self._bytes += len(chunk)
        if self._bytes > self._limits.max_tar_bytes or self._samples > self._limits.max_samples:
            raise BadRequest(
                f"{self._stored.savepath}: that is more than max_samples or max_tar_bytes; ask for a part at a time"
            )
        return chunk

    async def _sample_tars(self) -> AsyncGenerator[bytes, None]:
        await self._open()
        if self._pairs and self._pairs.picture == "none":
            for moment in moments(self._request):
                sample = await self._sample(moment, None)
                if sample:
                    yield sample
                elif part_end(self._request) is None and self._windows and self._windows.has_ended:
                    return
            return
        assert self._process
        asked = moments(self._request)
        async with aclosing(self._process.pictures()) as pictures:
            async for picture in pictures:
                moment = next(asked)
                self._damaged += picture.damaged
                self._without += picture.pts is None and not picture.damaged
                if picture.pts is not None and (sample := await self._sample(moment, picture)):
                    yield sample

    async def _open(self) -> None:
        """Start what decodes pictures, and what decodes sound, at the same time if that is needed soon."""
        opening = None
        first = next(moments(self._request)).seconds
        seen = not self._pairs or self._pairs.picture != "none"
        alone = self._structure.container not in VAGUE or not seen
        if self._pairs and self._pairs.audio_format != "none" and alone and (first < SOON_SECONDS or not seen):
            opening = asyncio.create_task(self._open_sound(0 if seen else self._sound_start(first)))
        try:
            if seen:
                await self._open_pictures()
            if opening:
                await opening
        finally:
            if opening:
                opening.cancel()
                await asyncio.wait((opening,))

    async def _open_pictures(self) -> None:
        request = self._request
        asked: Any = [str(moment.seconds) for moment in moments(request)] if request.timestamps is not None else None
        if request.fps is not None:
            end = part_end(request)
            step = str(1 / decimal(request.fps))
            asked = {"start": str(decimal(request.start)), "step": step, "end": None if end is None else str(end)}
        self._process = await self._resources.enter_async_context(
            decode_pictures(
                self._ffmpeg,
                self._stored,
                {
                    "video_track": request.video_track,
                    "origin": await asyncio.to_thread(stored_beginning, self._stored),
                    "moments": asked,
                    "may_seek": self._structure.seekable and not self._structure.joined,
                    "picture_format": request.picture,
                    "quality": request.quality,
                    "size": request.size,
                    "max_pixels": self._limits.max_picture_pixels,
                },
                cpu_seconds=self._cpu_seconds,
            )
        )

    def _sound_start(self, first: Fraction) -> int:
        """The full second from which on sound is needed, if ``first`` is the time of the first picture."""
        assert self._pairs
        return max(0, (first - decimal(self._pairs.audio_seconds)).__floor__() - 1)

    async def _open_sound(self, start: int) -> SoundWindows:
        pairs, end = self._pairs, part_end(self._request)
        assert pairs
        request = ExtractAudioRequest(
            savepath=pairs.savepath,
            audio_format="wav",
            sample_rate=pairs.sample_rate,
            channels=pairs.channels,
            start=float(start),
            duration=None if end is None else min(MOST_SECONDS, float(end + decimal(pairs.audio_seconds) + 1 - start)),
            track=pairs.track,
            allow_incomplete=pairs.allow_incomplete,
        )
        pictures = Fraction(*self._process.opened.origin) if self._process else None
        origin = beginning_of_sound(self._structure, pictures)
        self._sound = await self._resources.enter_async_context(
            extract_audio(self._ffmpeg, self._stored, request, "wav", self._id, self._limits, origin=origin)
        )
        windows = SoundWindows(self._sound, start, self._limits.start_timeout)
        self._resources.push_async_callback(windows.close)
        await windows.open()
        if pairs.audio_format == "flac":
            check_channels(windows.channels)
        self._windows = windows
        return windows

    async def _sample(self, moment: Moment, picture: Picture | None) -> bytes:
        """The files of one sample; none if it is left out."""
        opened = self._process.opened if self._process else None
        shown = opened.seconds(picture.pts) if opened and picture and picture.pts is not None else None
        seconds = moment.seconds if shown is None else shown
        cut = None
        if self._pairs and self._pairs.audio_format != "none":
            cut = await self._cut(seconds)
            if self._pairs.edges == "drop" and (cut.before or cut.after):
                self._dropped += 1
                return b""
        key = f"{self._prefix}_{milliseconds(moment.seconds):09d}"
        files = b""
        if picture:
            files += member(f"{key}.{SUFFIXES[self._request.picture]}", picture.content)
        if cut and self._pairs:
            files += member(f"{key}.{self._pairs.audio_format}", await self._file_of(cut))
        record = self._record(key, moment, picture, opened, shown, cut)
        return files + member(f"{key}.json", record.model_dump_json().encode())

    async def _open_sound_for(self, shown: Fraction) -> SoundWindows:
        try:
            return await self._open_sound(self._sound_start(shown))
        except PastTheEnd:  # it ends before the picture: all its windows are padded, and its beginning says how
            return await self._open_sound(0)

    async def _cut(self, seconds: Fraction) -> CutSound:
        assert self._pairs
        windows = self._windows or await self._open_sound_for(seconds)
        count = max(1, half_up(decimal(self._pairs.audio_seconds) * windows.sample_rate))
        lead = {"after": 0, "centred": count // 2, "before": count}[self._pairs.window]
        return await windows.cut(half_up(seconds * windows.sample_rate) - lead, count)

    async def _file_of(self, cut: CutSound) -> bytes:
        assert self._windows and self._pairs
        if self._pairs.audio_format == "wav":
            return self._windows.wav(cut)
        return await asyncio.to_thread(flac, cut.samples, self._windows.sample_rate, self._windows.channels)

    def _record(
        self,
        key: str,
        moment: Moment,
        picture: Picture | None,
        opened: Opened | None,
        shown: Fraction | None,
        cut: CutSound | None,
    ) -> FrameRecord:
        facts = picture.facts if picture else None
        fields: dict[str, Any] = {
            "key": key,
            "savepath": self._stored.savepath,
            "bucket_name": self._stored.bucket_name,
            "etag": self._stored.etag,
            "index": moment.number,
            "asked_seconds": float(moment.seconds),
            "video_pts": picture.pts if picture else None,
            "video_time_base": f"{opened.unit[0]}/{opened.unit[1]}" if opened else None,
            "video_seconds": None if shown is None else float(shown),
            "video_start_pts": opened.start_pts if opened else None,
            "width": facts.width if facts else None,
            "height": facts.height if facts else None,
            "rotation": facts.rotation if facts else None,
            "transfer": facts.transfer if facts else None,
            "tone_mapped": bool(facts and facts.tone_mapped),
        }
        if not self._pairs:
            return FrameRecord(**fields)
        windows = self._windows
        count = len(cut.samples) // (2 * windows.channels) if cut and windows else None
        return PairRecord(
            **fields,
            audio_start_sample=cut.first if cut else None,
            audio_samples=count,
            sample_rate=windows.sample_rate if windows else None,
            channels=windows.channels if windows else None,
            padded_before=cut.before if cut else None,
            padded_after=cut.after if cut else None,
            audio_seconds=count / windows.sample_rate if windows and count is not None else None,
        )

    async def _judge(self) -> None:
        """
        Raises:
            IncompleteRecording: not every sample that there should be is in the tar, and that is not allowed.
            PastTheEnd, NotDecodable: there is nothing in the requested part.
        """
        if self._windows:
            await self._windows.finish()
        self._reason = self._picture_reason() or (self._sound.receipt().reason if self._sound else None)
        if self._reason and not self._request.allow_incomplete:
            raise IncompleteRecording(
                f"{self._stored.savepath}: {self._reason}; replace it, or ask again with allow_incomplete"
            )
        if self._request.fps is None or self._samples or self._dropped or self._damaged:
            return
        if self._without and not self._hardly_any_can_be_decoded():
            return
        if self._request.start:
            raise PastTheEnd(f"{self._stored.savepath} ends before start = {self._request.start:g} s")
        raise NotDecodable(f"{self._stored.savepath}: nothing of it can be shown")

    def _hardly_any_can_be_decoded(self) -> bool:
        """In a part that is no sign of it: its first pictures may need a key frame that was sent before it begins."""
        ended = self._process.ended if self._process else None
        everything = not self._request.start and part_end(self._request) is None
        return everything and ended is not None and ended.errors > ended.pictures

    def _picture_reason(self) -> str | None:
        ended = self._process.ended if self._process else None
        if not ended or not self._process:
            return None
        damage = f"{self._damaged} pictures are damaged" if self._damaged else None
        if ended.end is None:
            return damage
        if ended.restarted:
            return f"its timestamps begin again at {ended.end:.1f} s, and pictures after that have no certain time"
        declared = self._declared_end(self._process.opened)
        needed = min((float(end) for end in (part_end(self._request), declared) if end is not None), default=None)
        if needed is not None and declared is not None and (short := shortfall(needed, ended.end, 0.0)):
            return short
        if ended.broken_off and (needed is None or declared is None):
            return f"nothing can be read after {ended.end:.1f} s"
        if self._structure.cut and (needed is None or needed > ended.end):
            return f"the stored file breaks off after {ended.end:.1f} s: {self._structure.cut}"
        return damage

    def _declared_end(self, opened: Opened) -> float | None:
        if opened.duration is None or self._structure.container not in ("mp4", "avi"):
            return None
        return float(opened.seconds(opened.start_pts or 0)) + opened.duration
