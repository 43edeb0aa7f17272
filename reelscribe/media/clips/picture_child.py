"""Cuts the picture of one recording with libav; :mod:`reelscribe.media.clips.picture_process` starts it.

A program of its own, because it opens untrusted input: it runs in the sandbox, by its path, without site-packages, and
sees nothing of ours. Usage: ``python -I -S picture_child.py PACKAGES TASK``, the folder that PyAV is installed in and a
JSON object of

* ``url``, ``options``, ``demuxer``: for ``avformat_open_input``; ``decoders``: names of those that may be opened;
* ``picture`` and ``sound``: indexes of streams; ``sound`` may be null, and is used by ``copy`` only;
* ``origin``: where the recording begins on the container's own clock, as a fraction; null for libav's own start;
* ``parts``: of each, ``start`` and ``end`` in seconds of the recording, and ``fps``; null for all frames as they are.
  All are decimal numbers in strings;
* ``copy``: to copy the packets of the only part from its key frame on, instead of decoding;
* ``body``: the descriptor to write to: NUT with raw pictures, or a fragmented MP4 of a copy;
* ``most_pixels``, ``most_frames`` and ``most_bytes``: of a picture, of the body, and of what is kept of a copy.

Standard output has a JSON object per line: ``first``, before anything is in ``body``, then ``done`` or ``failure``.
"""

import json
import os
import struct
import sys
from collections.abc import Iterator
from fractions import Fraction
from itertools import chain
from typing import Any

BACK_OFF_SECONDS = (0, 1, 2, 4, 8, 16, 32)  # before the start, tried in turn: a seek may land behind its target
UNSURE_SECONDS = 1  # for so long after a seek in MPEG-PS, libav may give frames the timestamps of others
MOST_SOUND_PACKETS = 512  # kept of a copy before its key frame was found
LONGEST_WAIT_SECONDS = 10  # for the last packet of one stream, after that of the other
FRAGMENTED = {
    "movflags": "frag_keyframe+empty_moov+default_base_moof+delay_moov",  # without the last it plays early
    **{"frag_duration": "1000000", "fflags": "+bitexact"},
}
CLOCK = 1_000_000
CYCLE = Fraction(1 << 33, 90_000)  # seconds after which the timestamps of MPEG streams begin again
RESTART_SECONDS = 5  # a timestamp so much before the last one is of another recording that was appended

UNCHANGED = {"yuv420p", "yuvj420p", "yuv422p", "yuvj422p", "yuv444p", "yuvj444p", "rgb24", "gray", "yuv420p10le"}
"""Formats of pixels that NUT holds and ffmpeg reads back alike."""

Placed = tuple[Any, Fraction, Fraction]  # a frame, its time in the part, and when it ends in the recording


class Failure(Exception):
    """What is wrong with the picture; the first argument is a word for the parent, the others are numbers."""


def report(**line: Any) -> None:
    """One line for the parent."""
    print(json.dumps(line), flush=True)


