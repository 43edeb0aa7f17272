"""The process that cuts the picture of a recording: it is started here, and what it reports is read here."""

from collections.abc import Sequence
from fractions import Fraction
from typing import NamedTuple, Self

from reelscribe.media.ffmpeg import FFmpeg
from reelscribe.media.pictures.ready import picture_child
from reelscribe.media.pictures.records import Record, Records, opening
from reelscribe.media.processes.pipe import Channel, Pipe
from reelscribe.media.stored_object import StoredObject

MOST_FRAMES = 500_000
MOST_COPIED_BYTES = 128 << 20


class CutPart(NamedTuple):
    """A part to cut: seconds of the recording, and how many pictures per second; None for all as they are."""

    start: Fraction
    end: Fraction
    fps: Fraction | None = None


class FirstPicture(Record):
    """The first picture of the first part, of which the others are alike.

    Attributes:
        pts: its timestamp in the recording, in units of ``time_base``.
        seconds: the same on the timeline of the recording.
        origin: where that begins on the container's own clock, in seconds, as a fraction.
        width, height: as stored; 0 of a copy.
        format: of the pixels, as ffmpeg names it.
        display: the matrix by which players turn it; None if they do not.
        aspect: width of a pixel, divided by its height.
        matrix, range, transfer, primaries: numbers of ITU-T H.273; 2 (of ``range``: 0) if the recording does not say.
    """

    pts: int
    time_base: str
    seconds: float
    origin: str
    width: int = 0
    height: int = 0
    format: str = ""
    display: tuple[int, ...] | None = None
    aspect: float = 1.0
    matrix: int = 2
    range: int = 0
    transfer: int = 2
    primaries: int = 2


class DonePart(Record):
    """What was written of a part.

    Attributes:
        first: timestamp of its first picture; None if there was none.
        frames: how many.
        ends: seconds of the recording at which the last picture ends.
        longest: seconds for which one of its pictures is shown.
    """

    first: int | None
    frames: int
    ends: float | None
    longest: float


class DoneCut(Record):
    """What was written in all.

    Attributes:
        corrupt: pictures that libav marks as damaged, or that depend on one of these.
        failed: packets that could not be decoded.
    """

    parts: tuple[DonePart, ...]
    corrupt: int
    failed: int


class PictureProcess:
    """One run of it; use it as ``async with``. Leaving the block ends it.

    Args:
        ffmpeg: that the sandbox and the whitelists are of.
        stored: the object to read.
        parts: to cut, in this order.
        body: a pipe for it to write to; that end is closed here.
        picture, sound: indexes of streams.
        origin: see :func:`reelscribe.media.pictures.beginning.stored_beginning`.
        copy: copy packets instead of decoding them.
        cpu_seconds: after which the kernel ends it.
        most_pixels: of a picture; larger ones are not decoded.
    """

    def __init__(
        self,
        ffmpeg: FFmpeg,
        stored: StoredObject,
        parts: Sequence[CutPart],
        body: Pipe | Channel,
        *,
        picture: int,
        sound: int | None = None,
        origin: str | None,
        copy: bool = False,
        cpu_seconds: float,
        most_pixels: int,
    ) -> None:
        self._body, self._stored = body, stored
        self._done: DoneCut | None = None
        self._task = {
            **opening(ffmpeg, stored),
            "work": "copy" if copy else "cut",
            "picture": picture,
            "sound": sound,
            "origin": origin,
            "parts": [
                {"start": str(part.start), "end": str(part.end), "fps": part.fps and str(part.fps)} for part in parts
            ],
            "body": body.writing,
            "max_pixels": most_pixels,
            "most_frames": MOST_FRAMES,
            "most_bytes": MOST_COPIED_BYTES,
        }
        self._child = picture_child(ffmpeg.sandbox, cpu_seconds, network=stored.needs_network)

    async def __aenter__(self) -> Self:
        try:
            child = await self._child.__aenter__()
            process = await child.start(self._task, (*self._stored.descriptors, self._body.writing))
        finally:
            self._body.close_writing()
        self._records = Records(process, self._stored, self._task["max_pixels"])
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._child.__aexit__(None, None, None)

    async def first(self) -> FirstPicture | None:
        """The first picture, once it is known; None if there is no picture in any part.

        Raises:
            ServiceError: why there is none to write.
        """
        event, fields, _ = await self._records.next()
        if event == "first":
            return self._records.read(FirstPicture, fields)
        self._done = self._records.read(DoneCut, fields)
        return None

    async def done(self) -> DoneCut:
        """What was written, once it is all.

        Raises:
            ServiceError: why it is not all.
        """
        if self._done is None:
            _, fields, _ = await self._records.next()
            self._done = self._records.read(DoneCut, fields)
        await self._records.end()
        return self._done
