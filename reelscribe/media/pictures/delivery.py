"""Gives the picture of each moment, in the program :mod:`reelscribe.media.pictures.child`.

Besides what all of its tasks hold:

* ``video_track``: which picture stream; null for the default one;
* ``moments``: fractions of a second in rising order, or ``start``, ``step`` and ``end`` (or null) of an even series;
* ``may_seek``: it has one clock, and an index;
* ``picture_format``, ``quality``, ``size``: how to encode.

``event`` of its records is ``opened``, then for each moment ``picture``, ``missing`` or ``damaged``, then ``ended``. A
picture that is the same as the last one comes without bytes.
"""

import os
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from fractions import Fraction
from typing import Any

from reelscribe.media.inspection_child import COVERS, dispositions
from reelscribe.media.picture_order import place_of_default
from reelscribe.media.pictures.damage import Damage, Decoded, Verdict
from reelscribe.media.pictures.encoding import Encoder
from reelscribe.media.pictures.packets import Cut, Entry, Moments, Packets, Unentered
from reelscribe.media.pictures.source import RESTART_SECONDS, Failed, check_size, opened, prepare, send, usual_span
from reelscribe.media.pictures.timing import Clock, beginning

MOST_ENCODING = 2

Encoded = tuple[bytes, dict[str, Any]]


class Pictures:
    """The decoded pictures of one recording, in the order of their timestamps.

    Attributes:
        damage: what is known of each.
        count: of those that could be decoded, all ways together.
        span: how long a picture lasts that does not say so.
        errors: reads that failed; see :attr:`Damage.failed` for packets.
        restarted: they ended where timestamps begin again.
    """

    def __init__(self, av: Any, task: dict[str, Any], container: Any, stream: Any, moments: Moments) -> None:
        self._av, self._task, self._container, self._stream = av, task, container, stream
        self._moments = moments
        self._restart = RESTART_SECONDS / stream.time_base
        self._given: int | None = None
        self._packets: Packets
        self.damage = Damage()
        self.count = 0
        self.span = usual_span(stream)
        self.errors = 0
        self.restarted = False

    def decoded(self) -> Iterator[tuple[int, Decoded | None]]:
        """Timestamp and picture of each that is needed; no picture, where nothing is needed from a timestamp on.

        One that is not later than the one before is left out.
        """
        ways = [(self._task["may_seek"], False), (False, False), (False, True)]
        for may_seek, everything in ways:
            self._packets = Packets(self._av, self._container, self._stream, self._moments, may_seek, everything)
            self.damage = Damage()
            try:
                yield from self._from_packets()
            except Unentered:
                self._container = opened(self._av, self._task)
                _, self._stream = chosen(self._container, self._task["video_track"])
                prepare(self._stream, self._task)
                continue
            self.errors += self._packets.errors
            return

    def _from_packets(self) -> Iterator[tuple[int, Decoded | None]]:
        last: int | None = None
        entry: int | None = None
        enters = False
        cuts: deque[Cut] = deque()
        for packet in self._packets:
            if isinstance(packet, Cut):
                cuts.append(packet)
                continue
            if isinstance(packet, Entry):
                frames = self._frames(None)
                self._stream.codec_context.flush_buffers()
            else:
                if enters:
                    entry, enters = self._packets.stamp(packet), False
                frames = self._frames(packet)
            for frame in frames:
                pts = self._packets.stamp(frame)
                if pts is None:
                    pts = frame.dts
                if pts is None:
                    pts = 0 if last is None else last + self.span
                if entry is not None:
                    if pts < entry:  # it needs what was left out
                        continue
                    if pts > entry or not frame.key_frame:
                        raise Unentered
                    entry = None
                elif last is not None and last - self._restart < pts <= last:
                    continue
                elif last is not None and pts <= last:
                    self.restarted = True
                    return
                elif last is not None:
                    self.span = pts - last
                check_size(self._task, frame.width, frame.height)
                verdict = self.damage.judge(pts, frame)
                while cuts and cuts[0].following <= pts:
                    needed = cuts.popleft().needed
                    if (last is None or last < needed) and needed not in self.damage.failed:
                        raise Unentered  # the decoder had it, and did not give it
                last = pts
                if self._given is None or pts > self._given:
                    self._given = pts
                    self.count += 1
                    yield pts, Decoded(pts, frame, verdict)
            if isinstance(packet, Entry):
                self.damage.end()
                last, enters = None, True
                cuts.clear()
                yield packet.stamp, None
        self.damage.end()
        if entry is not None:
            raise Unentered

    def _frames(self, packet: Any) -> list[Any]:
        if packet is not None and self._packets.has_pts:
            self.damage.feed(packet.pts)
        try:
            frames: list[Any] = self._stream.codec_context.decode(packet)
            return frames
        except self._av.error.FFmpegError:
            self.damage.fail()
            return []


