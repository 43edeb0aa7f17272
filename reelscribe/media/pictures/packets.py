"""Which packets of a stream are decoded, for :mod:`reelscribe.media.pictures.child`; it imports its neighbours alone.

Packets come in groups: a key frame, from which a decoder can begin, and what follows until the next one. A group is
read, and not decoded, if no moment falls into its time; where the next moment is far, the container seeks.
"""

from bisect import bisect_left, bisect_right, insort
from collections import deque
from collections.abc import Iterator
from fractions import Fraction
from itertools import chain
from typing import Any, NamedTuple

from reelscribe.media.pictures.fields import Fields
from reelscribe.media.pictures.fresh_start import is_fresh_start
from reelscribe.media.pictures.source import WITHOUT_PTS, check_storage
from reelscribe.media.pictures.timing import Clock

SKIPPING_DECODERS = ("h264", "hevc")
"""Decoders that skip pictures on which no other depends; about half of them are such, with usual settings."""

ENTERED_DECODERS = (
    *("h264", "hevc", "libdav1d", "vp8", "vp9", "mpeg1video", "mpeg2video", "mpeg4"),
    *("mjpeg", "prores", "dnxhd", "dvvideo"),
)
"""Decoders that can begin at each key frame, and say which pictures are such."""

EXACT_CONTAINERS = ("mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm", "mpegts")
"""Containers in which each picture has its own timestamp."""

LOOKAHEAD_PACKETS = 24
"""More than the pictures by which H.264 and HEVC may reorder (16)."""

SEEK_SECONDS = 20
"""To read that much takes longer than to seek, which lands up to a group too early and empties the decoder."""

BACK_SECONDS = (0, 1, 2, 4)
"""How much earlier is sought if a seek lands after its target."""

MOST_HELD_PACKETS = 2000
MOST_HELD_BYTES = 64 << 20
"""Of a group of which it is not known yet whether it is needed."""

MOST_TAIL_BYTES = 8 << 20
"""Of the packets of which it is not known yet whether they are the end of a group that no moment needs."""


class Moments:
    """The moments of a task, in the unit of a stream: the last timestamp that a picture shown then may have.

    Args:
        asked: ``moments`` of the task.
        clock: of the stream.
    """

    def __init__(self, asked: Any, clock: Clock) -> None:
        self._clock = clock
        self._asked, self._found = 1, 0
        self._list: list[int] | None = None
        self.is_list = not isinstance(asked, dict)
        if self.is_list:
            self._list = [clock.tick(Fraction(text)) for text in asked]
            return
        self._start, self._step = Fraction(asked["start"]), Fraction(asked["step"])
        self._end = None if asked["end"] is None else Fraction(asked["end"])

    def tick(self, number: int) -> int | None:
        """Of one of them; None if there are not as many."""
        if self._list is not None:
            return self._list[number] if number < len(self._list) else None
        time = self._start + number * self._step
        return None if self._end is not None and time >= self._end else self._clock.tick(time)

    def first_from(self, first: int) -> int | None:
        """The first that is not before a timestamp."""
        if self._asked <= first <= self._found:  # most are asked for again: each packet asks for its picture
            return self._found
        found = self._search(first)
        if found is not None:
            self._asked, self._found = first, found
        return found

    def _search(self, first: int) -> int | None:
        if self._list is not None:
            return self.tick(bisect_left(self._list, first))
        time = self._clock.seconds(first) - self._clock.near
        return self.tick(max(0, ((time - self._start) / self._step).__ceil__()))

    def any_in(self, first: int, following: int) -> bool:
        """Whether a picture is needed that is shown from one timestamp until before another."""
        tick = self.first_from(first)
        return tick is not None and tick < following


class Entry(NamedTuple):
    """Comes where packets are left out: before a key frame at which the decoder begins again.

    Attributes:
        stamp: of the first that is left out. The picture before it stays, for all moments before it.
    """

    stamp: int


class Cut(NamedTuple):
    """Comes where the end of a group was left out, before the key frame that follows.

    Attributes:
        needed: timestamp of the last picture before it that a moment needs.
        following: of the key frame.
    """

    needed: int
    following: int


class Unentered(Exception):
    """There is no sure way into the middle of this stream."""


