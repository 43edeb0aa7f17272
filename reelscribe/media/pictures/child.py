"""Decodes the pictures of one recording at given moments; :mod:`reelscribe.media.pictures.process` starts it.

A program of its own, because it opens untrusted input: it runs in the sandbox, by its path, without site-packages, and
sees nothing of ours. Usage: ``python -I -S child.py PACKAGES``, the folder that PyAV is installed in. Its task comes as
JSON on standard input:

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
import logging
import os
import struct
import sys
from collections.abc import Iterator
from fractions import Fraction
from itertools import count, takewhile
from typing import Any, NamedTuple

LENGTHS = struct.Struct(">II")
RESTART_SECONDS = 1
"""Timestamps that fall back further than this are those of another clock."""

UNSPECIFIED_COLOURS = 2
HDR = {16: "smpte2084", 18: "arib-std-b67"}
"""Numbers of ITU-T H.273, table 3."""

BT601, BT709, BT2020 = 5, 1, 9
COLOURS = {1: BT709, 4: 4, 5: BT601, 6: BT601, 7: 7, 9: BT2020, 10: BT2020}
"""libswscale's number of the matrix for each matrix of ITU-T H.273, table 4."""

HD_WIDTH, SD_HEIGHT = 1280, 576
"""Players take a picture without a named matrix for BT.709 if it is as wide, or higher."""

LIMITED, FULL = 1, 2
CLOCK = Fraction(1, 1000)


class Failed(Exception):
    """Why there are no pictures; ``reason`` is one of a few words."""

    def __init__(self, reason: str, message: str = "") -> None:
        super().__init__(message)
        self.reason = reason


class Moment(NamedTuple):
    """``tick`` is the last timestamp, in the stream's unit, of a picture that may be shown then."""

    number: int
    tick: int


def send(event: str, picture: bytes = b"", **fields: Any) -> None:
    """Write one record."""
    described = json.dumps({"event": event, **fields}).encode()
    sys.stdout.buffer.write(LENGTHS.pack(len(described), len(picture)) + described)
    sys.stdout.buffer.write(picture)
    sys.stdout.buffer.flush()


