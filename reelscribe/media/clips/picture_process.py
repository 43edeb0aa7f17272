"""The process that cuts the picture of a recording: it is started here, and what it reports is read here."""

import json
import logging
import os
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from reelscribe.errors import InternalError, NotDecodable, ServiceError, UnsupportedFormat
from reelscribe.media.ffmpeg import FFmpeg
from reelscribe.media.inspection_process import child_python
from reelscribe.media.pictures.decoders import PICTURE_DECODERS
from reelscribe.media.process import FFmpegProcess
from reelscribe.media.sandbox import killed_by
from reelscribe.media.stored_object import StoredObject

log = logging.getLogger(__name__)

CHILD = Path(__file__).with_name("picture_child.py")
MOST_FRAMES = 500_000
MOST_COPIED_BYTES = 128 << 20
MOST_REPORT_BYTES = 1 << 16


class CutPart(NamedTuple):
    """A part to cut: seconds of the recording, and how many pictures per second; None for all as they are."""

    start: Fraction
    end: Fraction
    fps: Fraction | None = None


class _Line(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class FirstPicture(_Line):
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


class DonePart(_Line):
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


class DoneCut(_Line):
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
        body: a descriptor for it to write to; it is closed here.
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
        body: int,
        *,
        picture: int,
        sound: int | None = None,
        origin: str | None,
        copy: bool = False,
        cpu_seconds: float,
        most_pixels: int,
    ) -> None:
        self._most_pixels = most_pixels
        self._stored, self._body, self._rest = stored, body, b""
        skipped = {"skip_initial_bytes": str(stored.adts_at)} if stored.adts_at else {}
        task = {
            "url": stored.url,
            "options": {**ffmpeg.input_options(stored.protocols, decoders=PICTURE_DECODERS), **skipped},
            "demuxer": "aac" if stored.adts_at else None,
            "decoders": PICTURE_DECODERS,
            "picture": picture,
            "sound": sound,
            "origin": origin,
            "parts": [
                {"start": str(part.start), "end": str(part.end), "fps": part.fps and str(part.fps)} for part in parts
            ],
            "copy": copy,
            "body": body,
            "most_pixels": most_pixels,
            "most_frames": MOST_FRAMES,
            "most_bytes": MOST_COPIED_BYTES,
        }
        python = child_python()
        self._process = FFmpegProcess(
            ffmpeg.sandbox.seeing((*python.visible, CHILD)),
            [*python.command, str(CHILD), python.packages, json.dumps(task)],
            (*stored.descriptors, body),
            cpu_seconds=cpu_seconds,
            network=stored.needs_network,
        )

    async def __aenter__(self) -> Self:
        try:
            await self._process.__aenter__()
        finally:
            self._close_body()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._process.__aexit__(*error)

    def _close_body(self) -> None:
        if self._body >= 0:
            os.close(self._body)
            self._body = -1

    async def first(self) -> FirstPicture | None:
        """The first picture, once it is known; None if there is no picture in any part.

        Raises:
            ServiceError: why there is none to write.
        """
        line = await self._line()
        return FirstPicture.model_validate(line["first"]) if "first" in line else None

    async def done(self) -> DoneCut:
        """What was written, once it is all.

        Raises:
            ServiceError: why it is not all.
        """
        line = await self._line()
        if failure := self._stored.read_failure():
            raise failure
        return DoneCut.model_validate(line["done"])

    async def _line(self) -> dict[str, Any]:
        while b"\n" not in self._rest and len(self._rest) < MOST_REPORT_BYTES:
            chunk = await self._process.read()
            if not chunk:
                raise await self._died()
            self._rest += chunk
        line, _, rest = self._rest.partition(b"\n")
        try:
            parsed: dict[str, Any] = json.loads(line)
            if "failure" in parsed:
                raise self._failure(parsed)
            if "done" in parsed:
                rest = line + b"\n"  # whoever asked for the first picture asks again
                DoneCut.model_validate(parsed["done"])
        except (ValueError, TypeError, KeyError, ValidationError) as unreadable:
            log.error("%s: the picture process reported %r: %s", self._stored.savepath, line[:200], unreadable)
            raise InternalError(f"{self._stored.savepath}: its pictures could not be cut; the log says why") from None
        self._rest = rest
        return parsed

    async def _died(self) -> ServiceError:
        exit_code = await self._process.wait()
        savepath, messages = self._stored.savepath, self._process.messages
        log.error("%s: the picture process exited with %d: %s", savepath, exit_code, " | ".join(messages.last))
        if failure := self._stored.read_failure():
            return failure
        if killer := killed_by(exit_code):
            return InternalError(f"{savepath}: the process that cuts its pictures was killed by {killer}; try again")
        return InternalError(f"{savepath}: its pictures could not be cut; the log says why")

    def _failure(self, line: dict[str, Any]) -> ServiceError:
        """What is wrong, in words; libav's own message goes to the log only."""
        savepath, kind, numbers = self._stored.savepath, line["failure"], list(line["numbers"])
        log.info("%s: its pictures were not cut: %s %s %s", savepath, kind, numbers, line.get("message", ""))
        if failure := self._stored.read_failure():
            return failure
        if kind == "too_large":
            return UnsupportedFormat(
                f"{savepath} has pictures of {numbers[0]}x{numbers[1]} pixels, and max_picture_pixels = "
                f"{self._most_pixels} is the limit here"
            )
        if kind == "too_many":
            return UnsupportedFormat(f"{savepath} has more than {numbers[0]} pictures in this part; ask for less of it")
        if kind == "restarts":
            return NotDecodable(
                f"{savepath}: its timestamps begin again after {numbers[0]:.1f} s, as in recordings that were joined; "
                "which picture belongs to which sound is not known after that"
            )
        if kind == "no_key_frame":
            return NotDecodable(f"{savepath} has no key frame that a copy could begin with; take mode = exact")
        if kind == "no_times":
            return NotDecodable(f"{savepath} does not say when its pictures are shown; take mode = exact")
        if kind == "group_too_large":
            return NotDecodable(
                f"{savepath} has more than {numbers[0] >> 20} MiB between two key frames; take mode = exact"
            )
        if kind == "not_decodable":
            return NotDecodable(f"{savepath}: its video track has a codec that is not decoded here")
        return NotDecodable(f"{savepath}: its video track cannot be read")
