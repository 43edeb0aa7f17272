"""The process that decodes pictures: starts it in the sandbox, gives it its task, and reads its records."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from reelscribe.media.ffmpeg import FFmpeg
from reelscribe.media.pictures.ready import picture_child
from reelscribe.media.pictures.records import Record, Records, opening
from reelscribe.media.processes.process import FFmpegProcess
from reelscribe.media.stored_object import StoredObject


class Opened(Record):
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


class _Shown(Record):
    number: int
    pts: int


class Facts(Record):
    """What a picture file holds; see :class:`reelscribe.contracts.pictures.FrameRecord`."""

    width: int
    height: int
    rotation: int
    transfer: str | None
    tone_mapped: bool


class Ended(Record):
    """How it ended.

    Attributes:
        end: of the last picture, in seconds of the recording; None if the last moment came before it.
        pictures: that could be decoded, damaged ones too.
        errors: packets that could not be decoded, and reads that failed.
        broken_off: it could not be read further than that.
        restarted: it stopped where timestamps begin again.
    """

    end: float | None
    pictures: int
    errors: int
    broken_off: bool
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

    def __init__(self, process: FFmpegProcess, records: Records) -> None:
        self._process, self._records = process, records
        self.opened: Opened
        self.ended: Ended | None = None
        self.warnings = 0

    async def open(self) -> None:
        """Read what it has opened.

        Raises:
            NoVideoTrack, NotDecodable: there are no pictures to decode.
        """
        event, fields, _ = await self._records.next()
        if event != "opened":
            raise self._records.unexpected(event)
        self.opened = self._records.read(Opened, fields)

    async def pictures(self) -> AsyncGenerator[Picture, None]:
        """One for each moment, in the order of time.

        Raises:
            NotDecodable: it can be opened, and no picture can be decoded.
            InternalError: the process was killed.
            ServiceError: the stored object could not be read to its end.
        """
        last, content = None, b""
        while True:
            event, fields, picture = await self._records.next()
            if event == "ended":
                self.ended = self._records.read(Ended, fields)
                await self._records.end()
                self.warnings = max(self.ended.errors, self._process.messages.lines)
                return
            if event in ("missing", "damaged"):
                yield Picture(_number(fields), damaged=event == "damaged")
                continue
            if event != "picture":
                raise self._records.unexpected(event)
            shown = self._records.read(_Shown, {name: fields.pop(name, None) for name in ("number", "pts")})
            if picture:
                last, content = self._records.read(Facts, fields), picture
            if last is None:
                raise self._records.unexpected(event)
            yield Picture(shown.number, shown.pts, content=content, facts=last)


def _number(fields: dict[str, Any]) -> int:
    return int(fields["number"])


@asynccontextmanager
async def decode_pictures(
    ffmpeg: FFmpeg, stored: StoredObject, task: dict[str, Any], *, cpu_seconds: float
) -> AsyncIterator[PictureProcess]:
    """Decode the pictures of an open object; leaving the block ends the process.

    Args:
        task: see :mod:`reelscribe.media.pictures.delivery`; what opens the object is added.

    Raises:
        NoVideoTrack, NotDecodable, InternalError: there is nothing to decode.
    """
    opened = opening(ffmpeg, stored)
    async with picture_child(ffmpeg.sandbox, cpu_seconds, network=stored.needs_network) as child:
        process = await child.start({"work": "moments", **opened, **task}, stored.descriptors)
        pictures = PictureProcess(process, Records(process, stored, task["max_pixels"]))
        await pictures.open()
        yield pictures
