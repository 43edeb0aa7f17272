"""What the bytes of a recording's headers say of its sound."""

from dataclasses import dataclass

OTHER_FORMAT = "another recording, of another codec, sample rate or number of channels"
AS_THE_FIRST = "and ffmpeg plays it as if it were like the first"


@dataclass(frozen=True)
class AudioTrack:
    """One audio stream, as its container declares it.

    Attributes:
        index: ffmpeg's stream index.
        seconds: when its sound ends, counted from the recording's first timestamp; a late start is included, the
            length of a longer picture is not. None if that is not declared.
        channels: None if the reader does not look for them.
        microphones: its channels have no speaker layout: they are as many separate recordings.
        holes: start and length, in seconds, of each silence that is contained in ``seconds`` but not in ffmpeg's
            timestamps: it drops the empty chunks with which an AVI delays its sound.
        pauses: its codec holds no sound in pauses (AMR), so what has no sound at its end is silence.
        edits_skip: its edit list leaves out stored sound between stretches that it plays, or plays it in another order.
        counts_samples: its timestamps are known to count samples; a clock may be slower than they are.
        edit_gap: when its edit list has silence after the first of them, in seconds; None if it has not.
        edit_speed: when its edit list plays sound at another speed, or holds it, in seconds; None if it does not.
        encrypted: its packets are.
        decoder: ffmpeg's, if it has to be named, as ffmpeg takes the track for something else.
    """

    index: int
    seconds: float | None = None
    channels: int | None = None
    microphones: bool = False
    holes: tuple[tuple[float, float], ...] = ()
    pauses: bool = False
    edits_skip: bool = False
    edit_gap: float | None = None
    edit_speed: float | None = None
    counts_samples: bool = False
    encrypted: bool = False
    decoder: str | None = None


@dataclass(frozen=True)
class Structure:
    """What a container declares.

    Attributes:
        container: such as ``"mp4"``, ``"fragmented mp4"`` or ``"wav"``; ``"unknown"`` if no reader knows it.
        audio: None if the container does not list its tracks, or the reader cannot say.
        seconds: length of the longest track; None if not declared (a guess from a bit rate is no declaration).
        cut: a phrase if the bytes themselves show that the file ends before its data does.
        seekable: seeking to a time gives the same timeline as reading from the start: there is one clock from start
            to end, and the container has exact times or an index.
        joined: other recordings were appended to the first; each has its own clock.
        unplayed: a sentence if ffmpeg plays some of it otherwise than it is stored.
        begins: bytes of something else before the first frame, as in a capture that begins in the middle of one.
    """

    container: str
    audio: tuple[AudioTrack, ...] | None = None
    seconds: float | None = None
    cut: str | None = None
    seekable: bool = False
    joined: bool = False
    unplayed: str | None = None
    begins: int = 0


def ends_early(declared: int, present: int, what: str = "bytes of data") -> str | None:
    """The phrase for a file that has fewer than its header declares, else None."""
    if present >= declared:
        return None
    return f"the header declares {declared:,} {what}, the file has {max(0, present):,}"


def stops_inside(what: str, position: int, end: int, size: int) -> str | None:
    """The phrase for a unit at ``position`` that should end at ``end``, in a file of ``size`` bytes; else None."""
    if end <= size:
        return None
    return f"{what} at byte {position:,} should end at byte {end:,}, the file ends at byte {size:,}"


def only(
    index: int, seconds: float | None, channels: int | None = None, microphones: bool = False
) -> tuple[AudioTrack]:
    """The tracks of a container with one audio track."""
    return (AudioTrack(index, seconds, channels, microphones),)
