"""Cuts the pictures of a recording, in the program :mod:`reelscribe.media.pictures.child`.

Besides what all of its tasks hold:

* ``picture``: index of the stream;
* ``parts``: of each, ``start`` and ``end`` in seconds of the recording, and ``fps``; null for all frames as they are.
  All are decimal numbers in strings;
* ``body``: the descriptor to write to: NUT with raw pictures;
* ``most_frames``: of the body.

``event`` of its records is ``first``, before anything is in ``body``, then ``done``.
"""

import os
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

from reelscribe.media.clips.recording import Recording
from reelscribe.media.pictures.damage import Decoded
from reelscribe.media.pictures.rotation import display_matrix
from reelscribe.media.pictures.source import Failed, send

CLOCK = 1_000_000

UNCHANGED = {"yuv420p", "yuvj420p", "yuv422p", "yuvj422p", "yuv444p", "yuvj444p", "rgb24", "gray", "yuv420p10le"}
"""Formats of pixels that NUT holds and ffmpeg reads back alike."""

Placed = tuple[Decoded, Fraction, Fraction]
"""A picture, its time in the part, and when it ends in the recording."""


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
            raise Failed("too_many", self._task["most_frames"])
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
        send("first", **describe(self._recording, frame, name))
        self.output = self._av.open(os.fdopen(self._task["body"], "wb", buffering=0), "w", format="nut")
        self._stream = self.output.add_stream("rawvideo", rate=25)
        self._stream.width, self._stream.height, self._stream.pix_fmt = self._shape
        self._stream.codec_context.time_base = self._stream.time_base = Fraction(1, CLOCK)


def describe(recording: Recording, frame: Any, name: str) -> dict[str, Any]:
    """What the parent must know of the first frame."""
    codec = recording.picture.codec_context
    aspect = recording.picture.sample_aspect_ratio or codec.sample_aspect_ratio or Fraction(1)
    return {
        **recording.placed(frame.pts),
        **{"width": frame.width, "height": frame.height, "format": name},
        "display": display_matrix(frame),
        "aspect": float(aspect) if 0.01 < aspect < 100 else 1.0,
        **{"matrix": int(getattr(frame, "colorspace", 2)), "range": int(getattr(frame, "color_range", 0))},
        "transfer": int(getattr(codec, "color_trc", 2)),
        "primaries": int(getattr(codec, "color_primaries", 2)),
    }


def length(recording: Recording, pts: int, duration: int | None, before: int | None) -> Fraction:
    """How long the last picture of the recording is shown.

    Args:
        duration: as stored; None or 0 if it is not.
        before: timestamp of the picture before.
    """
    lasts = duration or (pts - before if before is not None else 0)
    return lasts * recording.clock.unit or 1 / Fraction(recording.picture.average_rate or 25)


def cut(av: Any, task: dict[str, Any]) -> None:
    """Write the frames of all parts."""
    recording = Recording(av, task)
    body = Body(av, task, recording)
    base, parts, failed, damaged = Fraction(0), [], 0, 0
    for part in task["parts"]:
        start, end, fps = Fraction(part["start"]), Fraction(part["end"]), part["fps"]
        placed = _each(recording, start, end) if fps is None else _sampled(recording, start, end, Fraction(fps))
        verdicts, first, ends, longest = [], None, None, Fraction(0)
        for shown, time, shown_until in placed:
            longest = max(longest, shown_until - recording.clock.seconds(shown.pts))
            first, ends = shown.pts if first is None else first, shown_until
            verdicts.append(shown.verdict)
            body.write(shown.frame, base + time)
        damaged += sum(verdict.damaged for verdict in verdicts)
        for pts in recording.damage.failed:
            failed += pts is None or ((first is None or pts > first) and recording.reached(pts + 1, end))
        parts.append({"first": first, "frames": len(verdicts), "ends": ends and float(ends), "longest": float(longest)})
        base += end - start
    if body.output:
        body.output.close()
    send("done", parts=parts, corrupt=damaged, failed=failed)


def _each(recording: Recording, start: Fraction, end: Fraction) -> Iterator[Placed]:
    """Each frame of a part."""
    held = before = latest = None
    for frame in recording.frames_from(start):
        if held is not None:
            yield held, max(Fraction(0), recording.clock.seconds(held.pts) - start), recording.clock.seconds(frame.pts)
            before = held.pts
        if not recording.reached(frame.pts + 1, end):
            if latest is None or recording.damage.is_certain(latest.verdict):
                return
            held = None
            continue
        held = latest = frame
    if held is not None:
        shown = length(recording, held.pts, getattr(held.frame, "duration", None), before)
        ends = recording.clock.seconds(held.pts) + shown
        if ends > start:
            yield held, max(Fraction(0), recording.clock.seconds(held.pts) - start), ends


def _sampled(recording: Recording, start: Fraction, end: Fraction, fps: Fraction) -> Iterator[Placed]:
    """The frame that is shown at each of the times ``start``, ``start + 1 / fps``, …"""
    number = 0
    for frame, time, ends in _each(recording, start, end):
        while number / fps < end - start and start + number / fps < ends:
            if number / fps >= time:
                yield frame, number / fps, ends
            number += 1