class Outbox:
    """Records of pictures, each sent once it is known whether the picture is intact.

    A thread encodes them, so that the threads of the decoder always have something to do. It may be behind by
    :data:`MOST_ENCODING` pictures, each of which keeps a frame in memory.
    """

    def __init__(self, damage: Callable[[], Damage], encoder: Encoder) -> None:
        self._damage, self._encoder = damage, encoder
        self._thread = ThreadPoolExecutor(1)
        self._encoding: deque[Future[Encoded]] = deque()
        self._waiting: deque[tuple[Verdict | None, Future[Encoded] | None, dict[str, Any]]] = deque()
        self._encoded: Verdict | None = None

    @property
    def is_empty(self) -> bool:
        """Whether nothing waits."""
        return not self._waiting

    def add(self, number: int, shown: Decoded | None) -> None:
        """A moment, and the picture that is shown then."""
        encoding, fields = None, {"number": number}
        if shown and not shown.verdict.damaged:
            fields["pts"] = shown.pts
            if shown.verdict is not self._encoded:
                if len(self._encoding) == MOST_ENCODING:
                    wait((self._encoding.popleft(),))
                encoding, self._encoded = self._thread.submit(self._encoder.encode, shown.frame), shown.verdict
                self._encoding.append(encoding)
        self._waiting.append((shown and shown.verdict, encoding, fields))

    def send(self, *, all_encoded: bool = False) -> None:
        """What is certain and encoded.

        Args:
            all_encoded: wait until that is so of all that is certain.
        """
        while self._waiting:
            verdict, encoding, fields = self._waiting[0]
            if verdict and not self._damage().is_certain(verdict):
                return
            if encoding and not all_encoded and not encoding.done():
                return
            self._waiting.popleft()
            if not verdict:
                send("missing", number=fields["number"])
            elif verdict.damaged:
                send("damaged", number=fields["number"])
            else:
                picture, facts = encoding.result() if encoding else (b"", {})
                send("picture", picture, **fields, **facts)


def chosen(container: Any, video_track: int | None) -> tuple[int, Any]:
    """Number and stream of the pictures; covers and thumbnails are not counted."""
    streams = [stream for stream in container.streams.video if COVERS.isdisjoint(dispositions(stream))]
    if not streams:
        raise Failed("no_pictures")
    if video_track is None:
        video_track = place_of_default([("default" in dispositions(stream), pixels(stream)) for stream in streams])
    if video_track >= len(streams):
        raise Failed("no_such_track", len(streams))
    return video_track, streams[video_track]


def pixels(stream: Any) -> int:
    context = stream.codec_context
    return context.width * context.height if context else 0


def show(pictures: Pictures, moments: Moments, outbox: Outbox) -> int | None:
    """Send the picture of each moment; returns when the last picture ends, in the stream's unit.

    None if the last moment was reached, and what comes after it was not read.
    """
    number = 0
    tick = moments.tick(number)
    current: Decoded | None = None
    for following, shown in _with_the_last_sent(pictures.decoded(), outbox):
        while tick is not None and tick < following:
            outbox.add(number, current)
            number += 1
            tick = moments.tick(number)
        outbox.send(all_encoded=number == 1 or tick is None)  # the first as soon as possible
        if shown:
            current = shown
        if tick is None and outbox.is_empty:
            return None
    if current is None:
        raise Failed("undecodable")
    end: int = current.pts + max(1, current.frame.duration or pictures.span)
    while tick is not None and (tick < end or moments.is_list):
        outbox.add(number, current if tick < end else None)
        number += 1
        tick = moments.tick(number)
    outbox.send(all_encoded=True)
    return end


def _with_the_last_sent(decoded: Iterator[tuple[int, Decoded | None]], outbox: Outbox) -> Iterator[Any]:
    """The same; if it fails, what is certain by then is sent before."""
    try:
        yield from decoded
    except Failed:
        outbox.send(all_encoded=True)
        raise


def deliver(av: Any, task: dict[str, Any]) -> None:
    """Carry out the task."""
    with opened(av, task) as container:
        track, stream = chosen(container, task["video_track"])
        prepare(stream, task)
        clock = Clock(Fraction(stream.time_base), beginning(container.start_time, av.time_base, task["origin"]))
        send(
            "opened",
            container=container.format.name,
            video_track=track,
            codec=stream.codec_context.codec.canonical_name,
            unit=[clock.unit.numerator, clock.unit.denominator],
            origin=[clock.origin.numerator, clock.origin.denominator],
            start_pts=stream.start_time,
            duration=None if stream.duration is None else float(stream.duration * clock.unit),
        )
        moments = Moments(task["moments"], clock)
        pictures = Pictures(av, task, container, stream, moments)
        end = show(pictures, moments, Outbox(lambda: pictures.damage, Encoder(av, stream, task)))
        send(
            "ended",
            end=None if end is None else float(clock.seconds(end)),
            pictures=pictures.count,
            errors=pictures.errors + len(pictures.damage.failed),
            broken_off=bool(pictures.errors),
            restarted=pictures.restarted,
        )
        os._exit(0)  # to close a decoder takes time
