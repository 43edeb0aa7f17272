"""What is done to each kind of recording, and what is right then."""

from dataclasses import dataclass, field
from enum import StrEnum

from tests.media_matrix.kinds import KINDS, Can, Ending, Kind

SECONDS = 10.0
"""Of sound in an intact recording, with a beep of one second at 1 and at 6 s."""
BEEPS = (1.0, 6.0)
LATE_SECONDS = 3.0
SHORTER_SECONDS = 3.0
"""By which the picture is longer than the sound."""
HOLE_AT = 5.0
HOLE_SECONDS = {"hole": 12.0, "sound-hole": 3.0}
"""In all tracks (more than the 10 s over which ffmpeg takes a jump for a fault), and in the sound only."""
FIRST_HZ, SECOND_HZ = 440.0, 1000.0


class Variant(StrEnum):
    INTACT = "intact"
    CUT_10 = "cut-10"
    CUT_50 = "cut-50"
    CUT_90 = "cut-90"
    SHORTER = "sound-shorter"
    LATE = "sound-late"
    RESTART = "restart"
    LAYOUT = "mono-then-stereo"
    RATE = "rate-changes"
    HOLE = "hole"
    SOUND_HOLE = "sound-hole"
    SECOND_TRACK = "second-track"
    SECOND_DEFAULT = "second-is-default"
    TAGS = "odd-tags"

    @property
    def cut_percent(self) -> int | None:
        return int(self.removeprefix("cut-")) if self.startswith("cut-") else None


NO_PICTURE = "without a picture, the sound is the recording: there is nothing to be shorter or later than"
NO_TIMES = "its packets have no timestamps"
ONE_TRACK = "holds one sound track"
ONE_SHAPE = "its header gives rate and channels for all of the recording"
FIRST_CODECS = {
    **dict.fromkeys((Variant.CUT_10, Variant.CUT_90, Variant.SHORTER, Variant.SOUND_HOLE), 1),
    **dict.fromkeys((Variant.SECOND_TRACK, Variant.SECOND_DEFAULT, Variant.TAGS), 1),
    **dict.fromkeys((Variant.LATE, Variant.HOLE, Variant.RESTART), 3),
}
"""With how many codecs of a container a variant is made that the codec hardly changes; the others with all."""

_DV = "36 MB each, and the same frames throughout"
LEFT_OUT: dict[tuple[str, Variant], str] = {
    ("mp4-index-last-aac", Variant.CUT_10): "as at 90 %: nothing can be read without the index",
    ("mp4-index-last-aac", Variant.CUT_50): "as at 90 %: nothing can be read without the index",
    ("flac-flac", Variant.LAYOUT): "ffmpeg 9 decodes the second header as a second of sound; version 5 skips it",
    ("flac-flac", Variant.RATE): "ffmpeg 9 decodes the second header as a second of sound; version 5 skips it",
    ("wv-wavpack", Variant.LAYOUT): "all blocks of a WavPack file have one rate and layout",
    ("wv-wavpack", Variant.RATE): "all blocks of a WavPack file have one rate and layout",
    ("dv-pcm_stereo", Variant.CUT_10): _DV,
    ("dv-pcm_stereo", Variant.CUT_90): _DV,
    ("dv-pcm_stereo", Variant.SHORTER): "each frame holds its picture and its sound",
    ("ogv-vorbis", Variant.HOLE): "a granule position counts the samples, and may not jump (RFC 7845, section 4.1)",
    ("ogv-opus", Variant.HOLE): "a granule position counts the samples, and may not jump (RFC 7845, section 4.1)",
    ("ogv-vorbis", Variant.SOUND_HOLE): "a granule position counts the samples, and may not jump",
    ("mov-pcm_s16le", Variant.HOLE): "QuickTime's PCM has one duration for all samples",
    ("mov-pcm_s16be", Variant.HOLE): "QuickTime's PCM has one duration for all samples",
    ("mov-pcm_s16le", Variant.SOUND_HOLE): "QuickTime's PCM has one duration for all samples",
}
"""Single combinations that are not made, with the reason."""

MAY_STOP = {
    **dict.fromkeys(
        [(kind, variant) for kind in ("ogg-vorbis", "ogg-opus", "ogg-speex", "opus-opus", "spx-speex")
         for variant in (Variant.LAYOUT, Variant.RATE)],
        "ffmpeg 9 ends where the parameters change, or misreads what follows; version 5 reads on",
    ),
    ("wv-wavpack", Variant.RESTART): "ffmpeg ends at the tag between the recordings",
}  # fmt: skip
"""Complete recordings that may be reported as incomplete, as ffmpeg does not read all of them."""