class Packets:
    """The packets of one stream that are decoded, in the order of the container.

    Args:
        av: PyAV.
        container, stream: to read.
        moments: for which pictures are needed.
        may_seek: the container has one clock, and an index.
        everything: decode every group.

    Attributes:
        errors: reading ended with one, if not 0.
    """

    def __init__(
        self, av: Any, container: Any, stream: Any, moments: Moments, may_seek: bool, everything: bool
    ) -> None:
        self._av = av
        self._container = container
        self._stream = stream
        self._moments = moments
        codec, form = stream.codec_context.codec.name, container.format.name
        self.has_pts = form not in WITHOUT_PTS
        self._may_skip = codec in SKIPPING_DECODERS and form in EXACT_CONTAINERS
        self._fields = Fields(stream.codec_context.extradata if codec == "h264" and self._may_skip else None)
        self._may_enter = (
            not everything and codec in ENTERED_DECODERS and (self.has_pts or not stream.codec_context.has_b_frames)
        )
        self._everything = everything
        self._may_seek = may_seek
        self._sought: int | None = None
        self.errors = 0

    def stamp(self, packet: Any) -> int | None:
        """The timestamp of a packet, or of a frame."""
        stamp: int | None = packet.pts if self.has_pts else packet.dts
        return stamp

    def __iter__(self) -> Iterator[Any]:
        """The packets, entries and cuts; before each packet, the decoder is set to skip a picture, or not to.

        What comes after the last picture of a group that a moment needs is left out, if the next group depends on
        nothing before it. Of the last group nothing is left out: it says when the recording ends.
        """
        tail = _Tail()
        for packet, is_needed in self._looked_ahead():
            if isinstance(packet, Entry):  # the decoder is emptied there
                tail = _Tail()
                yield packet
                continue
            if packet.is_keyframe and tail.packets:
                if (cut := tail.cut_before(packet)) and self._is_fresh_start(packet):
                    tail.drop()
                    yield cut
                yield from map(self._marked, tail.rest())
            is_last = packet.pts is None or self._moments.first_from(packet.pts) is None
            if self._everything or is_needed or is_last or tail.holds_too_much:
                yield from map(self._marked, tail.rest())
                tail.let_go(packet, is_needed)
                yield self._marked((packet, is_needed))
            else:
                tail.add(packet)
        yield from map(self._marked, tail.rest())

    def _looked_ahead(self) -> Iterator[tuple[Any, bool]]:
        """The packets and entries, and whether a moment needs the picture of each, as far as that is known.

        Which picture follows is known from the packets after it. If one that comes later still is between them, the
        interval is shorter than it seemed: a picture may seem needed that is not, and never the reverse.
        """
        waiting: deque[Any] = deque()
        known: list[int] = []
        for packet in self._grouped():
            if isinstance(packet, Entry):
                while waiting:  # before the container seeks, which empties the decoder
                    yield self._judged(waiting.popleft(), known)
                yield packet, True
                continue
            if packet.pts is None:
                self._may_skip = self._may_skip and packet.size == 0  # the last, empty packet has no timestamp
            else:
                insort(known, packet.pts)
                if self._may_skip and self._fields.may_be:
                    self._may_skip = not self._fields.is_one(bytes(packet))
            waiting.append(packet)
            if len(waiting) > LOOKAHEAD_PACKETS or not self._may_skip:
                yield self._judged(waiting.popleft(), known)
            del known[: max(0, len(known) - 4 * LOOKAHEAD_PACKETS)]
        while waiting:
            yield self._judged(waiting.popleft(), known)

    def _judged(self, packet: Any, known: list[int]) -> tuple[Any, bool]:
        if not self._may_skip or packet.pts is None:
            return packet, True
        place = bisect_right(known, packet.pts)
        return packet, place == len(known) or self._moments.any_in(packet.pts, known[place])

    def _marked(self, judged: tuple[Any, bool]) -> Any:
        packet, is_needed = judged
        self._stream.codec_context.skip_frame = "DEFAULT" if is_needed else "NONREF"
        return packet

    def _is_fresh_start(self, packet: Any) -> bool:
        decoder = self._stream.codec_context
        return is_fresh_start(decoder.codec.name, decoder.extradata, bytes(packet))

    def _grouped(self) -> Iterator[Any]:
        """The packets, without groups that no moment needs, except the last one: it says when the recording ends."""
        source = _Source(self._read())
        group, entering = _Group(self._moments), False
        for packet in source:
            stamp = self.stamp(packet)
            if not self._may_enter:
                yield packet
                continue
            key = stamp if packet.is_keyframe else None
            another_clock = key is not None and group.key is not None and key <= group.key
            if another_clock or group.holds_too_much or (stamp is None and packet.size):
                self._may_enter = False
            elif key is not None:
                if group.key is not None and group.can_go(key):
                    if not entering:
                        yield Entry(group.key)
                    entering = True
                else:
                    yield from group.rest()
                    entering = entering and group.key is None
                target = self._far(key) if entering or group.key is None else None
                group = _Group(self._moments)
                if target is not None:
                    if not entering:
                        yield Entry(key)
                    entering = True
                    source.replace(self._seek(target))
                    continue
            group.add(packet, stamp)
            if not self._may_enter or group.is_needed:
                yield from group.rest()
                entering = False
        yield from group.rest()

    def _far(self, stamp: int) -> int | None:
        """The next moment, if it is worth a seek."""
        tick = self._moments.first_from(stamp) if self._may_seek else None
        if tick is None or tick == self._sought or (tick - stamp) * self._stream.time_base < SEEK_SECONDS:
            return None
        return tick

    def _seek(self, tick: int) -> Iterator[Any]:
        """The packets from a key frame on that is not after a timestamp.

        Raises:
            Unentered: none is found.
        """
        self._sought = tick
        for seconds in BACK_SECONDS:
            try:
                self._container.seek(tick - round(seconds / self._stream.time_base), stream=self._stream)
            except self._av.error.FFmpegError:
                break
            packets = self._read()
            first = next(packets, None)
            stamp = self.stamp(first) if first else None
            if first and stamp is not None and first.is_keyframe and stamp <= tick:
                return chain((first,), packets)
        raise Unentered

    def _read(self) -> Iterator[Any]:
        try:
            yield from self._container.demux(self._stream)
        except self._av.error.FFmpegError as failure:
            check_storage(failure)
            self.errors += 1