class Recording:
    """The open input.

    Attributes:
        damaged: timestamps of frames that libav marks as damaged, or that follow one of these up to the next key frame.
        failed: timestamps of the packets that could not be decoded since the last seek; None if there is none.
    """

    def __init__(self, av: Any, task: dict[str, Any]) -> None:
        self._av, self._task = av, task
        self.damaged: set[int] = set()
        self.failed: list[int | None] = []
        self._open()

    def _open(self) -> None:
        task = self._task
        errors = {"metadata_errors": "surrogateescape"} if int(self._av.__version__.split(".")[0]) < 19 else {}
        options = task["options"]
        self._container = self._av.open(task["url"], format=task["demuxer"], container_options=options, **errors)
        streams = self._container.streams
        if task["picture"] >= len(streams) or streams[task["picture"]].type != "video":
            raise Failure("no_picture")
        self.picture = streams[task["picture"]]
        self.sound = streams[task["sound"]] if task["sound"] is not None else None
        self.time_base = Fraction(self.picture.time_base)
        self.without_pts = self._container.format.name == "avi"  # it holds when a picture is decoded, not when shown
        self._usual = max(1, round(1 / (Fraction(self.picture.average_rate or 25) * self.time_base)))
        self.lead = UNSURE_SECONDS if self._container.format.name == "mpeg" else 0
        start = Fraction(self._container.start_time or 0, CLOCK)
        origin = Fraction(task["origin"] or start)
        self.origin = origin - CYCLE * round((origin - start) / CYCLE)  # libav counts on, or begins below 0
        codec = self.picture.codec_context
        if not task["copy"]:
            if codec is None or codec.codec.name not in task["decoders"]:
                raise Failure("not_decodable")
            if codec.width * codec.height > task["most_pixels"]:
                raise Failure("too_large", codec.width, codec.height)
            codec.options = {"max_pixels": str(task["most_pixels"])}
            codec.thread_type, codec.thread_count = "AUTO", 2

    def seconds(self, pts: int) -> Fraction:
        """The time of a timestamp of the picture in the recording."""
        return pts * self.time_base - self.origin

    def placed(self, pts: int) -> dict[str, Any]:
        """The same for the parent."""
        seconds = float(self.seconds(pts))
        return {"pts": pts, "time_base": str(self.time_base), "seconds": seconds, "origin": str(self.origin)}

    def reached(self, pts: int, time: Fraction) -> bool:
        """Whether a timestamp is not after ``time``, as exactly as timestamps of this stream can be."""
        return pts <= round((time + self.origin) / self.time_base)

    def sought(self, start: Fraction) -> Iterator[bool]:
        """Positions before ``start``, each nearer to the beginning; True for the beginning itself."""
        for back in BACK_OFF_SECONDS:
            target = start - back
            if target <= 0:
                break
            try:
                stamp = round((target + self.origin) / self.time_base)
                self._container.seek(stamp, stream=self.picture, backward=True, any_frame=False)
            except self._av.error.FFmpegError:
                continue
            self._forget(beginning=False)
            yield False
        self._open()
        self._forget(beginning=True)
        yield True

    def _forget(self, *, beginning: bool) -> None:
        self.damaged, self.failed, self._beginning = set(), [], beginning

    def packets(self, streams: list[Any]) -> Iterator[Any]:
        """Packets from here on; an empty one of each stream at the end."""
        try:
            yield from self._container.demux(streams)
        except self._av.error.FFmpegError:
            self.failed.append(None)

    def frames(self) -> Iterator[Any]:
        """Frames of the picture from here on, in the order in which they are shown."""
        codec, damaged = self.picture.codec_context, False
        latest: Any = None
        for packet in self.packets([self.picture]):
            try:
                frames = codec.decode(packet if packet.dts is not None or packet.pts is not None else None)
            except self._av.error.EOFError:
                return
            except self._av.error.InvalidDataError:
                if latest is not None or self._beginning:  # after a seek what comes before a key frame says nothing
                    self.failed.append(packet.pts)
                    damaged = True
                continue
            for frame in frames:
                if self.without_pts:
                    frame.pts = frame.dts if frame.dts is not None or latest is None else latest + self._usual
                if frame.width * frame.height > self._task["most_pixels"]:
                    raise Failure("too_large", frame.width, frame.height)
                if None not in (frame.pts, latest) and frame.pts < latest - RESTART_SECONDS / self.time_base:
                    raise Failure("restarts", float(self.seconds(latest)))
                if frame.pts is None or (latest is not None and frame.pts <= latest):
                    continue
                latest = frame.pts
                damaged = frame.is_corrupt or (damaged and not frame.key_frame)
                if damaged:
                    self.damaged.add(frame.pts)
                yield frame

    def frames_from(self, start: Fraction) -> Iterator[Any]:
        """Frames from the one that is shown at ``start`` on; the first one if the picture begins later."""
        for beginning in self.sought(start):
            frames = self.frames()
            held = next(frames, None)
            if not beginning and (held is None or not self.reached(held.pts, start - self.lead)):
                continue
            if held is None:
                return
            for frame in frames:
                if not self.reached(frame.pts, start):
                    yield held
                    yield frame
                    yield from frames
                    return
                held = frame
            yield held
            return


