"""The process that decodes pictures: starts it in the sandbox, gives it its task, and reads its records."""

import json
import logging
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from reelscribe.errors import InternalError, NotDecodable, NoVideoTrack, ServiceError
from reelscribe.media.ffmpeg import FFmpeg
from reelscribe.media.pictures.child import LENGTHS
from reelscribe.media.pictures.decoders import PICTURE_DECODERS
from reelscribe.media.pictures.ready import picture_child
from reelscribe.media.process import FFmpegProcess
from reelscribe.media.sandbox import killed_by
from reelscribe.media.stored_object import StoredObject

log = logging.getLogger(__name__)

MOST_DESCRIPTION_BYTES = 1 << 16
MOST_PICTURE_BYTES = 1 << 28


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")


Record = TypeVar("Record", bound=_Record)


class Opened(_Record):
    """What the process has opened.

    Attributes:
        container, codec: as FFmpeg names them.
        video_track: number of the picture stream.
        unit: of its timestamps, as a fraction of a second.
        origin: seconds on the container's own clock at which the recording begins, as a fraction.
        start_pts: the timestamp of the first picture as the container declares it.
        duration: seconds that the container declares for this stream.
    """

    container: str
    codec: str
    video_track: int
    unit: tuple[int, int]
    origin: tuple[int, int]
    start_pts: int | None
    duration: float | None

    @property
    def tick(self) -> Fraction:
        """The unit of its timestamps, in seconds."""
        return Fraction(*self.unit)

    def seconds(self, pts: int) -> Fraction:
        """A timestamp on the timeline of the recording."""
        return pts * self.tick - Fraction(*self.origin)


class _Shown(_Record):
    number: int
    pts: int


class Facts(_Record):
    """What a picture file holds; see :class:`reelscribe.contracts.pictures.FrameRecord`."""

    width: int
    height: int
    rotation: int
    transfer: str | None
    tone_mapped: bool


class Ended(_Record):
    """How it ended.

    Attributes:
        end: of the last picture, in seconds of the recording; None if the last moment came before it.
        errors: packets that could not be decoded.
        restarted: it stopped where timestamps begin again.
    """

    end: float | None
    errors: int
    restarted: bool


@dataclass(frozen=True)
class Picture:
    """The picture of one moment.

    Attributes:
        number: of the moment, in the order of time.
        pts: its own timestamp; None if the recording shows no picture then, or it is damaged.
        damaged: it could not be decoded intact.
        content: the picture file.
        facts: what that holds.
    """

    number: int
    pts: int | None = None
    damaged: bool = False
    content: bytes = b""
    facts: Facts | None = None


