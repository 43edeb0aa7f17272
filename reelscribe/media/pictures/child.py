"""Decodes the pictures of one recording at given moments; :mod:`reelscribe.media.pictures.process` starts it.

A program of its own, because it opens untrusted input: it runs in the sandbox, by its path, without site-packages, and
sees nothing of ours but :mod:`reelscribe.media.pictures.encoding`. Usage: ``python -I -S child.py PACKAGES ROOT``, the
folders that PyAV and we are installed in. Its task comes as JSON on standard input:

* ``url``, ``options``, ``demuxer``: for ``avformat_open_input``;
* ``decoders``: names of the decoders that may read pictures;
* ``video_track``: which picture stream; null for the container's default;
* ``origin``: where the recording begins on the container's own clock, as a fraction; null: at its first timestamp;
* ``moments``: fractions of a second in rising order, or ``start``, ``step`` and ``end`` (or null) of an even series;
* ``picture``, ``quality``, ``size``, ``max_pixels``: how to encode.

Records come on standard output: the lengths of a JSON object and of a picture (two times 4 bytes, big-endian), then
both. ``event`` of the object is ``opened``, then for each moment ``picture``, ``missing`` or ``damaged``, then
``ended``; or ``failed`` at any time. A picture that is the same as the last one comes without bytes.
"""

import json
import os
import struct
import sys
from bisect import bisect_left, bisect_right, insort
from collections import deque
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

LENGTHS = struct.Struct(">II")
RESTART_SECONDS = 1
"""Timestamps that fall back further than this are those of another clock."""

CYCLE = Fraction(1 << 33, 90_000)
"""Seconds after which the timestamps of MPEG streams begin again."""

SKIPPING_DECODERS = ("h264", "hevc")
"""Decoders that skip pictures on which no other depends; about half of them are such, with usual settings."""

EXACT_CONTAINERS = ("mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm", "mpegts")
"""Containers in which each picture has its own timestamp."""

LOOKAHEAD_PACKETS = 24
"""More than the pictures by which H.264 and HEVC may reorder (16)."""

WITHOUT_PTS = ("avi",)
"""Containers that hold when a picture is decoded, not when it is shown; libav's guesses are wrong for H.264."""

USUAL_RATE = 25


class Failed(Exception):
    """Why there are no pictures; ``reason`` is one of a few words."""

    def __init__(self, reason: str, message: str = "") -> None:
        super().__init__(message)
        self.reason = reason


class Moments:
    """The moments of a task, in the unit of a stream: the last timestamp that a picture shown then may have.

    Args:
        asked: ``moments`` of the task.
        origin: where the recording begins, in seconds of the stream's clock.
        unit: of the stream, in seconds.
    """

    def __init__(self, asked: Any, origin: Fraction, unit: Fraction) -> None:
        self._unit = unit
        self._list: list[int] | None = None
        self.is_list = not isinstance(asked, dict)
        if self.is_list:
            self._list = [((Fraction(text) + origin) / unit).__floor__() for text in asked]
            return
        self._start, self._step = Fraction(asked["start"]) + origin, Fraction(asked["step"])
        self._end = None if asked["end"] is None else Fraction(asked["end"]) + origin

    def tick(self, number: int) -> int | None:
        """Of one of them; None if there are not as many."""
        if self._list is not None:
            return self._list[number] if number < len(self._list) else None
        time = self._start + number * self._step
        return None if self._end is not None and time >= self._end else (time / self._unit).__floor__()

    def any_in(self, first: int, following: int) -> bool:
        """Whether a picture is needed that is shown from one timestamp until before another."""
        if self._list is not None:
            return bisect_left(self._list, first) < bisect_left(self._list, following)
        number = max(0, ((first * self._unit - self._start) / self._step).__ceil__())
        tick = self.tick(number)
        return tick is not None and tick < following


def send(event: str, picture: bytes = b"", **fields: Any) -> None:
    """Write one record."""
    described = json.dumps({"event": event, **fields}).encode()
    sys.stdout.buffer.write(LENGTHS.pack(len(described), len(picture)) + described)
    sys.stdout.buffer.write(picture)
    sys.stdout.buffer.flush()