class Warnings(logging.Handler):
    """Counts what libav says of damage."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.count = 0

    def emit(self, record: logging.LogRecord) -> None:
        self.count += 1


class Encoder:
    """Makes one picture file of a decoded picture, as players show it: upright, with square pixels."""

    def __init__(self, av: Any, stream: Any, task: dict[str, Any]) -> None:
        self._av = av
        self._stream = stream
        self._picture: str = task["picture"]
        self._quality: int = task["quality"]
        self._size: int | None = task["size"]
        self._reformatter = av.video.reformatter.VideoReformatter()
        self._turners: dict[tuple[Any, ...], Any] = {}
        self._context: Any = None
        self._written_pictures = 0

    def encode(self, frame: Any) -> tuple[bytes, dict[str, Any]]:
        """The file, and what it holds."""
        turns = self._turns(frame)
        transfer = HDR.get(int(frame.color_trc))
        upright = self._turned(self._converted(frame, bool(transfer)), turns)
        facts = {
            "width": upright.width,
            "height": upright.height,
            "rotation": self._degrees(turns),
            "transfer": transfer,
            "tone_mapped": bool(transfer),
        }
        return self._written(upright), facts

    def _converted(self, frame: Any, hdr: bool) -> Any:
        width, height = self._fitted(frame)
        colours = int(frame.colorspace)
        if colours == UNSPECIFIED_COLOURS:
            colours = BT709 if frame.width >= HD_WIDTH or frame.height > SD_HEIGHT else BT601
        form, levels = {"jpeg": ("yuvj420p", FULL), "webp": ("yuv420p", LIMITED), "png": ("rgb24", FULL)}[self._picture]
        source = FULL if frame.format.name.startswith("yuvj") else int(frame.color_range)
        transfer = {"dst_color_trc": BT709, "dst_color_primaries": BT709} if hdr else {}
        interpolation = self._av.video.reformatter.Interpolation
        return self._reformatter.reformat(
            frame,
            width,
            height,
            form,
            src_colorspace=COLOURS.get(colours, BT601),
            dst_colorspace=BT601,
            src_color_range=source or LIMITED,
            dst_color_range=levels,
            interpolation=interpolation.BICUBIC | interpolation.ACCURATE_RND | interpolation.FULL_CHR_H_INT,
            threads=1,
            **transfer,
        )

    def _fitted(self, frame: Any) -> tuple[int, int]:
        """Width and height with square pixels, at most ``size``."""
        shape = self._stream.sample_aspect_ratio
        width, height = Fraction(frame.width), Fraction(frame.height)
        if shape and Fraction(1, 4) <= shape <= 4:
            width *= shape
        if self._size and max(width, height) > self._size:
            shrunk = self._size / max(width, height)
            width, height = width * shrunk, height * shrunk
        return max(2, round(width)), max(2, round(height))

    def _turns(self, frame: Any) -> tuple[str, ...]:
        matrix = next((bytes(data) for data in frame.side_data if data.type.name == "DISPLAYMATRIX"), None)
        return turns(struct.unpack("=9i", matrix)) if matrix and len(matrix) == 36 else ()

    def _degrees(self, turns: tuple[str, ...]) -> int:
        if {"hflip", "vflip"} <= set(turns):
            return 180
        direction = next((turn for turn in turns if turn.startswith("transpose=")), "")
        return {"transpose=clock": 90, "transpose=cclock_flip": 90, "": 0}.get(direction, 270)

    def _turned(self, frame: Any, turns: tuple[str, ...]) -> Any:
        if not turns:
            return frame
        form = (turns, frame.width, frame.height)
        if form not in self._turners:
            self._turners = {form: self._turner(frame, turns)}
        graph = self._turners[form]
        frame.pts = None
        graph.push(frame)
        return graph.pull()

    def _turner(self, frame: Any, turns: tuple[str, ...]) -> Any:
        graph = self._av.filter.Graph()
        last = graph.add_buffer(template=None, width=frame.width, height=frame.height, format=frame.format,
                                time_base=Fraction(1, 1000))  # fmt: skip
        for turn in turns:
            name, _, value = turn.partition("=")
            following = graph.add(name, value or None)
            last.link_to(following)
            last = following
        sink = graph.add("buffersink")
        last.link_to(sink)
        graph.configure()
        return graph

    def _written(self, frame: Any) -> bytes:
        self._written_pictures += 1
        frame.pts, frame.time_base, frame.pict_type = self._written_pictures, CLOCK, 0
        if self._context is None or (self._context.width, self._context.height) != (frame.width, frame.height):
            self._context = self._opened(frame)
        packets = self._context.encode(frame)
        if len(packets) != 1:
            raise Failed("encoder")
        return bytes(packets[0])

    def _opened(self, frame: Any) -> Any:
        context = self._av.CodecContext.create({"jpeg": "mjpeg", "webp": "libwebp", "png": "png"}[self._picture], "w")
        context.width, context.height, context.pix_fmt = frame.width, frame.height, frame.format.name
        context.time_base = CLOCK
        context.thread_count = 1
        options = {"flags": "+bitexact"}
        if self._picture == "jpeg":
            context.color_range = FULL
            context.qmin = context.qmax = max(1, round(31 - 30 * (self._quality - 1) / 99))
        elif self._picture == "webp":
            options["quality"] = str(self._quality)
        context.options = options
        return context


def turns(matrix: tuple[int, ...]) -> tuple[str, ...]:
    """The filters that show a picture as its display matrix says; FFmpeg's own choice, for quarter turns only."""
    a, b, c, d = matrix[0], matrix[1], matrix[3], matrix[4]
    if abs(a) < abs(b) and abs(d) < abs(c):
        if b > 0:
            return ("transpose=cclock_flip",) if c > 0 else ("transpose=clock",)
        return ("transpose=clock_flip",) if c < 0 else ("transpose=cclock",)
    return (*(("hflip",) if a < 0 else ()), *(("vflip",) if d < 0 else ()))


