"""The sound of one track as 16-bit samples on the timeline of its recording, while ffmpeg decodes it."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator, Sequence
from contextlib import aclosing, nullcontext
from dataclasses import dataclass, field, replace
from itertools import groupby, repeat
from typing import Literal

from reelscribe.media.commands import APPENDED_SECONDS, Reading, Sound, decode_command
from reelscribe.media.ffmpeg import FFmpeg
from reelscribe.media.inspection import LONG_SEARCH, Search
from reelscribe.media.processes.pipe import Pipe
from reelscribe.media.processes.process import FFmpegProcess
from reelscribe.media.processes.sandbox import killed_by
from reelscribe.media.sound.alignment import Alignment
from reelscribe.media.sound.frame_report import Frame, FrameReport
from reelscribe.media.sound.phase import LONG_QUIET_SECONDS, LongestQuiet, PhaseCheck, cancels_later
from reelscribe.media.sound.timeline import REGULAR_SECONDS, Piece, Timeline
from reelscribe.media.sound.wav import SAMPLE_BYTES
from reelscribe.media.stored_object import StoredObject
from reelscribe.media.structure.mpeg.first_timestamp import CYCLE_SECONDS

SILENCE_BYTES = 1 << 19
SEEK_LEAD_SECONDS = 0.5
"""Decoding begins that much before ``start``: codecs need the frames before a frame (the bit reservoir of mp3)."""

LONGER_SEEK_LEADS = (10.0, None)
"""Tried in turn if the first frame comes after ``start``; None is to decode from the beginning."""


Clock = Literal["samples", "exact", "rounded"]


def _unknown() -> None:
    return None


@dataclass(frozen=True)
class Part:
    """What to deliver of a track.

    Attributes:
        start, duration: seconds.
        seekable: a seek gives the timeline of a read from the beginning.
        clock: timestamps count samples; or are exact, but may run slower than the samples; or are rounded, too.
        origin: timestamp of the recording's beginning, in seconds, if timestamps do not count from it.
        exact_origin: see :class:`reelscribe.media.sound.timeline.Timeline`.
        declared: seconds that the recording declares.
        holes: see :class:`reelscribe.media.structure.facts.AudioTrack`.
        joined: see :class:`reelscribe.media.sound.timeline.Timeline`.
        may_appear_late: a track may appear that the beginning of the file does not mention.
        search: how far ffmpeg must look for streams.
        mono: the track is known to have one channel.
        ends: where the recording ends, in seconds, if it may do so in silence without frames; called after decoding.
    """

    start: float = 0.0
    duration: float | None = None
    seekable: bool = False
    clock: Clock = "samples"
    origin: float | None = None
    exact_origin: bool = False
    declared: float | None = None
    holes: tuple[tuple[float, float], ...] = ()
    joined: bool = False
    may_appear_late: bool = False
    search: Search = field(default_factory=dict)
    mono: bool = False
    ends: Callable[[], float | None] = _unknown


class _Again(Exception):
    """The same part has to be decoded in another way."""


class DecodedTrack:
    """Decodes a part of a track; read it with :meth:`chunks`.

    Attributes:
        sample_rate, channels, layout: of the samples, known with the first chunk.
        first_pts: timestamp of the first frame, in samples.
        timeline: what has been placed; None before the first frame.
        reading: how the input is read.
        sound: the samples that are made.
        phase_cancelled: the first channel was taken instead of the mono mix, in which channels cancel each other.
        cancelled_at: seconds of the recording where they cancel each other although they do not at its beginning.
        exit_code: of ffmpeg; 0 if it was ended because the requested part was complete.
        errors: number of ffmpeg's messages about damage.
        messages: ffmpeg's last messages, for the log.
    """

    def __init__(self, ffmpeg: FFmpeg, stored: StoredObject, sound: Sound, part: Part, *, cpu_seconds: float) -> None:
        self.sample_rate = 0
        self.channels = 0
        self.layout: str | None = None
        self.first_pts = 0
        self.timeline: Timeline | None = None
        self.sound = sound
        self.phase_cancelled = False
        self.cancelled_at: float | None = None
        lead = max(0.0, part.start - SEEK_LEAD_SECONDS)
        seek = lead if part.seekable and not part.holes and lead else None
        zero = part.origin if part.seekable else None
        self.reading = Reading(seek, part.search, own_clock=part.origin is not None, origin=zero)
        self.exit_code = 0
        self.errors = 0
        self.messages: list[str] = []
        self._ffmpeg = ffmpeg
        self._stored = stored
        self._part = part
        self._cpu_seconds = cpu_seconds
        self._exact = False
        self._withheld: deque[Frame] = deque()
        self._withheld_samples = 0
        self._next_pts: int | None = None
        self._phase_checked = sound.channels != 1 or sound.channel is not None or bool(sound.microphones)
        self._quiet = None if self._phase_checked or part.mono else LongestQuiet()
        self._leads = deque(LONGER_SEEK_LEADS)
        self._shift = 0.0
        self._failed_once = False

    async def chunks(self) -> AsyncGenerator[bytes, None]:
        """The samples, little-endian and interleaved, in chunks of any size. Closing the iterator ends ffmpeg."""
        delivered = 0
        while True:
            skip = delivered
            try:
                async with aclosing(self._decode()) as chunks:
                    async for chunk in chunks:
                        rest = chunk[skip:]
                        skip = max(0, skip - len(chunk))
                        delivered += len(rest)
                        if rest:
                            yield rest
                await self._judge_quiet()
                return
            except _Again:
                pass

    async def _decode(self) -> AsyncGenerator[bytes, None]:
        report, pipe, output = FrameReport(), Pipe(), _Output()
        self.timeline, self._next_pts, self.exit_code = None, None, 0
        self._withheld, self._withheld_samples = deque(), 0
        quiet = self._quiet = self._quiet and LongestQuiet()
        aligning = self._alignment()
        try:
            command = decode_command(
                self._ffmpeg,
                self._stored,
                self.sound,
                self.reading,
                pipe.writing,
                exact=self._exact,
                frames=aligning.outputs if aligning else None,
            )
            async with (
                aligning or nullcontext(),
                FFmpegProcess(
                    self._ffmpeg.sandbox,
                    command,
                    self._stored.descriptors,
                    cpu_seconds=self._cpu_seconds,
                    network=self._stored.needs_network,
                    reports=[pipe, *(aligning.pipes if aligning else ())],
                ) as process,
            ):
                phase = None if self._phase_checked else PhaseCheck()
                ended = False
                frames: list[Frame] = []
                while not ended:
                    chunk = await process.read()
                    ended = not chunk
                    output.add_samples(chunk)
                    if quiet and chunk:
                        quiet.add(chunk)
                    if phase:
                        phase.add(chunk)
                    frames += report.read(await pipe.read_all() if ended else pipe.read_now())
                    if aligning:
                        if ended:
                            await aligning.finish()
                        elif not aligning.is_known(_seconds(frames, report)):
                            continue
                        self._use(aligning.shift)
                        aligning = None
                    if phase:
                        if not ended and phase.undecided(report.sample_rate):
                            continue
                        await self._judge_phase(phase)
                        phase = None
                    output.add_pieces(self._place(report, frames, ended), SAMPLE_BYTES * self.channels)
                    if ended and self.timeline and (seconds := await asyncio.to_thread(self._part.ends)):
                        output.add_pieces(self.timeline.extend(seconds), SAMPLE_BYTES * self.channels)
                    for ready in output.ready():
                        yield ready
                    frames = []
                    if self.timeline and self.timeline.finished and output.is_empty:
                        return
                self.exit_code = await process.wait()
                self.errors, self.messages = process.messages.errors, list(process.messages.last)
                self._try_again()
                self._look_further()
        finally:
            pipe.close()

    def _alignment(self) -> Alignment | None:
        if self.reading.seek is None or self._part.clock == "samples":
            return None
        return Alignment(self._part.clock == "rounded", self._part.exact_origin, self._part.origin or 0.0)

    def _use(self, shift: float | None) -> None:
        if shift is None:
            self.reading = replace(self.reading, seek=None)
            raise _Again
        self._shift = shift

    def _place(self, report: FrameReport, frames: list[Frame], ended: bool) -> list[Piece]:
        if not self._exact:
            frames = self._known_to_follow(report, frames, ended)
        if not frames and not (ended and self.timeline):
            return []
        timeline = self.timeline or self._begin(report, frames[0])
        width = SAMPLE_BYTES * self.channels
        pieces = _joined(timeline.place([(frame.pts, frame.size // width) for frame in frames], ended=ended))
        if timeline.irregular and not self._exact:
            self._exact = True
            raise _Again
        return pieces

    def _known_to_follow(self, report: FrameReport, frames: list[Frame], ended: bool) -> list[Frame]:
        """Joined frames, withheld until as much as is appended has come after them; without what was appended.

        Only the timestamp of the next one shows that a joined frame has a hole in it.
        """
        rate = report.sample_rate or 0
        for frame in frames:
            if self._next_pts is not None and abs(frame.pts - self._next_pts) > REGULAR_SECONDS * rate:
                self._exact = True
                raise _Again
            self._next_pts = frame.pts + frame.duration
            self._withheld.append(frame)
            self._withheld_samples += frame.duration
        known = []
        while self._withheld and self._withheld_samples - self._withheld[0].duration >= APPENDED_SECONDS * rate:
            known.append(self._withheld.popleft())
            self._withheld_samples -= known[-1].duration
        rest = self._withheld_samples - APPENDED_SECONDS * rate
        if ended and rest > 0:
            known.append(_shortened(self._withheld.popleft(), rest))
        return known

    def _begin(self, report: FrameReport, first: Frame) -> Timeline:
        part = self._part
        assert report.sample_rate
        self.sample_rate, self.layout = report.sample_rate, report.layout
        self.first_pts = first.pts
        self.channels = first.size // (SAMPLE_BYTES * first.duration)
        begin = part.start + (part.origin or 0.0)
        if self.reading.seek is not None and first.pts > begin * self.sample_rate and self._leads:
            self._seek_earlier()
        self.timeline = Timeline(
            self.sample_rate,
            part.start,
            part.duration,
            origin=(part.origin or 0.0) - self._shift,
            exact_origin=part.exact_origin,
            cycle=None if part.origin is None else CYCLE_SECONDS,
            sought=self.reading.seek is not None,
            declared=part.declared,
            holes=part.holes,
            joined=part.joined,
        )
        return self.timeline

    def _seek_earlier(self) -> None:
        """A seek may land on the next key frame instead of the one before."""
        lead = self._leads.popleft()
        earlier = None if lead is None or lead >= self._part.start else self._part.start - lead
        self.reading = replace(self.reading, seek=earlier)
        raise _Again

    def _try_again(self) -> None:
        """Nothing was found, and ffmpeg failed: of a host without room for its threads, a second try says more."""
        if self.timeline or self._failed_once or not self.exit_code or killed_by(self.exit_code):
            return
        self._failed_once = True
        raise _Again

    def _look_further(self) -> None:
        """Nothing was found: the track may appear later than ffmpeg looks by itself."""
        if self.timeline or self.reading.search or not self._part.may_appear_late:
            return
        self.reading = replace(self.reading, search=LONG_SEARCH)
        raise _Again

    async def _judge_phase(self, phase: PhaseCheck) -> None:
        self._phase_checked = True
        if phase.quiet and await phase.cancels(self._ffmpeg, self._stored, self.sound, self.reading):
            self.sound = replace(self.sound, channel=0)
            self.phase_cancelled = True
            self._quiet = None
            raise _Again

    async def _judge_quiet(self) -> None:
        quiet, rate, part = self._quiet, self.sample_rate, self._part
        if not quiet or not rate:
            return
        start = (self.first_pts + quiet.start) / rate - (part.origin or 0.0)
        end = start + quiet.length / rate
        if self.timeline:
            end = min(end, self.timeline.position / rate)  # silence may have been appended
        if part.duration is not None:
            end = min(end, part.start + part.duration)  # more may have been decoded
        if end - start < LONG_QUIET_SECONDS:
            return
        if await cancels_later(self._ffmpeg, self._stored, self.sound, self.reading, max(0.0, start), rate):
            self.cancelled_at = start


class _Output:
    """Puts decoded samples and silence together; the report of samples may arrive before or after them."""

    def __init__(self) -> None:
        self._chunks: deque[memoryview] = deque()
        self._pieces: deque[tuple[int, bool, bool]] = deque()

    def add_samples(self, chunk: bytes) -> None:
        if chunk:
            self._chunks.append(memoryview(chunk))

    def add_pieces(self, pieces: Iterable[Piece], width: int) -> None:
        """``width`` is the bytes of one sample of all channels."""
        self._pieces.extend((piece.samples * width, piece.sound, piece.keep) for piece in pieces)

    @property
    def is_empty(self) -> bool:
        """Whether everything that has a place has been delivered."""
        return not self._pieces

    def ready(self) -> Iterator[bytes]:
        """What can be delivered now."""
        while self._pieces:
            size, sound, keep = self._pieces.popleft()
            if not sound:
                yield from _silence(size if keep else 0)
                continue
            while size and self._chunks:
                chunk = self._chunks.popleft()
                if len(chunk) > size:
                    self._chunks.appendleft(chunk[size:])
                    chunk = chunk[:size]
                size -= len(chunk)
                if keep:
                    yield bytes(chunk)
            if size:
                self._pieces.appendleft((size, sound, keep))
                return


def _seconds(frames: Sequence[Frame], report: FrameReport) -> float:
    return (frames[-1].pts - frames[0].pts) / report.sample_rate if frames and report.sample_rate else 0.0


def _shortened(frame: Frame, samples: int) -> Frame:
    return frame._replace(duration=samples, size=frame.size // frame.duration * samples)


def _silence(size: int) -> Iterator[bytes]:
    whole, rest = divmod(size, SILENCE_BYTES)
    yield from repeat(bytes(SILENCE_BYTES), whole)
    yield bytes(rest)


def _joined(pieces: Iterable[Piece]) -> list[Piece]:
    """Neighbours of the same kind as one piece."""
    return [
        Piece(sum(piece.samples for piece in same), sound, keep)
        for (sound, keep), same in groupby(pieces, key=lambda piece: (piece.sound, piece.keep))
    ]