class Pictures:
    """The decoded pictures of one stream, in the order of their timestamps."""

    def __init__(self, av: Any, container: Any, stream: Any, moments: Moments, max_pixels: int) -> None:
        self._av = av
        self._container = container
        self._stream = stream
        self._moments = moments
        self._max_pixels = max_pixels
        self._may_skip = (
            stream.codec_context.codec.name in SKIPPING_DECODERS and container.format.name in EXACT_CONTAINERS
        )
        self._has_pts = container.format.name not in WITHOUT_PTS
        self._restart = RESTART_SECONDS / stream.time_base
        self.errors = 0
        self.restarted = False

    def decoded(self) -> Iterator[tuple[int, Any]]:
        """Timestamp and picture of each. One that is not later than the one before is left out."""
        last, span = None, max(1, round(1 / (self._stream.average_rate or USUAL_RATE) / self._stream.time_base))
        for packet in self._marked():
            for frame in self._frames(packet):
                pts = frame.pts if self._has_pts and frame.pts is not None else frame.dts
                if pts is None:
                    pts = 0 if last is None else last + span
                if last is not None and last - self._restart < pts <= last:
                    continue
                if last is not None and pts <= last:
                    self.restarted = True
                    return
                if frame.width * frame.height > self._max_pixels:
                    raise Failed("too_large", f"{frame.width}x{frame.height}")
                last = pts
                yield pts, frame

    def _marked(self) -> Iterator[Any]:
        """The packets; before each, the decoder is set to skip or not to skip the picture if no other depends on it.

        Which picture follows is known from the packets after it. If one that comes later still is between them, the
        interval is shorter than it seemed: a picture may be decoded that is not needed, and never the reverse.
        """
        waiting: deque[Any] = deque()
        known: list[int] = []
        for packet in self._packets():
            if packet.pts is None:
                self._may_skip = self._may_skip and packet.size == 0  # the last, empty packet has no timestamp
            else:
                insort(known, packet.pts)
            waiting.append(packet)
            if len(waiting) > LOOKAHEAD_PACKETS or not self._may_skip:
                yield self._mark(waiting.popleft(), known)
            del known[: max(0, len(known) - 4 * LOOKAHEAD_PACKETS)]
        while waiting:
            yield self._mark(waiting.popleft(), known)

    def _mark(self, packet: Any, known: list[int]) -> Any:
        skip = False
        if self._may_skip and packet.pts is not None:
            place = bisect_right(known, packet.pts)
            skip = place < len(known) and not self._moments.any_in(packet.pts, known[place])
        self._stream.codec_context.skip_frame = "NONREF" if skip else "DEFAULT"
        return packet

    def _packets(self) -> Iterator[Any]:
        try:
            yield from self._container.demux(self._stream)
        except self._av.error.FFmpegError:
            self.errors += 1  # it reads no further; that shows if less was found than is declared

    def _frames(self, packet: Any) -> list[Any]:
        try:
            frames: list[Any] = self._stream.codec_context.decode(packet)
            return frames
        except self._av.error.FFmpegError:
            self.errors += 1
            return []


def opened(av: Any, task: dict[str, Any]) -> Any:
    """The container."""
    errors = {"metadata_errors": "surrogateescape"} if int(av.__version__.split(".")[0]) < 19 else {}
    try:
        return av.open(task["url"], format=task["demuxer"], container_options=task["options"], **errors)
    except av.error.FFmpegError as failure:
        raise Failed("unreadable", str(failure)) from None


def chosen(container: Any, video_track: int | None) -> tuple[int, Any]:
    """Number and stream of the pictures: the default one, else the one with the most pixels, else the first.

    Covers and thumbnails are not counted.
    """
    streams = [stream for stream in container.streams.video if not is_cover(stream)]
    if not streams:
        raise Failed("no_pictures")
    if video_track is not None:
        if video_track >= len(streams):
            raise Failed("no_such_track", str(len(streams)))
        return video_track, streams[video_track]
    best = max(streams, key=lambda stream: ("default" in flags(stream), pixels(stream), -stream.index))
    return streams.index(best), best


