"""What a recording holds: its container and streams as libav reads them, through PyAV in a child process.

The values are libav's own fields, not text that it prints: a tag can say what it likes and changes nothing but itself.
"""

import asyncio
import json
import logging
from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict, ValidationError

from reelscribe.errors import InternalError, NoAudioInTime, NotDecodable, SettingsError
from reelscribe.media.ffmpeg import FFmpeg
from reelscribe.media.inspection_process import answer
from reelscribe.media.processes.sandbox import killed_by
from reelscribe.media.stored_object import StoredObject

log = logging.getLogger(__name__)

TRIAL_SECONDS = 30

Search = dict[str, str]
"""How far libav looks for streams: its options ``probesize`` (bytes) and ``analyzeduration`` (µs)."""

USUAL_SEARCH: Search = {}
"""libav's own limits: 5 MB, and 5 to 90 s by container."""
LONG_SEARCH: Search = {"probesize": str(128 << 20), "analyzeduration": str(600_000_000)}
"""For sound that begins late in a container without a header."""


SEARCHES = (USUAL_SEARCH, LONG_SEARCH)


class _Answer(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")


class InspectedStream(_Answer):
    """One stream.

    Attributes:
        index: libav's and ffmpeg's number of it.
        kind: ``audio``, ``video``, ``subtitle``, ``data``, ``attachment`` or ``unknown``.
        codec: as ffmpeg names it; ``unknown`` if libav does not know it.
        decodable: whether ffmpeg can decode it; None if it is not audio.
        language: as stored, such as ``pt-BR`` or ``eng``; None if it is missing or ``und``.
        title: its first 100 characters, printable ones only.
        default, forced: its flags.
        dispositions: other flags, named as in libav: ``visual_impaired``, ``comment``, ``dub``, ``original``, …
        start: seconds of the first time stamp.
        duration: seconds, if the container states the length of this stream.
        sample_rate: Hz.
        channels: how many; None if nothing of it was found.
        layout: name of their layout, such as ``5.1(side)``; None if the channels have no known positions.
        width, height: of a picture, in pixels as stored; None if nothing of it was found.
        cover: it is the picture of a cover, or thumbnails, not a video.
    """

    index: int
    kind: str
    codec: str
    decodable: bool | None
    language: str | None
    title: str | None
    default: bool
    forced: bool
    dispositions: tuple[str, ...]
    start: float | None
    duration: float | None
    sample_rate: int | None
    channels: int | None
    layout: str | None
    width: int | None = None
    height: int | None = None
    cover: bool = False


class Inspection(_Answer):
    """What a recording holds.

    Attributes:
        container: the demuxer, as ffmpeg names it.
        duration: seconds; None if libav could only estimate it from the bit rate.
        start: seconds of the first time stamp.
        streams: in libav's order.
        search: which of the searches found this; ffmpeg needs the same one to find the same streams.
    """

    container: str
    duration: float | None
    start: float | None
    streams: tuple[InspectedStream, ...]
    search: int

    @property
    def audio(self) -> list[InspectedStream]:
        """The audio tracks; a request's ``track`` is a position in this list."""
        return [stream for stream in self.streams if stream.kind == "audio"]


async def inspect(
    ffmpeg: FFmpeg,
    stored: StoredObject,
    timeout: float,
    searches: Sequence[Search] = SEARCHES,
    *,
    cut: str | None = None,
) -> Inspection:
    """Describe an open object without decoding it.

    Args:
        ffmpeg: that will decode it; its sandbox and its whitelists are used.
        timeout: longest wait, in seconds.
        searches: each is tried only if the one before found no audio, and the container is one in which audio may
            begin late.
        cut: why it may be that libav cannot open it; see :class:`reelscribe.media.structure.facts.Structure`.

    Raises:
        NotDecodable: libav cannot open it.
        NoAudioInTime: there was no answer in time.
        InternalError: the child process was killed, or PyAV does not work here.
    """
    skipped = {"skip_initial_bytes": str(stored.adts_at)} if stored.adts_at else {}
    task = {
        "url": stored.url,
        "options": {
            **ffmpeg.input_options(stored.protocols),
            **skipped,
            "scan_all_pmts": "1",
        },  # the last as ffmpeg does
        "demuxer": "aac" if stored.adts_at else None,
        "codecs": ffmpeg.audio_codecs,
        "searches": list(searches),
    }
    try:
        async with asyncio.timeout(timeout):
            exit_code, description, complaint = await answer(
                ffmpeg.sandbox, task, timeout, stored.descriptors, stored.needs_network
            )
    except TimeoutError:
        raise NoAudioInTime(
            f"{stored.savepath}: its streams were not found within {timeout:g} s; try again, or raise start_timeout"
        ) from None
    if failure := stored.read_failure():
        raise failure
    return _read(stored.savepath, exit_code, description, complaint, cut)


async def check(ffmpeg: FFmpeg) -> str:
    """The version of PyAV, after it has run in the sandbox.

    Raises:
        SettingsError: it is not installed, or does not run.
    """
    try:
        async with asyncio.timeout(TRIAL_SECONDS):
            exit_code, description, complaint = await answer(ffmpeg.sandbox, {}, TRIAL_SECONDS)
        return str(json.loads(description)["version"])
    except (OSError, ValueError, TimeoutError) as failure:
        reason = str(failure)
        if isinstance(failure, ValueError):
            killer = killed_by(exit_code)
            reason = f"it was killed by {killer}" if killer else "".join(complaint.strip().splitlines()[-1:])
        raise SettingsError([f"PyAV, which describes recordings, does not run: {reason}"]) from None
    except InternalError as missing:
        raise SettingsError([missing.message]) from None


def _read(savepath: str, exit_code: int, description: bytes, complaint: str, cut: str | None) -> Inspection:
    if killer := killed_by(exit_code):
        raise InternalError(f"{savepath}: the process that describes it was killed by {killer}; try again")
    try:
        described = json.loads(description)
        if "failure" in described:
            log.info("%s: libav cannot open it: %s", savepath, described["failure"])
            if described["format"]:
                raise NotDecodable(f"{savepath} is a file of the format {described['format']}, which is not read here")
            raise NotDecodable(
                f"{savepath} is not an audio or video file that ffmpeg can open" + (f": {cut}" if cut else "")
            )
        return Inspection.model_validate_json(description)
    except (ValueError, TypeError, ValidationError) as unreadable:
        log.error("%s: no description (exit code %d): %s; %s", savepath, exit_code, unreadable, complaint)
        raise InternalError(f"{savepath}: its streams could not be described; the log says why") from None
