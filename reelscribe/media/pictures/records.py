"""What the process that decodes pictures writes, and its failures in words."""

import json
import logging
from collections.abc import Sequence
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from reelscribe.errors import InternalError, NotDecodable, NotReadable, NoVideoTrack, ServiceError, UnsupportedFormat
from reelscribe.media.ffmpeg import FFmpeg
from reelscribe.media.pictures.decoders import PICTURE_DECODERS
from reelscribe.media.pictures.source import LENGTHS, MOST_PICTURE_BYTES
from reelscribe.media.processes.process import FFmpegProcess
from reelscribe.media.processes.sandbox import killed_by
from reelscribe.media.stored_object import StoredObject

log = logging.getLogger(__name__)

MOST_DESCRIPTION_BYTES = 1 << 16

FAILURES: dict[str, tuple[type[ServiceError], str]] = {
    "no_pictures": (NoVideoTrack, "{savepath} has no video track"),
    "no_such_track": (NoVideoTrack, "{savepath} has no such video track; it has {0}, counted from 0"),
    "not_decoded": (NotDecodable, "{savepath}: pictures of the codec {0} are not decoded here"),
    "too_large": (
        NotDecodable,
        "{savepath} has pictures of {0}x{1} pixels, and max_picture_pixels = {max_pixels} is the limit here",
    ),
    "too_long": (
        UnsupportedFormat,
        "{savepath} has pictures of {1}x{2} pixels, and {0} can hold at most {3} on a side; ask for size = {3}, or png",
    ),
    "too_many_bytes": (
        UnsupportedFormat,
        "{savepath}: a {0} of {1}x{2} pixels has more than {3} MiB; ask for a smaller size, or for jpeg",
    ),
    "unread": (NotReadable, "{savepath} cannot be read to its end ({0}); check the disk that stores it"),
    "unreadable": (NotDecodable, "{savepath} is not a video file that FFmpeg can open"),
    "too_many": (UnsupportedFormat, "{savepath} has more than {0} pictures in this part; ask for less of it"),
    "restarts": (
        NotDecodable,
        "{savepath}: its timestamps begin again after {0:.1f} s, as in recordings that were joined; "
        "which picture belongs to which sound is not known after that",
    ),
    "no_key_frame": (NotDecodable, "{savepath} has no key frame that a copy could begin with; take mode = exact"),
    "no_times": (NotDecodable, "{savepath} does not say when its pictures are shown; take mode = exact"),
    "group_too_large": (NotDecodable, "{savepath} has more than {0} MiB between two key frames; take mode = exact"),
}
"""By ``reason``; the numbers are places in ``details``."""


class Record(BaseModel):
    """The fields of a record."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")


SomeRecord = TypeVar("SomeRecord", bound=Record)


def opening(ffmpeg: FFmpeg, stored: StoredObject) -> dict[str, Any]:
    """The fields of a task that open an object."""
    skipped = {"skip_initial_bytes": str(stored.adts_at)} if stored.adts_at else {}
    options = ffmpeg.input_options(stored.protocols, decoders=PICTURE_DECODERS)
    return {
        "url": stored.url,
        "options": {**options, "scan_all_pmts": "1", **skipped},
        "demuxer": "aac" if stored.adts_at else None,
        "decoders": list(PICTURE_DECODERS),
    }


class Records:
    """The records of one process, as they come.

    Args:
        process: that writes them.
        stored: the object that it reads.
        max_pixels: of its task.
    """

    def __init__(self, process: FFmpegProcess, stored: StoredObject, max_pixels: int) -> None:
        self._process, self._stored, self._max_pixels = process, stored, max_pixels
        self._rest = bytearray()

    async def next(self) -> tuple[str, dict[str, Any], bytes]:
        """The event, the other fields and the picture of the next one.

        Raises:
            ServiceError: why no more of them come.
        """
        described, pictured = LENGTHS.unpack(await self._take(LENGTHS.size))
        if described > MOST_DESCRIPTION_BYTES or pictured > MOST_PICTURE_BYTES:
            raise self.unexpected("too much")
        try:
            fields = json.loads(await self._take(described))
            event = fields.pop("event")
            if event == "failed":
                raise self._refusal(str(fields["reason"]), fields["details"])
        except (ValueError, KeyError, AttributeError, IndexError, TypeError):
            raise self.unexpected("?") from None
        return event, fields, bytes(await self._take(pictured))

    async def end(self) -> None:
        """Wait for the end of the process, after its last record.

        Raises:
            ServiceError: the stored object could not be read to its end.
        """
        await self._process.wait()
        if failure := self._stored.read_failure():
            raise failure

    def read(self, model: type[SomeRecord], fields: dict[str, Any]) -> SomeRecord:
        """The fields of a record.

        Raises:
            InternalError: they are not those of the model.
        """
        try:
            return model.model_validate_json(json.dumps(fields))
        except ValidationError as unreadable:
            log.error("%s: a record that cannot be read: %s", self._stored.savepath, unreadable)
            raise self.unexpected("?") from None

    def unexpected(self, event: str) -> ServiceError:
        """The error of a record that must not come."""
        return InternalError(f"{self._stored.savepath}: the process that decodes its pictures wrote nonsense ({event})")

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
        savepath, lines = self._stored.savepath, " | ".join(self._process.messages.last)
        log.error("%s: the process that decodes its pictures exited with %d: %s", savepath, exit_code, lines)
        killer = killed_by(exit_code)
        why = f"was killed by {killer}; try again" if killer else "failed; the log says why"
        return InternalError(f"{savepath}: the process that decodes its pictures {why}")

    def _refusal(self, reason: str, details: Sequence[Any]) -> ServiceError:
        if failure := self._stored.read_failure():
            return failure
        savepath = self._stored.savepath
        log.info("%s: no pictures: %s: %s", savepath, reason, details)
        kind, sentence = FAILURES.get(reason, (NotDecodable, "{savepath}: its pictures cannot be decoded"))
        return kind(sentence.format(*details, savepath=savepath, max_pixels=self._max_pixels))