class PictureProcess:
    """Pictures while they are decoded; :func:`decode_pictures` starts it.

    Attributes:
        opened: known from the beginning.
        ended: known once :meth:`pictures` has ended.
        warnings: errors of the decoder, once that has ended.
    """

    def __init__(self, process: FFmpegProcess, stored: StoredObject) -> None:
        self._process = process
        self._stored = stored
        self._rest = bytearray()
        self._ended_early = False
        self.opened: Opened
        self.ended: Ended | None = None
        self.warnings = 0

    async def open(self) -> None:
        """Read what it has opened.

        Raises:
            NoVideoTrack, NotDecodable: there are no pictures to decode.
        """
        event, fields, _ = await self._record()
        if event != "opened":
            raise self._unexpected(event)
        self.opened = self._read(Opened, fields)

    async def pictures(self) -> AsyncGenerator[Picture, None]:
        """One for each moment, in the order of time.

        Raises:
            NotDecodable: it can be opened, and no picture can be decoded.
            InternalError: the process was killed.
            ServiceError: the stored object could not be read to its end.
        """
        last, content = None, b""
        while True:
            event, fields, picture = await self._record()
            if event == "ended":
                self.ended = self._read(Ended, fields)
                await self._process.wait()
                if failure := self._stored.read_failure():
                    raise failure
                self.warnings = max(self.ended.errors, self._process.messages.lines)
                return
            if event in ("missing", "damaged"):
                yield Picture(_number(fields), damaged=event == "damaged")
                continue
            if event != "picture":
                raise self._unexpected(event)
            shown = self._read(_Shown, {name: fields.pop(name, None) for name in ("number", "pts")})
            if picture:
                last, content = self._read(Facts, fields), picture
            if last is None:
                raise self._unexpected(event)
            yield Picture(shown.number, shown.pts, content=content, facts=last)

    async def _record(self) -> tuple[str, dict[str, Any], bytes]:
        described, pictured = LENGTHS.unpack(await self._take(LENGTHS.size))
        if described > MOST_DESCRIPTION_BYTES or pictured > MOST_PICTURE_BYTES:
            raise InternalError(f"{self._stored.savepath}: a decoded picture is too large")
        try:
            fields = json.loads(await self._take(described))
            event = fields.pop("event")
        except (ValueError, KeyError, AttributeError):
            raise self._unexpected("?") from None
        if event == "failed":
            raise self._refusal(str(fields.get("reason")), str(fields.get("message")))
        return event, fields, bytes(await self._take(pictured))

    async def _take(self, size: int) -> bytearray:
        while len(self._rest) < size:
            chunk = await self._process.read()
            if not chunk:
                raise await self._death()
            self._rest += chunk
        taken = self._rest[:size]
        del self._rest[:size]
        return taken

    async def _death(self) -> ServiceError:
        exit_code = await self._process.wait()
        if failure := self._stored.read_failure():
            return failure
        lines = " | ".join(self._process.messages.last)
        log.error("%s: the process that decodes pictures exited with %d: %s", self._stored.savepath, exit_code, lines)
        killer = killed_by(exit_code)
        why = f"was killed by {killer}" if killer else "failed; the log says why"
        return InternalError(f"{self._stored.savepath}: the process that decodes its pictures {why}")

    def _refusal(self, reason: str, message: str) -> ServiceError:
        savepath = self._stored.savepath
        if failure := self._stored.read_failure():
            return failure
        if reason == "no_pictures":
            return NoVideoTrack(f"{savepath} has no video track")
        if reason == "no_such_track":
            return NoVideoTrack(f"{savepath} has no such video track; it has {message}, counted from 0")
        if reason == "not_decoded":
            return NotDecodable(f"{savepath}: pictures of the codec {message} are not decoded here")
        if reason == "too_large":
            return NotDecodable(f"{savepath}: its pictures of {message} are over max_picture_pixels")
        log.info("%s: no pictures: %s: %s", savepath, reason, message)
        if reason == "unreadable":
            return NotDecodable(f"{savepath} is not a video file that FFmpeg can open")
        return NotDecodable(f"{savepath}: its pictures cannot be decoded")

    def _read(self, model: type[Record], fields: dict[str, Any]) -> Record:
        try:
            return model.model_validate_json(json.dumps(fields))
        except ValidationError as unreadable:
            log.error("%s: a record that cannot be read: %s", self._stored.savepath, unreadable)
            raise self._unexpected("?") from None

    def _unexpected(self, event: str) -> ServiceError:
        return InternalError(f"{self._stored.savepath}: the process that decodes pictures wrote nonsense ({event})")


def _number(fields: dict[str, Any]) -> int:
    return int(fields["number"])


@asynccontextmanager
async def decode_pictures(
    ffmpeg: FFmpeg, stored: StoredObject, task: dict[str, Any], *, cpu_seconds: float
) -> AsyncIterator[PictureProcess]:
    """Decode the pictures of an open object; leaving the block ends the process.

    Args:
        task: see :mod:`reelscribe.media.pictures.child`; what opens the object is added.

    Raises:
        NoVideoTrack, NotDecodable, InternalError: there is nothing to decode.
    """
    decoders = [*ffmpeg.audio_decoders, *PICTURE_DECODERS]
    options = {**ffmpeg.input_options(stored.protocols), "codec_whitelist": ",".join(decoders), "scan_all_pmts": "1"}
    skipped = {"skip_initial_bytes": str(stored.adts_at)} if stored.adts_at else {}
    task = {
        **task,
        "url": stored.url,
        "options": {**options, **skipped},
        "demuxer": "aac" if stored.adts_at else None,
        "decoders": list(PICTURE_DECODERS),
    }
    async with picture_child(ffmpeg.sandbox, cpu_seconds, network=stored.needs_network) as child:
        pictures = PictureProcess(await child.start(task, stored.descriptors), stored)
        await pictures.open()
        yield pictures