class Body:
    """Raw pictures as NUT; frames that differ from the first one in size or format are made like it."""

    def __init__(self, av: Any, task: dict[str, Any], recording: Recording) -> None:
        self._av, self._task, self._recording = av, task, recording
        self.output: Any = None
        self.frames = 0

    def write(self, frame: Any, time: Fraction) -> None:
        """Write a frame, to be shown at ``time``."""
        self.frames += 1
        if self.frames > self._task["most_frames"]:
            raise Failure("too_many", self._task["most_frames"])
        if self.output is None:
            self._begin(frame)
        if (frame.width, frame.height, frame.format.name) != self._shape:
            width, height, name = self._shape
            frame = frame.reformat(width=width, height=height, format=name)
        pts, frame.pts = frame.pts, round(time * CLOCK)
        frame.time_base = Fraction(1, CLOCK)
        for packet in self._stream.encode(frame):
            self.output.mux(packet)
        frame.pts = pts

    def _begin(self, frame: Any) -> None:
        name = frame.format.name
        if name not in UNCHANGED:
            deep = any(component.bits > 8 for component in frame.format.components)
            name = "rgb24" if frame.format.is_rgb or frame.format.has_palette else "yuv420p10le" if deep else "yuv444p"
        self._shape = (frame.width, frame.height, name)
        report(first=describe(self._recording, frame, name))
        self.output = self._av.open(os.fdopen(self._task["body"], "wb", buffering=0), "w", format="nut")
        self._stream = self.output.add_stream("rawvideo", rate=25)
        self._stream.width, self._stream.height, self._stream.pix_fmt = self._shape
        self._stream.codec_context.time_base = self._stream.time_base = Fraction(1, CLOCK)


def describe(recording: Recording, frame: Any, name: str) -> dict[str, Any]:
    """What the parent must know of the first frame."""
    codec = recording.picture.codec_context
    display = next((bytes(data) for data in frame.side_data if data.type.name == "DISPLAYMATRIX"), None)
    aspect = recording.picture.sample_aspect_ratio or codec.sample_aspect_ratio or Fraction(1)
    return {
        **recording.placed(frame.pts),
        **{"width": frame.width, "height": frame.height, "format": name},
        "display": struct.unpack("=9i", display) if display and len(display) == 36 else None,
        "aspect": float(aspect) if 0.01 < aspect < 100 else 1.0,
        **{"matrix": int(getattr(frame, "colorspace", 2)), "range": int(getattr(frame, "color_range", 0))},
        "transfer": int(getattr(codec, "color_trc", 2)),
        "primaries": int(getattr(codec, "color_primaries", 2)),
    }


def length(recording: Recording, frame: Any, before: Any) -> Fraction:
    """How long the last frame of the recording is shown."""
    duration: int = getattr(frame, "duration", None) or (frame.pts - before if before is not None else 0)
    return duration * recording.time_base or 1 / Fraction(recording.picture.average_rate or 25)


def cut(av: Any, task: dict[str, Any]) -> dict[str, Any]:
    """Write the frames of all parts."""
    recording = Recording(av, task)
    body = Body(av, task, recording)
    base, parts, failed, damaged = Fraction(0), [], 0, 0
    for part in task["parts"]:
        start, end, fps = Fraction(part["start"]), Fraction(part["end"]), part["fps"]
        placed = _each(recording, start, end) if fps is None else _sampled(recording, start, end, Fraction(fps))
        first, ends, written, longest = None, None, 0, Fraction(0)
        for frame, time, shown_until in placed:
            longest = max(longest, shown_until - recording.seconds(frame.pts))
            first, ends = frame.pts if first is None else first, shown_until
            damaged += frame.pts in recording.damaged
            body.write(frame, base + time)
            written += 1
        for pts in recording.failed:
            failed += pts is None or ((first is None or pts > first) and recording.reached(pts + 1, end))
        parts.append({"first": first, "frames": written, "ends": ends and float(ends), "longest": float(longest)})
        base += end - start
    if body.output:
        body.output.close()
    return {"parts": parts, "corrupt": damaged, "failed": failed}


def _each(recording: Recording, start: Fraction, end: Fraction) -> Iterator[Placed]:
    """Each frame of a part."""
    held = before = None
    for frame in recording.frames_from(start):
        if held is not None:
            yield held, max(Fraction(0), recording.seconds(held.pts) - start), recording.seconds(frame.pts)
            before = held.pts
        if not recording.reached(frame.pts + 1, end):
            return
        held = frame
    if held is not None:
        ends = recording.seconds(held.pts) + length(recording, held, before)
        if ends > start:
            yield held, max(Fraction(0), recording.seconds(held.pts) - start), ends


def _sampled(recording: Recording, start: Fraction, end: Fraction, fps: Fraction) -> Iterator[Placed]:
    """The frame that is shown at each of the times ``start``, ``start + 1 / fps``, …"""
    number = 0
    for frame, time, ends in _each(recording, start, end):
        while number / fps < end - start and start + number / fps < ends:
            if number / fps >= time:
                yield frame, number / fps, ends
            number += 1


