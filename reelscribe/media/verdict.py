"""The verdict on an extraction that has ended: complete, incomplete and why, or failed."""

import asyncio
import logging
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from math import inf

from reelscribe.contracts.extractor import ExtractAudioRequest
from reelscribe.errors import (
    IncompleteRecording,
    InternalError,
    NoAudioTrack,
    NoRoom,
    NotDecodable,
    PastTheEnd,
    ServiceError,
    StreamCut,
    UnsupportedFormat,
)
from reelscribe.media.choice import check_channel, choose_track
from reelscribe.media.completeness import (
    TOLERATED_SECONDS,
    declared_seconds,
    excess,
    part_seconds,
    shortfall,
    tolerated,
)
from reelscribe.media.ffmpeg import FFmpeg
from reelscribe.media.inspection import inspect
from reelscribe.media.processes.sandbox import killed_by
from reelscribe.media.selection import Selection
from reelscribe.media.sound.decoded_track import DecodedTrack
from reelscribe.media.sound.gaps import damaged_seconds, undecoded_seconds
from reelscribe.media.stored_object import StoredObject
from reelscribe.media.structure.appended import appended_at
from reelscribe.media.structure.facts import AudioTrack, Structure
from reelscribe.media.structure.ogg.chain import read_chain

log = logging.getLogger(__name__)

INCOMPLETE_IF_APPENDED = ("flv", "tta", "ape", "wavpack")
"""Containers of which nothing says to a listener that ffmpeg reads only the first of several recordings."""

EXACT = ("ogg",)
"""Containers whose length is that of what they hold, not what a header says of it."""

FULL_DISK_BYTES = 1 << 20
DIAGNOSIS_SECONDS = 30.0


@dataclass(frozen=True)
class Outcome:
    """How ffmpeg's run ended.

    Attributes:
        delivered: seconds of audio in the body, with the silence that a copied track leaves out.
        exit_code: of the decoder.
        encoder_exit_code: of the encoder, which reads nothing but samples of ours; 0 without one.
        errors: number of its messages about damage.
        messages: its last messages, for the log.
        decoded: the track, unless it was copied.
    """

    delivered: float
    exit_code: int
    encoder_exit_code: int
    errors: int
    messages: Sequence[str]
    decoded: DecodedTrack | None


@dataclass(frozen=True)
class Verdict:
    """What is known of an audio that can be delivered.

    Attributes:
        delivered: seconds, without those that are damaged.
        declared: seconds; None if the recording declares none.
        damaged: seconds of silence in place of sound that could not be decoded.
        reason: why it is not complete; None if it is.
        remarks: what a reader of the transcript should know, although nothing is missing.
    """

    delivered: float
    declared: float | None
    damaged: float
    reason: str | None
    remarks: list[str] = field(default_factory=list)

    def check(self, savepath: str, allow_incomplete: bool) -> None:
        """
        Raises:
            IncompleteRecording: it is not complete, and that is not allowed.
        """
        if self.reason and not allow_incomplete:
            raise IncompleteRecording(
                f"{savepath}: {self.reason}; replace it, or ask again with allow_incomplete",
                declared_seconds=self.declared,
                delivered_seconds=round(self.delivered, 3),
            )


