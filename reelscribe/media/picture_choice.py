"""Which picture stream of a recording is shown, and why."""

from collections.abc import Sequence
from dataclasses import dataclass

from reelscribe.errors import NoVideoTrack
from reelscribe.media.inspection import InspectedStream
from reelscribe.media.picture_order import place_of_default


@dataclass(frozen=True)
class PictureChoice:
    """The picture stream to take.

    Attributes:
        stream: what is known of it.
        track: its number among the picture streams, as in a request.
        why: part of a sentence: "the default picture".
    """

    stream: InspectedStream
    track: int
    why: str


def choose_picture(
    streams: Sequence[InspectedStream], track: int | None, savepath: str = "the recording"
) -> PictureChoice:
    """Choose one picture stream; FFmpeg and PyAV have different rules of their own, so neither is asked.

    If no ``track`` is requested, it is the default one, else the one with the most pixels, else the first. The picture
    of a cover is never chosen.

    Args:
        streams: all streams of the recording.
        track: the requested one, counted from 0 among the picture streams, covers left out.
        savepath: for the messages.

    Raises:
        NoVideoTrack: there is none, or not as many.
    """
    pictures = [stream for stream in streams if stream.kind == "video" and not stream.cover]
    if not pictures:
        raise NoVideoTrack(f"{savepath} has no video track")
    if track is not None:
        if track >= len(pictures):
            raise NoVideoTrack(f"{savepath} has no video track {track}; its tracks are 0 to {len(pictures) - 1}")
        return PictureChoice(pictures[track], track, f"video track {track}, as requested")
    best = pictures[place_of_default([(stream.default, _pixels(stream)) for stream in pictures])]
    if len(pictures) == 1:
        return PictureChoice(best, 0, "the only video track")
    rivals = [stream for stream in pictures if stream.default == best.default and stream is not best]
    kind = "default video track" if best.default else "video track"
    if all(_pixels(stream) < _pixels(best) for stream in rivals):
        most = f" with the most pixels ({best.width}x{best.height})" if rivals else ""
        return PictureChoice(best, pictures.index(best), f"the {kind}{most}")
    return PictureChoice(best, pictures.index(best), f"the first {kind}")


def _pixels(stream: InspectedStream) -> int:
    return (stream.width or 0) * (stream.height or 0)
