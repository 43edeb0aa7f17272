"""Which recordings browsers play as they are stored.

Measured with Chromium 156 (Debian's build) on files that FFmpeg made, one for each row: they were loaded by ranges,
seeked and played, and what was decoded was counted. What is not in the table did not play: AC-3, E-AC-3, ALAC and MP2
in any container; ADPCM and 64-bit PCM; MPEG-1, MPEG-2, MPEG-4 part 2, Theora, ProRes and Motion JPEG, and HEVC where no
hardware decodes it. Containers that did not open: AVI, MPEG-TS, MPEG-PS, FLV, ASF, AIFF, CAF, AU, W64, Speex in Ogg,
bare AC-3. The HTML standard names no formats; Mozilla's "Media container formats" and Chromium's "Audio and video"
pages list the same ones, but for Matroska, which Safari and older Firefox do not play: there the page plays the audio.
"""

from dataclasses import dataclass
from typing import Literal, NamedTuple

from reelscribe.contracts.extractor import ProbedStream, ProbeResult

Playable = Literal["video", "audio", "none"]

_PCM = frozenset(f"pcm_{name}" for name in ("s16le", "s24le", "s32le", "f32le", "u8", "alaw", "mulaw"))


@dataclass(frozen=True)
class _Formats:
    """What browsers play in a container."""

    video: frozenset[str]
    audio: frozenset[str]


_CONTAINERS = {
    "mov,mp4,m4a,3gp,3g2,mj2": _Formats(
        frozenset(("h264", "vp9", "av1")), frozenset(("aac", "mp3", "opus", "flac", "vorbis", "pcm_s16le"))
    ),
    "matroska,webm": _Formats(
        frozenset(("h264", "vp8", "vp9", "av1")), frozenset(("aac", "mp3", "opus", "flac", "vorbis", "pcm_s16le"))
    ),
    "ogg": _Formats(frozenset(("vp8",)), frozenset(("vorbis", "opus", "flac"))),
    "wav": _Formats(frozenset(), _PCM | {"mp3"}),
    "mp3": _Formats(frozenset(), frozenset(("mp3",))),
    "flac": _Formats(frozenset(), frozenset(("flac",))),
}


class Playback(NamedTuple):
    """How a browser plays a recording.

    Attributes:
        playable: what of it is played: its picture (with its sound), or its sound alone.
        as_stored: from the stored object; else from audio that is made of it.
        why: a sentence for people.
    """

    playable: Playable
    as_stored: bool
    why: str


def playback(probed: ProbeResult) -> Playback:
    """How a browser plays this recording, with the right times."""
    sound = _chosen(probed)
    picture = next((stream for stream in probed.streams if stream.kind == "video"), None)
    formats = _CONTAINERS.get(probed.container)
    shown = [s.codec for s in probed.streams if s.kind == "video" and formats and s.codec in formats.video]
    reason = _reason_against(probed, formats, sound)
    if sound is None:
        if shown and reason is None:
            return Playback("video", True, "it has no sound that can be played; browsers play its picture as stored")
        return Playback("none", False, f"{probed.chosen_because}; {reason or 'browsers do not play its picture'}")
    if reason:
        return Playback("audio", False, f"browsers cannot play it as stored ({reason}): its sound is played")
    if shown:
        return Playback("video", True, f"browsers play it as stored ({shown[0]} and {sound.codec})")
    if picture:
        return Playback("audio", True, f"browsers do not show {picture.codec}: its sound is played")
    return Playback("audio", True, f"browsers play it as stored ({sound.codec})")


def _chosen(probed: ProbeResult) -> ProbedStream | None:
    return next((stream for stream in probed.streams if stream.index == probed.chosen_stream), None)


def _reason_against(probed: ProbeResult, formats: _Formats | None, sound: ProbedStream | None) -> str | None:
    """Why it cannot be played as stored, or not with its right times or sound; None if it can."""
    if formats is None:
        return f"the container is {probed.container}"
    if sound and sound.codec not in formats.audio:
        return f"the sound is {sound.codec}"
    if sound and probed.chosen_track:
        return f"of its audio tracks, browsers play the first, and number {probed.chosen_track + 1} is transcribed"
    if probed.duration is None:
        return "it states no length, so browsers cannot seek in it, or not exactly"
    return None