class _Source:
    """Packets, whose rest may be replaced."""

    def __init__(self, packets: Iterator[Any]) -> None:
        self._packets = packets

    def replace(self, packets: Iterator[Any]) -> None:
        """Give these from now on."""
        self._packets = packets

    def __iter__(self) -> Iterator[Any]:
        while (packet := next(self._packets, None)) is not None:
            yield packet


class _Tail:
    """The packets since the last one that was let go: no moment needs their pictures."""

    def __init__(self) -> None:
        self.packets: list[Any] = []
        self._bytes = 0
        self._needed: int | None = None

    @property
    def holds_too_much(self) -> bool:
        """Whether no more of it may wait."""
        return len(self.packets) > MOST_HELD_PACKETS or self._bytes > MOST_TAIL_BYTES

    def add(self, packet: Any) -> None:
        """Take in the next packet."""
        self.packets.append(packet)
        self._bytes += packet.size

    def let_go(self, packet: Any, is_needed: bool) -> None:
        """A packet follows that is decoded."""
        if is_needed and packet.pts is not None:
            self._needed = packet.pts if self._needed is None else max(self._needed, packet.pts)

    def cut_before(self, key: Any) -> Cut | None:
        """What leaving it out before a key frame is, if the timestamps allow it."""
        latest = max(packet.pts for packet in self.packets)
        has_settings = any(packet.has_sidedata("new_extradata") for packet in (key, *self.packets))
        if self._needed is None or key.pts is None or key.pts <= max(latest, self._needed) or has_settings:
            return None
        return Cut(self._needed, key.pts)

    def drop(self) -> None:
        """Leave it out."""
        self.packets, self._bytes = [], 0

    def rest(self) -> Iterator[tuple[Any, bool]]:
        """Its packets, which no moment needs, to be decoded all the same."""
        yield from ((packet, False) for packet in self.packets)
        self.drop()


class _Group:
    """A group while it is read; what of it is known to be needed is handed out by :meth:`rest`."""

    def __init__(self, moments: Moments) -> None:
        self._moments = moments
        self.packets: list[Any] = []
        self._bytes = 0
        self._first: int | None = None
        self._last: int | None = None
        self._is_needed = False
        self.key: int | None = None

    def add(self, packet: Any, stamp: int | None) -> None:
        """Take in its next packet."""
        if stamp is not None:
            if not self.packets and self.key is None:
                self.key = stamp
            self._first = stamp if self._first is None else min(stamp, self._first)
            self._last = stamp if self._last is None else max(stamp, self._last)
        self._is_needed = self._is_needed or packet.has_sidedata("new_extradata")  # that is for later groups too
        self.packets.append(packet)
        self._bytes += packet.size

    @property
    def holds_too_much(self) -> bool:
        """Whether no more of it may wait."""
        return len(self.packets) > MOST_HELD_PACKETS or self._bytes > MOST_HELD_BYTES

    @property
    def is_needed(self) -> bool:
        """Whether that is sure before its end is known."""
        if self._first is not None and self._last is not None and not self._is_needed:
            self._is_needed = self._moments.any_in(self._first, self._last)
        return self._is_needed

    def can_go(self, following: int) -> bool:
        """Whether no moment needs it, if the next group begins at a timestamp."""
        assert self._first is not None
        return not self._is_needed and not self._moments.any_in(self._first, following)

    def rest(self) -> Iterator[Any]:
        """Its packets that were not handed out yet."""
        yield from self.packets
        self.packets, self._bytes = [], 0