def flags(stream: Any) -> set[str]:
    return {str(flag.name) for flag in type(stream.disposition) if flag in stream.disposition}


def is_cover(stream: Any) -> bool:
    return bool(flags(stream) & {"attached_pic", "timed_thumbnails", "still_image"})


def pixels(stream: Any) -> int:
    context = stream.codec_context
    return context.width * context.height if context else 0


def beginning(container: Any, time_base: int, origin: str | None) -> Fraction:
    """Where the recording begins, in seconds of the timestamps that libav gives."""
    start = Fraction(container.start_time or 0, time_base)
    if origin is None:
        return start
    return Fraction(origin) - CYCLE * round((Fraction(origin) - start) / CYCLE)  # libav counts on, or begins below 0


def deliver(pictures: Pictures, moments: Moments, encoder: Any, stream: Any) -> int:
    """Send the picture of each moment; returns when the last picture ends, in the stream's unit."""
    number = 0
    tick = moments.tick(number)
    current: Any = None
    pts, span, sent = 0, 0, False

    def show() -> None:
        nonlocal sent
        if current.is_corrupt:
            send("damaged", number=number)
            return
        picture, facts = (b"", {}) if sent else encoder.encode(current)
        sent = True
        send("picture", picture, number=number, pts=pts, **facts)

    for following, frame in pictures.decoded():
        while tick is not None and tick < following:
            send("missing", number=number) if current is None else show()
            number += 1
            tick = moments.tick(number)
        span = following - pts if current is not None else 0
        current, pts, sent = frame, following, False
        if tick is None:
            return pts
    if current is None:
        raise Failed("undecodable")
    end = pts + max(1, current.duration or span or round(1 / (stream.average_rate or USUAL_RATE) / stream.time_base))
    while tick is not None and tick < end:
        show()
        number += 1
        tick = moments.tick(number)
    while tick is not None and moments.is_list:
        send("missing", number=number)
        number += 1
        tick = moments.tick(number)
    return end


def work(av: Any, task: dict[str, Any]) -> None:
    """Carry out the task."""
    from reelscribe.media.pictures.encoding import Encoder  # once it can be found

    with opened(av, task) as container:
        track, stream = chosen(container, task["video_track"])
        context = stream.codec_context
        if context is None or context.codec.name not in task["decoders"]:
            raise Failed("not_decoded", context.codec.name if context else "unknown")
        context.thread_type = "AUTO"
        context.options = {"max_pixels": str(task["max_pixels"])}
        unit = Fraction(stream.time_base)
        origin = beginning(container, av.time_base, task["origin"])
        send(
            "opened",
            container=container.format.name,
            video_track=track,
            codec=context.codec.canonical_name,
            unit=[unit.numerator, unit.denominator],
            origin=[origin.numerator, origin.denominator],
            start_pts=stream.start_time,
            duration=None if stream.duration is None else float(stream.duration * unit),
        )
        moments = Moments(task["moments"], origin, unit)
        pictures = Pictures(av, container, stream, moments, task["max_pixels"])
        end = deliver(pictures, moments, Encoder(av, stream, task), stream)
        send("ended", end=float(end * unit - origin), errors=pictures.errors, restarted=pictures.restarted)
        os._exit(0)  # to close a decoder takes time, and nothing is left to save


def main() -> None:
    sys.path += sys.argv[1:]
    import av
    import av.filter
    import av.video.reformatter

    # Not through Python: a thread of a decoder would wait for the interpreter, which may wait for the decoder.
    av.logging.restore_default_callback()
    av.logging.set_libav_level(av.logging.ERROR)
    try:
        work(av, json.load(sys.stdin))
    except Failed as failure:
        send("failed", reason=failure.reason, message=str(failure))
    os._exit(0)


if __name__ == "__main__":
    main()