PADDING = {"gxf": 0.3}
"""Its packets hold 32768 samples, the last one too."""

SHAPES = {"mp3", "aac", "ac3", "eac3", "mp2", "dts"}
"""Codecs whose frames say their own rate and channels."""


def left_out(kind: Kind, variant: Variant) -> str | None:
    """Why a kind has no such variant; None if it has."""
    if single := LEFT_OUT.get((str(kind), variant)):
        return single
    if kind.rank >= FIRST_CODECS.get(variant, 100):
        return "the codec hardly changes it: made with the first ones of the container"
    match variant:
        case Variant.SHORTER if not kind.picture:
            return NO_PICTURE
        case Variant.LATE if not kind.picture:
            return NO_PICTURE
        case Variant.LATE if kind.suffix == "avi":
            return None
        case Variant.LATE | Variant.HOLE if Can.TIMES not in kind.can:
            return NO_TIMES
        case Variant.SOUND_HOLE if Can.TIMES not in kind.can or not kind.picture:
            return NO_TIMES if Can.TIMES not in kind.can else NO_PICTURE
        case Variant.RESTART if Can.APPEND not in kind.can:
            return "its header states where the recording ends: what follows is not part of it"
        case Variant.LAYOUT | Variant.RATE if Can.CHANGE not in kind.can or (kind.picture and kind.codec not in SHAPES):
            return ONE_SHAPE
        case Variant.LAYOUT if kind.suffix in ("mp4", "mkv") and kind.codec == "aac":
            return ONE_SHAPE
        case Variant.RATE if kind.suffix in ("mp4", "mkv"):
            return "its header gives one rate for the track, and players believe it"
        case Variant.RATE if kind.codec == "opus":
            return "Opus is decoded at 48 kHz always (RFC 7845, section 5.1)"
        case Variant.SECOND_TRACK if Can.TRACKS not in kind.can:
            return ONE_TRACK
        case Variant.SECOND_DEFAULT if Can.DEFAULT not in kind.can:
            return "marks no track as the default one"
        case Variant.TAGS if Can.TAGS not in kind.can:
            return "holds no text"
    return None


class Certainty(StrEnum):
    """How much can be said of a recording."""

    COMPLETE = "complete"
    INCOMPLETE = "incomplete"
    UNKNOWN = "cannot be known"


@dataclass(frozen=True)
class Right:
    """What is right for a case.

    Attributes:
        certainty: what the receipt may say.
        seconds: of the audio; None for a cut recording, of which as much as can be decoded is right.
        beeps: starts in seconds, each beep one second long; for a cut recording, those of the intact one.
        frequency: of the beeps, in Hz.
        declared: seconds that may be declared instead: those of the sound without the silence before it.
        padding: seconds that the container may add at the end.
        joints: places where two parts meet; a codec adds some milliseconds there, and a header may speak for one part.
    """

    certainty: Certainty
    seconds: float | None
    beeps: tuple[float, ...] = BEEPS
    frequency: float = FIRST_HZ
    joints: int = 0
    declared: float | None = None
    padding: float = 0.0


@dataclass(frozen=True)
class Case:
    """A kind in a variant, and what is right for it."""

    kind: Kind
    variant: Variant
    right: Right = field(compare=False)

    def __str__(self) -> str:
        return f"{self.kind}_{self.variant}"


def right(kind: Kind, variant: Variant) -> Right:
    """What is right for a kind in a variant."""
    if variant.cut_percent:
        return Right(Certainty.UNKNOWN if kind.ending is Ending.OPEN else Certainty.INCOMPLETE, None)
    complete = Certainty.COMPLETE
    match variant:
        case Variant.LATE:
            return Right(
                complete, SECONDS + LATE_SECONDS, tuple(beep + LATE_SECONDS for beep in BEEPS), declared=SECONDS
            )
        case Variant.RESTART:
            return Right(complete, 2 * SECONDS, (*BEEPS, *(SECONDS + beep for beep in BEEPS)), joints=1)
        case Variant.HOLE | Variant.SOUND_HOLE:
            hole = HOLE_SECONDS[variant]
            return Right(complete, SECONDS + hole, tuple(beep + hole * (beep > HOLE_AT) for beep in BEEPS))
        case Variant.SECOND_DEFAULT:
            return Right(complete, SECONDS, frequency=SECOND_HZ)
        case Variant.LAYOUT | Variant.RATE:
            return Right(complete, SECONDS, joints=1)
    return Right(complete, SECONDS, padding=PADDING.get(kind.container, 0.0))


CASES = tuple(
    Case(kind, variant, right(kind, variant)) for kind in KINDS for variant in Variant if not left_out(kind, variant)
)