class Pictures:
    """The decoded pictures of one stream, in the order of their timestamps."""

    def __init__(self, av: Any, container: Any, stream: Any, max_pixels: int) -> None:
        self._av = av
        self._container = container
        self._stream = stream
        self._max_pixels = max_pixels
        self._restart = RESTART_SECONDS / stream.time_base
        self.errors = 0
        self.restarted = False

    def decoded(self) -> Iterator[tuple[int, Any]]:
        """Timestamp and picture of each. One that is not later than the one before is left out."""
        last: int | None = None
        for packet in self._packets():
            for frame in self._frames(packet):
                pts = frame.pts if frame.pts is not None else frame.dts
                if pts is None or (last is not None and last - self._restart < pts <= last):
                    continue
                if last is not None and pts <= last:
                    self.restarted = True
                    return
                if frame.width * frame.height > self._max_pixels:
                    raise Failed("too_large", f"{frame.width}x{frame.height}")
                last = pts
                yield pts, frame

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


def asked(task: dict[str, Any], origin: Fraction, unit: Fraction) -> Iterator[Moment]:
    """The moments in the unit of the stream."""
    moments = task["moments"]
    if isinstance(moments, dict):
        start, step = Fraction(moments["start"]), Fraction(moments["step"])
        unending = (start + number * step for number in count())
        end = moments["end"] and Fraction(moments["end"])
        times: Iterator[Fraction] = unending if end is None else takewhile(lambda time: time < end, unending)
    else:
        times = (Fraction(text) for text in moments)
    for number, time in enumerate(times):
        yield Moment(number, ((time + origin) / unit).__floor__())


def deliver(task: dict[str, Any], pictures: Pictures, moments: Iterator[Moment], encoder: Encoder, stream: Any) -> int:
    """Send the picture of each moment; returns when the last picture ends, in the stream's unit."""
    moment = next(moments, None)
    current: Any = None
    pts, span, sent = 0, 0, False

    def show(number: int) -> None:
        nonlocal sent
        if current.is_corrupt:
            send("damaged", number=number)
            return
        picture, facts = (b"", {}) if sent else encoder.encode(current)
        sent = True
        send("picture", picture, number=number, pts=pts, **facts)

    for following, frame in pictures.decoded():
        while moment is not None and moment.tick < following:
            send("missing", number=moment.number) if current is None else show(moment.number)
            moment = next(moments, None)
        span = following - pts if current is not None else 0
        current, pts, sent = frame, following, False
        if moment is None:
            return pts
    if current is None:
        raise Failed("undecodable")
    end = pts + max(1, current.duration or span or round(1 / (stream.average_rate or 25) / stream.time_base))
    while moment is not None and moment.tick < end:
        show(moment.number)
        moment = next(moments, None)
    if not isinstance(task["moments"], dict):
        while moment is not None:
            send("missing", number=moment.number)
            moment = next(moments, None)
    return end


def work(av: Any, task: dict[str, Any]) -> None:
    """Carry out the task."""
    warnings = Warnings()
    logging.getLogger("libav").addHandler(warnings)
    logging.getLogger("libav").propagate = False
    with opened(av, task) as container:
        track, stream = chosen(container, task["video_track"])
        context = stream.codec_context
        if context is None or context.codec.name not in task["decoders"]:
            raise Failed("not_decoded", context.codec.name if context else "unknown")
        context.thread_type = "AUTO"
        context.options = {"max_pixels": str(task["max_pixels"])}
        start = container.start_time or 0
        origin = Fraction(start, av.time_base) if task["origin"] is None else Fraction(task["origin"])
        unit = Fraction(stream.time_base)
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
        pictures = Pictures(av, container, stream, task["max_pixels"])
        encoder = Encoder(av, stream, task)
        end = deliver(task, pictures, asked(task, origin, unit), encoder, stream)
        errors = max(pictures.errors, warnings.count)
        send("ended", end=float(end * unit - origin), errors=errors, restarted=pictures.restarted)


def main() -> None:
    sys.path.append(sys.argv[1])
    import av
    import av.filter
    import av.video.reformatter

    av.logging.set_level(av.logging.ERROR)
    try:
        work(av, json.load(sys.stdin))
    except Failed as failure:
        send("failed", reason=failure.reason, message=str(failure))
    os._exit(0)


if __name__ == "__main__":
    main()
