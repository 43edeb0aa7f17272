"""Which audio track to extract, and why."""

from collections.abc import Sequence
from dataclasses import dataclass

from reelscribe.errors import NoAudioTrack
from reelscribe.media.inspection import InspectedStream

SECONDARY = {
    "visual_impaired": "audio description",
    "descriptions": "audio description",
    "comment": "commentary",
    "clean_effects": "music and effects without speech",
}
"""Dispositions of tracks that are not the recording's own speech."""


@dataclass(frozen=True)
class Choice:
    """The track to extract.

    Attributes:
        index: of its stream, as ffmpeg counts all streams.
        track: its number among the audio tracks, as in a request.
        why: part of a sentence: "the default track".
    """

    index: int
    track: int
    why: str


def choose_track(streams: Sequence[InspectedStream], track: int | None, savepath: str = "the recording") -> Choice:
    """Choose one audio track.

    If no ``track`` is requested, it is the one that ffmpeg would take: the default one, else the one with the most
    channels, in which speech most often has a channel to itself, else the first. But a track that cannot be decoded, or
    of which nothing was found, or that is not the recording's own speech, is taken only if there is no other.

    Args:
        streams: all streams of the recording.
        track: the requested one, counted from 0 among the audio tracks.
        savepath: for the messages.

    Raises:
        NoAudioTrack: there is none, or not as many.
    """
    tracks = [stream for stream in streams if stream.kind == "audio"]
    if not tracks:
        raise NoAudioTrack(f"{savepath} has no audio track")
    if track is not None:
        if track >= len(tracks):
            raise NoAudioTrack(f"{savepath} has no audio track {track}; its tracks are 0 to {len(tracks) - 1}")
        return Choice(tracks[track].index, track, f"track {track}, as requested")
    if len(tracks) == 1:
        return Choice(tracks[0].index, 0, "the only audio track")
    best = min(tracks, key=lambda stream: (_defects(stream), _ffmpeg_order(stream)))
    number = tracks.index(best)
    return Choice(best.index, number, _reason(tracks, best))


def check_channel(track: InspectedStream, channel: int | None, savepath: str) -> None:
    """
    Args:
        channel: the requested one, counted from 0.

    Raises:
        NoAudioTrack: the track has not as many.
    """
    if channel is None or not track.channels or channel < track.channels:
        return
    there = "its only channel is 0" if track.channels == 1 else f"its channels are 0 to {track.channels - 1}"
    raise NoAudioTrack(f"{savepath} has no channel {channel}; {there}")


def _defects(stream: InspectedStream) -> tuple[bool, bool, bool]:
    """What speaks against a track; the worst first."""
    return (not stream.decodable, not stream.channels, not SECONDARY.keys().isdisjoint(stream.dispositions))


def _ffmpeg_order(stream: InspectedStream) -> tuple[bool, int, int]:
    return (not stream.default, -(stream.channels or 0), stream.index)


def _reason(tracks: Sequence[InspectedStream], best: InspectedStream) -> str:
    skipped = [
        f"track {number} ({_defect(stream)})"
        for number, stream in enumerate(tracks)
        if _defects(stream) > _defects(best) and _ffmpeg_order(stream) < _ffmpeg_order(best)
    ]
    equals = [stream for stream in tracks if _defects(stream) == _defects(best)]
    reason = _rank(equals, best, "remaining " if skipped else "")
    return f"{reason}; skipped: {', '.join(skipped)}" if skipped else reason


def _defect(stream: InspectedStream) -> str:
    if not stream.decodable:
        return f"{stream.codec}, which ffmpeg cannot decode"
    if not stream.channels:
        return "no sound of it was found"
    return next(meaning for name, meaning in SECONDARY.items() if name in stream.dispositions)


def _rank(tracks: Sequence[InspectedStream], best: InspectedStream, remaining: str) -> str:
    """What makes a track the best of these."""
    if len(tracks) == 1 and remaining:
        return "the only remaining track"
    kind = f"{remaining}{'default ' if best.default else ''}track"
    rivals = [stream for stream in tracks if stream.default == best.default and stream is not best]
    if best.default and not rivals:
        return f"the {kind}"
    if all((stream.channels or 0) < (best.channels or 0) for stream in rivals) and rivals:
        return f"the {kind} with the most channels ({best.channels})"
    return f"the first {kind}"