async def judge(
    ffmpeg: FFmpeg,
    stored: StoredObject,
    request: ExtractAudioRequest,
    structure: Structure,
    selection: Selection,
    outcome: Outcome,
    output: int | None,
    *,
    cpu_seconds: float,
) -> Verdict:
    """Judge what came out.

    Raises:
        NoRoom, InternalError, NoAudioTrack, NotDecodable, PastTheEnd, UnsupportedFormat: there is nothing to deliver.
        StreamCut: the file was changed while it was read, and what was read of it is not complete.
    """
    savepath = stored.savepath
    exit_code = outcome.exit_code or outcome.encoder_exit_code
    if exit_code or outcome.errors:
        log.warning("%s: ffmpeg exited with %d: %s", savepath, exit_code, " | ".join(outcome.messages))
    if failure := stored.read_failure():
        raise failure
    if exit_code and output is not None and is_full(output):
        raise no_room(savepath)
    if killer := killed_by(exit_code):
        raise InternalError(f"{savepath}: ffmpeg was killed by {killer}; try again")
    declared = declared_seconds(structure, selection.declared, request.start, request.duration)
    chain = None
    if declared is None and structure.joined and structure.container == "ogg":
        chain = await asyncio.to_thread(read_chain, stored)
        declared = part_seconds(chain.seconds if chain else None, request.start, request.duration)
    if outcome.delivered <= 0:
        raise _changed(stored) or await _no_audio(ffmpeg, stored, request, outcome, structure, selection, declared)
    if outcome.encoder_exit_code:
        raise InternalError(f"{savepath}: ffmpeg could not encode the audio; try again")
    damaged = await _damaged(ffmpeg, stored, structure, outcome.decoded, cpu_seconds)
    lost = 0.0
    if declared is None and outcome.errors and outcome.decoded and not _is_all(request, outcome.delivered):
        before, lost = await _undecoded(ffmpeg, stored, structure, outcome.decoded, cpu_seconds)
        damaged += max(0.0, before - request.start)
    delivered = outcome.delivered - damaged
    appended = None if _is_all(request, delivered) else await asyncio.to_thread(appended_at, stored, structure)
    reason = (
        _only_first(request, structure, appended, delivered)
        or structure.unplayed
        or (_edited(request, selection.declared) if selection.declared else None)
        or (_stops_in_chain(declared, delivered) if chain and not chain.alike else None)
        or shortfall(declared, delivered, damaged)
        or excess(declared, delivered, delivered if structure.container in EXACT else _added_seconds(outcome.decoded))
        or _cut(request, structure, declared, delivered)
        or shortfall(declared, delivered, damaged + lost)
        or (f"ffmpeg gave up after {delivered:.1f} s" if outcome.exit_code else None)
    )
    if reason and not request.allow_incomplete and (changed := _changed(stored)):
        raise changed
    remarks = list(_remarks(declared, delivered, damaged, outcome.decoded))
    if appended is not None and not reason:
        remarks.append(f"another recording is appended at byte {appended:,}; only the first is read")
    return Verdict(delivered, declared, damaged, reason, remarks)


def no_room(savepath: str) -> NoRoom:
    """The disk is full."""
    return NoRoom(f"{savepath}: the result does not fit on the disk of temp_dir; ask for delivery = stream")


def is_full(output: int) -> bool:
    """Whether the disk of a file is."""
    disk = os.fstatvfs(output)
    return disk.f_bavail * disk.f_frsize < FULL_DISK_BYTES


async def _damaged(
    ffmpeg: FFmpeg, stored: StoredObject, structure: Structure, track: DecodedTrack | None, cpu_seconds: float
) -> float:
    if not track or not track.timeline:
        return 0.0
    return await damaged_seconds(
        ffmpeg,
        stored,
        structure,
        track.sound,
        track.reading,
        track.timeline.gaps,
        track.sample_rate,
        cpu_seconds=cpu_seconds,
    )


async def _undecoded(
    ffmpeg: FFmpeg, stored: StoredObject, structure: Structure, track: DecodedTrack, cpu_seconds: float
) -> tuple[float, float]:
    """Looked for where nothing says how long the sound is, and ffmpeg reported errors."""
    timeline = track.timeline
    if not timeline or timeline.end_pts is None:
        return 0.0, 0.0
    return await undecoded_seconds(
        ffmpeg,
        stored,
        structure,
        track.sound,
        track.reading,
        (track.first_pts, timeline.end_pts),
        timeline.restarts,
        track.sample_rate,
        cpu_seconds=cpu_seconds,
    )


def _added_seconds(track: DecodedTrack | None) -> float:
    return track.timeline.counts.added / track.sample_rate if track and track.timeline else 0.0


def _cut(request: ExtractAudioRequest, structure: Structure, declared: float | None, delivered: float) -> str | None:
    """If a length is declared, that decides: only the picture may be cut."""
    if not structure.cut or declared is not None:
        return None
    if _is_all(request, delivered):
        return None  # it may be cut, but after the requested part
    return f"the stored file breaks off after {delivered:.1f} s: {structure.cut}"


def _only_first(
    request: ExtractAudioRequest, structure: Structure, appended: int | None, delivered: float
) -> str | None:
    """In formats whose header says how long the recording is, what follows is not part of it."""
    if appended is None or _is_all(request, delivered):
        return None
    if structure.container == "fragmented mp4":
        return f"at byte {appended:,} another recording begins, or fragments in another order: ffmpeg does not read all"
    if structure.container not in INCOMPLETE_IF_APPENDED:
        return None
    return f"another recording is appended at byte {appended:,}; only the first was delivered, {delivered:.1f} s"


