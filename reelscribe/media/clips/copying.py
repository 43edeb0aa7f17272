"""Copies a part of a recording into a fragmented MP4, in the program :mod:`reelscribe.media.pictures.child`.

Its task is that of :mod:`reelscribe.media.clips.cutting`, with one part, from whose key frame on packets are copied,
and besides:

* ``sound``: index of the sound; may be null;
* ``most_bytes``: of what is kept until the key frame is known.
"""

import os
from collections.abc import Iterator
from fractions import Fraction
from itertools import chain
from typing import Any

from reelscribe.media.clips.cutting import length
from reelscribe.media.clips.recording import Recording
from reelscribe.media.pictures.source import Failed, send

MOST_SOUND_PACKETS = 512
"""Kept before the key frame was found."""

LONGEST_WAIT_SECONDS = 10
"""For the last packet of one stream, after that of the other."""

FRAGMENTED = {
    "movflags": "frag_keyframe+empty_moov+default_base_moof+delay_moov",  # without the last it plays early
    **{"frag_duration": "1000000", "fflags": "+bitexact"},
}


def copy(av: Any, task: dict[str, Any]) -> None:
    """Write the packets of the part, from the last key frame that is not after its start; none if no picture is shown
    then any more.
    """
    [part] = task["parts"]
    recording, start = Recording(av, task), Fraction(part["start"])
    if recording.without_pts and recording.picture.codec_context.has_b_frames:
        raise Failed("no_times")
    for beginning in recording.sought(start):
        packets = recording.packets([stream for stream in (recording.picture, recording.sound) if stream is not None])
        kept = _from_key_frame(recording, packets, start, task, late=beginning)
        if kept and _ends(recording, kept) <= start:
            ended = {"first": None, "frames": 0, "ends": None, "longest": 0.0}
            send("done", parts=[ended], corrupt=0, failed=len(recording.damage.failed))
            return
        if kept:
            send("done", **_remux(av, task, recording, kept, packets, Fraction(part["end"])))
            return
    raise Failed("no_key_frame")


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
            key = packet.is_keyframe and (late or (pts - landed) * recording.clock.unit >= recording.lead)
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
            raise Failed("group_too_large", task["most_bytes"] >> 20)
    return kept if found else []


def _ends(recording: Recording, kept: list[Any]) -> Fraction:
    """Seconds of the recording at which the last of these pictures ends."""
    durations = {
        packet.dts if packet.pts is None else packet.pts: packet.duration
        for packet in kept
        if packet.stream.index == recording.picture.index
    }
    *before, last = sorted(durations)
    return recording.clock.seconds(last) + length(recording, last, durations[last], before[-1] if before else None)


def _remux(
    av: Any, task: dict[str, Any], recording: Recording, kept: list[Any], packets: Iterator[Any], end: Fraction
) -> dict[str, Any]:
    picture, sound = recording.picture, recording.sound
    key = next(packet for packet in kept if packet.stream.index == picture.index)
    key_pts = key.dts if key.pts is None else key.pts
    send("first", **recording.placed(key_pts))
    output = av.open(os.fdopen(task["body"], "wb", buffering=0), "w", format="mp4", container_options=FRAGMENTED)
    streams = {stream.index: output.add_stream_from_template(stream) for stream in (picture, sound) if stream}
    filters = {}
    if sound and sound.codec_context.name == "aac" and not sound.codec_context.extradata:
        # Each packet has a header of its own, which MP4 does not hold.
        filters[sound.index] = av.bitstream.BitStreamFilterContext("aac_adtstoasc", sound)
    begins, ends, ended, corrupt, frames = key_pts * recording.clock.unit, Fraction(0), set(), 0, 0
    for packet in chain(kept, packets):
        index, time_base = packet.stream.index, Fraction(packet.time_base)
        stamp = packet.dts if packet.pts is None else packet.pts
        if stamp is None:
            continue
        order = packet.dts if packet.dts is not None and index == picture.index else stamp
        if order * time_base - recording.clock.origin >= end:
            if index == picture.index:
                ends = max(ends, end)  # Matroska does not say how long a slide is shown
            ended.add(index)
            if ended == set(streams) or order * time_base - recording.clock.origin >= end + LONGEST_WAIT_SECONDS:
                break
            continue
        length = (packet.duration or 0) * time_base
        if stamp * time_base + (0 if index == picture.index else length) < begins or index in ended:
            continue
        corrupt += packet.is_corrupt
        if index == picture.index:
            frames += 1
            ends = max(ends, stamp * time_base - recording.clock.origin + length)
        shift = round(begins / time_base)
        packet.pts = stamp - shift
        packet.dts = None if packet.dts is None else packet.dts - shift
        for ready in filters[index].filter(packet) if index in filters else (packet,):
            ready.stream = streams[index]
            output.mux(ready)
    output.close()
    part = {"first": key_pts, "frames": frames, "ends": float(ends), "longest": 0.0}
    return {"parts": [part], "corrupt": corrupt, "failed": len(recording.damage.failed)}