def copy(av: Any, task: dict[str, Any]) -> dict[str, Any]:
    """Write the packets of the part, from the last key frame that is not after its start."""
    [part] = task["parts"]
    recording = Recording(av, task)
    if recording.without_pts and recording.picture.codec_context.has_b_frames:
        raise Failure("no_times")
    for beginning in recording.sought(Fraction(part["start"])):
        packets = recording.packets([stream for stream in (recording.picture, recording.sound) if stream is not None])
        kept = _from_key_frame(recording, packets, Fraction(part["start"]), task, late=beginning)
        if kept:
            return _remux(av, task, recording, kept, packets, Fraction(part["end"]))
    raise Failure("no_key_frame")


def _from_key_frame(
    recording: Recording, packets: Iterator[Any], start: Fraction, task: dict[str, Any], *, late: bool
) -> list[Any]:
    """The last key frame that is not after ``start``, and what was read after it; with ``late`` the first one."""
    kept: list[Any] = []
    found, size, landed = False, 0, None
    for packet in packets:
        pts = packet.dts if packet.pts is None else packet.pts
        if pts is None:
            continue
        if packet.stream.index == recording.picture.index:
            landed = pts if landed is None else landed
            key = packet.is_keyframe and (late or (pts - landed) * recording.time_base >= recording.lead)
            if key and (recording.reached(pts, start) or (late and not found)):
                # The sound that belongs to the key frame may have come before it.
                kept = [other for other in kept if other.stream.index != packet.stream.index][-MOST_SOUND_PACKETS:]
                found, size = True, 0
            elif not found:
                if not late and key:
                    return []
                continue
            kept.append(packet)
            if not recording.reached(packet.dts if packet.dts is not None else pts, start):
                return kept
        else:
            kept.append(packet)
            if not found:
                kept = kept[-MOST_SOUND_PACKETS:]
        size += packet.size
        if size > task["most_bytes"]:
            raise Failure("group_too_large", task["most_bytes"])
    return kept if found else []


def _remux(
    av: Any, task: dict[str, Any], recording: Recording, kept: list[Any], packets: Iterator[Any], end: Fraction
) -> dict[str, Any]:
    picture, sound = recording.picture, recording.sound
    key = next(packet for packet in kept if packet.stream.index == picture.index)
    key_pts = key.dts if key.pts is None else key.pts
    report(first=recording.placed(key_pts))
    output = av.open(os.fdopen(task["body"], "wb", buffering=0), "w", format="mp4", container_options=FRAGMENTED)
    streams = {stream.index: output.add_stream_from_template(stream) for stream in (picture, sound) if stream}
    filters = {}
    if sound and sound.codec_context.name == "aac" and not sound.codec_context.extradata:
        # Each packet has a header of its own, which MP4 does not hold.
        filters[sound.index] = av.bitstream.BitStreamFilterContext("aac_adtstoasc", sound)
    begins, ends, ended, corrupt, frames = key_pts * recording.time_base, Fraction(0), set(), 0, 0
    for packet in chain(kept, packets):
        index, time_base = packet.stream.index, Fraction(packet.time_base)
        stamp = packet.dts if packet.pts is None else packet.pts
        if stamp is None:
            continue
        order = packet.dts if packet.dts is not None and index == picture.index else stamp
        if order * time_base - recording.origin >= end:
            ended.add(index)
            if ended == set(streams) or order * time_base - recording.origin >= end + LONGEST_WAIT_SECONDS:
                break
            continue
        length = (packet.duration or 0) * time_base
        if stamp * time_base + (0 if index == picture.index else length) < begins or index in ended:
            continue
        corrupt += packet.is_corrupt
        if index == picture.index:
            frames += 1
            ends = max(ends, stamp * time_base - recording.origin + length)
        shift = round(begins / time_base)
        packet.pts = stamp - shift
        packet.dts = None if packet.dts is None else packet.dts - shift
        for ready in filters[index].filter(packet) if index in filters else (packet,):
            ready.stream = streams[index]
            output.mux(ready)
    output.close()
    part = {"first": key_pts, "frames": frames, "ends": float(ends), "longest": 0.0}
    return {"parts": [part], "corrupt": corrupt, "failed": len(recording.failed)}


def main() -> None:
    sys.path.append(sys.argv[1])
    import av.bitstream

    av.logging.set_level(None)
    task = json.loads(sys.argv[2])
    try:
        report(done=(copy if task["copy"] else cut)(av, task))
    except Failure as failure:
        report(failure=failure.args[0], numbers=failure.args[1:])
    except av.error.FFmpegError as failure:
        report(failure="libav", numbers=[], message=str(failure)[:300])
    os._exit(0)


if __name__ == "__main__":
    main()