def _edited(request: ExtractAudioRequest, track: AudioTrack) -> str | None:
    """ffmpeg plays sound of elsewhere where an edit list has silence, and copies what it leaves out."""
    end = request.start + (inf if request.duration is None else request.duration)
    if track.edit_gap is not None and request.start <= track.edit_gap < end:
        return f"its edit list has silence at {track.edit_gap:.1f} s, where ffmpeg plays other sound of the recording"
    if track.edit_speed is not None and track.edit_speed < end:
        return f"its edit list plays sound at another speed from {track.edit_speed:.1f} s on, and ffmpeg does not"
    if request.audio_format == "source" and track.edits_skip:
        return "its edit list leaves out some of the stored sound, or moves it, and a copy of the track does not"
    return None


def _stops_in_chain(declared: float | None, delivered: float) -> str | None:
    if not shortfall(declared, delivered, 0.0):
        return None
    return (
        f"{declared:.1f} s are declared in recordings that follow each other, {delivered:.1f} s were delivered: "
        "this ffmpeg does not decode those with another codec, sample rate or number of channels than the first"
    )


def _is_all(request: ExtractAudioRequest, delivered: float) -> bool:
    return request.duration is not None and delivered >= request.duration - TOLERATED_SECONDS


def _remarks(declared: float | None, delivered: float, damaged: float, track: DecodedTrack | None) -> Iterator[str]:
    timeline = track.timeline if track else None
    if not track or not timeline:
        return
    if timeline.restarts:
        yield "timestamps begin again; the parts follow each other without a pause"
    holes = sum(gap.samples for gap in timeline.gaps) / track.sample_rate - damaged
    if holes > TOLERATED_SECONDS:
        yield f"{holes:.1f} s of silence are in place of holes in the recording"
    if declared is not None and delivered - declared > tolerated(declared):
        yield f"{declared:.1f} s are declared, {delivered:.1f} s were found"
    if track.phase_cancelled:
        yield "the channels cancel each other; the first one was taken instead of their mix"
    if track.cancelled_at is not None:
        yield f"from {track.cancelled_at:.0f} s on the channels cancel each other in the mix; ask for channel = 0"


async def _no_audio(
    ffmpeg: FFmpeg,
    stored: StoredObject,
    request: ExtractAudioRequest,
    outcome: Outcome,
    structure: Structure,
    selection: Selection,
    declared: float | None,
) -> ServiceError:
    """Why nothing came out, from another description of the recording."""
    savepath = stored.savepath
    track = outcome.decoded
    if request.start and (declared == 0 or (track and track.timeline and not track.timeline.counts.delivered)):
        return PastTheEnd(f"{savepath} ends before start = {request.start:g} s")
    try:
        inspection = await inspect(ffmpeg, stored, DIAGNOSIS_SECONDS, cut=structure.cut)
        choice = choose_track(inspection.streams, request.track, savepath)
        stream = inspection.streams[choice.index]
        check_channel(stream, request.channel, savepath)
    except ServiceError as reason:
        return reason
    if request.start and not outcome.exit_code and declared is None:
        return PastTheEnd(f"{savepath} ends before start = {request.start:g} s")
    if not track and outcome.exit_code and stream.decodable:
        return UnsupportedFormat(
            f"{savepath}: sound of the codec {stream.codec} cannot be copied; take wav, flac or mp3"
        )
    if not track and not outcome.exit_code and (request.start or request.duration):
        return _no_packet(savepath, request, declared_seconds(structure, selection.declared, request.start))
    if not outcome.exit_code and not outcome.errors and not structure.cut:
        return NoAudioTrack(f"{savepath} holds no sound: its audio track is empty")
    return NotDecodable(f"{savepath}: its audio track cannot be decoded")


def _no_packet(savepath: str, request: ExtractAudioRequest, rest: float | None) -> ServiceError:
    """Why a copy has no packet; ``rest`` is how long the sound is from ``start`` on, in seconds."""
    none = f"{savepath}: no packet of its sound begins"
    if request.start and (request.duration is None or (rest is not None and rest <= TOLERATED_SECONDS)):
        return PastTheEnd(f"{none} at start = {request.start:g} s or later; wav has what is left of the last one")
    return NotDecodable(f"{none} in this part; take wav, flac or mp3, which have it as silence")


def _changed(stored: StoredObject) -> StreamCut | None:
    if not stored.written_over():
        return None
    return StreamCut(f"{stored.savepath} was changed while it was read; try again")
