"""Decodes the pictures of one recording at given moments; :mod:`reelscribe.media.pictures.process` starts it.

A program of its own, because it opens untrusted input: it runs in the sandbox, by its path, without site-packages, and
sees nothing of ours but the modules that it imports.
Usage: ``python -I -S child.py PACKAGES ROOT``, the folders that PyAV and we are installed in. When PyAV is
loaded, its task comes through the socket that is standard input, as for :mod:`reelscribe.media.inspection_child`:
``task`` there is the number of a file of JSON:

* ``url``, ``options``, ``demuxer``: for ``avformat_open_input``;
* ``decoders``: names of the decoders that may read pictures;
* ``video_track``: which picture stream; null for the container's default;
* ``origin``: where the recording begins on the container's own clock, as a fraction; null: at its first timestamp;
* ``moments``: fractions of a second in rising order, or ``start``, ``step`` and ``end`` (or null) of an even series;
* ``may_seek``: it has one clock, and an index;
* ``picture``, ``quality``, ``size``, ``max_pixels``: how to encode.

Records come on standard output: the lengths of a JSON object and of a picture (two times 4 bytes, big-endian), then
both. ``event`` of the object is ``opened``, then for each moment ``picture``, ``missing`` or ``damaged``, then
``ended``; or ``failed`` at any time. A picture that is the same as the last one comes without bytes.
"""

import json
import os
import struct
import sys
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

LENGTHS = struct.Struct(">II")
RESTART_SECONDS = 1
"""Timestamps that fall back further than this are those of another clock."""

CYCLE = Fraction(1 << 33, 90_000)
"""Seconds after which the timestamps of MPEG streams begin again."""

USUAL_RATE = 25


class Failed(Exception):
    """Why there are no pictures; ``reason`` is one of a few words."""

    def __init__(self, reason: str, message: str = "") -> None:
        super().__init__(message)
        self.reason = reason


def send(event: str, picture: bytes = b"", **fields: Any) -> None:
    """Write one record."""
    described = json.dumps({"event": event, **fields}).encode()
    sys.stdout.buffer.write(LENGTHS.pack(len(described), len(picture)) + described)
    sys.stdout.buffer.write(picture)
    sys.stdout.buffer.flush()


class Pictures:
    """The decoded pictures of one recording, in the order of their timestamps.

    Attributes:
        stream: that they are of.
        span: how long a picture lasts that does not say so.
        errors: packets that could not be decoded, and reads that failed.
        restarted: they ended where timestamps begin again.
        broken: the last one is damaged, or may depend on one that is.
    """

    def __init__(self, av: Any, task: dict[str, Any], container: Any, stream: Any, moments: Any) -> None:
        self._av = av
        self._task = task
        self._container = container
        self._moments = moments
        self._restart = RESTART_SECONDS / stream.time_base
        self._given: int | None = None
        self._packets: Any = None
        self.stream = stream
        self.span = max(1, round(1 / (stream.average_rate or USUAL_RATE) / stream.time_base))
        self.errors = 0
        self.restarted = False
        self.broken = False

    def decoded(self) -> Iterator[tuple[int, Any]]:
        """Timestamp and picture of each that is needed; no picture, where nothing is needed from a timestamp on.

        One that is not later than the one before is left out.
        """
        from reelscribe.media.pictures.packets import Packets, Unentered

        ways = [(self._task["may_seek"], False), (False, False), (False, True)]
        for may_seek, everything in ways:
            self._packets = Packets(self._av, self._container, self.stream, self._moments, may_seek, everything)
            try:
                yield from self._from_packets()
            except Unentered:
                self._container = opened(self._av, self._task)
                _, self.stream = chosen(self._container, self._task["video_track"])
                prepare(self.stream, self._task)
                continue
            self.errors += self._packets.errors
            return

    def _from_packets(self) -> Iterator[tuple[int, Any]]:
        from reelscribe.media.pictures.packets import Entry, Unentered

        last: int | None = None
        entry: int | None = None
        enters = False
        for packet in self._packets:
            if isinstance(packet, Entry):
                frames = self._frames(None)
                self.stream.codec_context.flush_buffers()
            else:
                if enters:
                    entry, enters = self._packets.stamp(packet), False
                frames = self._frames(packet)
            for frame in frames:
                self.broken = frame.is_corrupt or (self.broken and not frame.key_frame)
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
                if frame.width * frame.height > self._task["max_pixels"]:
                    raise Failed("too_large", f"{frame.width}x{frame.height}")
                last = pts
                if self._given is None or pts > self._given:
                    self._given = pts
                    yield pts, frame
            if isinstance(packet, Entry):
                last, enters, self.broken = None, True, False
                yield packet.stamp, None
        if entry is not None:
            raise Unentered

    def _frames(self, packet: Any) -> list[Any]:
        try:
            frames: list[Any] = self.stream.codec_context.decode(packet)
            return frames
        except self._av.error.FFmpegError:
            self.errors += 1
            self.broken = True
            return []


def prepare(stream: Any, task: dict[str, Any]) -> None:
    """Set up the decoder."""
    stream.codec_context.thread_type = "AUTO"
    stream.codec_context.options = {"max_pixels": str(task["max_pixels"])}


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


def deliver(pictures: Pictures, moments: Any, encoder: Any) -> int | None:
    """Send the picture of each moment; returns when the last picture ends, in the stream's unit.

    None if the last moment was reached, and what comes after it was not read.
    """
    number = 0
    tick = moments.tick(number)
    current: Any = None
    pts, sent, broken = 0, False, False

    def show() -> None:
        nonlocal sent
        if broken:
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
        if frame:
            current, pts, sent, broken = frame, following, False, pictures.broken
        if tick is None:
            return None
    if current is None:
        raise Failed("undecodable")
    end: int = pts + max(1, current.duration or pictures.span)
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
    from reelscribe.media.pictures.encoding import Encoder  # once they can be found
    from reelscribe.media.pictures.packets import Moments

    with opened(av, task) as container:
        track, stream = chosen(container, task["video_track"])
        context = stream.codec_context
        if context is None or context.codec.name not in task["decoders"]:
            raise Failed("not_decoded", context.codec.name if context else "unknown")
        prepare(stream, task)
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
        pictures = Pictures(av, task, container, stream, moments)
        end = deliver(pictures, moments, Encoder(av, stream, task))
        send(
            "ended",
            end=None if end is None else float(end * unit - origin),
            errors=pictures.errors,
            restarted=pictures.restarted,
        )
        os._exit(0)  # to close a decoder takes time, and nothing is left to save


def main() -> None:
    sys.path += sys.argv[1:]
    import av
    import av.filter
    import av.video.reformatter

    import reelscribe.media.pictures.encoding
    import reelscribe.media.pictures.packets  # noqa: F401
    from reelscribe.media.inspection_child import receive

    # Not through Python: a thread of a decoder would wait for the interpreter, which may wait for the decoder.
    av.logging.restore_default_callback()
    av.logging.set_libav_level(av.logging.ERROR)
    given = receive()
    if given is None:
        return
    with open(given["task"]) as file:
        file.seek(0)
        task = json.load(file)
    try:
        work(av, task)
    except Failed as failure:
        send("failed", reason=failure.reason, message=str(failure))
    os._exit(0)


if __name__ == "__main__":
    main()
