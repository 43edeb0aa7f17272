"""The ffmpeg commands of an extraction: argument lists, never a shell."""

from dataclasses import dataclass, field, replace
from typing import Literal

from reelscribe.contracts.extractor import ExtractAudioRequest, ProbeResult
from reelscribe.media.ffmpeg import FFmpeg
from reelscribe.media.inspection import Search
from reelscribe.media.stored_object import StoredObject

Encoding = Literal["mp3", "wav", "flac", "matroska", "adts"]
"""What is delivered; the last two hold a track as stored."""

CONTENT_TYPES: dict[Encoding, str] = {
    "mp3": "audio/mpeg",
    "wav": "audio/wav",
    "flac": "audio/flac",
    "matroska": "audio/x-matroska",
    "adts": "audio/aac",
}

JOINED_SAMPLES = 14_336
"""Frames are joined to that many samples while nothing is irregular: each frame costs ffmpeg several microseconds."""

APPENDED_SECONDS = 2
"""Silence that is appended before frames are joined, so long that one of the joined begins in it (from 7168 Hz on). Its
timestamp says when the sound really ends: nothing else shows a hole within the last of the joined."""

DOWNMIX = "center_mix_level=1.4142136:surround_mix_level=0.5:lfe_mix_level=0:rematrix_maxval=1"
"""Speech is in the centre: in stereo it counts 3 dB more than left and right, and they 6 dB more than each surround
channel. Then the mix is scaled so that it cannot clip. Mono and stereo have neither centre nor surround: nothing
changes for them. The levels are in docs/extractor.md."""

MOST_CHANNELS: dict[Encoding, int] = {"mp3": 2, "flac": 8}
"""ISO/IEC 11172-3, 2.4.2.3; RFC 9639, section 9.1.3."""

REPORTED_OFFSET = 10**12
"""Added to the timestamps that :func:`packets_command` reports as durations, as those cannot be negative."""

REPORT_BLOCK_BYTES = 512
"""Some lines: where a copy begins must be known soon, and a write for each packet would take longer than the copy."""

_QUIET = ("-hide_banner", "-nostdin", "-nostats", "-loglevel", "level+warning")
_AUDIO_ONLY = ("-vn", "-sn", "-dn", "-map_metadata", "-1", "-map_chapters", "-1")
_ANY_DAMAGE = ("-max_error_rate", "1")
"""Damage is judged by what comes out; ffmpeg would exit with an error where most packets hold no sound (AMR)."""

_OWN_ORDER = "dts=N-1e9/TB"
"""ffmpeg forces decoding times to rise; a counter there leaves the timestamps as they are."""

_REPORTED_TIMES = rf"setts={_OWN_ORDER}:duration=if(isnan(PTS)\,0\,PTS+{REPORTED_OFFSET})"

_ORDER_OF_SOUGHT, _ORDER_OF_BEGINNING = "dts=N-2e9/TB", "dts=N-3e9/TB"
"""ffmpeg decodes first for the output with the least decoding time."""


@dataclass(frozen=True)
class Sound:
    """Which samples to make of a recording.

    Attributes:
        stream: ffmpeg's name of the track, such as ``0:a:0`` or ``0:1``.
        sample_rates: Hz; the one nearest to the source's is made; empty for the source's.
        channels: to mix down to; None for the source's.
        at_most_stereo: mix down what has more than two channels.
        microphones: number of channels without speaker positions, all of which are mixed alike; None if they have them.
        channel: the only channel to take.
    """

    stream: str = "0:a:0"
    sample_rates: tuple[int, ...] = ()
    channels: int | None = None
    at_most_stereo: bool = False
    microphones: int | None = None
    channel: int | None = None


@dataclass(frozen=True)
class FrameOutputs:
    """Descriptors for reports of single frames at the track's own sample rate, made before what is decoded.

    Attributes:
        beginning: for those of the recording's beginning.
        sought: for the first that are decoded; None if they are not wanted.
        beginning_seconds, sought_seconds: how many frames.
    """

    beginning: int
    sought: int | None
    beginning_seconds: float
    sought_seconds: float


@dataclass(frozen=True)
class Reading:
    """How to read the input.

    Attributes:
        seek: seconds; None to read from the beginning.
        search: how far ffmpeg looks for streams, as options of its own.
        own_clock: timestamps are those of the container, instead of counting from its beginning.
        origin: timestamp of the recording's beginning on that clock, from which ``seek`` counts, in seconds; None if
            ``seek`` counts from what ffmpeg takes for the beginning.
    """

    seek: float | None = None
    search: Search = field(default_factory=dict)
    own_clock: bool = False
    origin: float | None = None


def source_encoding(probed: ProbeResult, track: int | None) -> Encoding:
    """The container for a track as stored: Matroska, but ADTS for AAC that has its header in every frame."""
    tracks = [stream for stream in probed.streams if stream.kind == "audio"]
    chosen = tracks[track or 0] if len(tracks) > (track or 0) else None
    headerless = probed.container in ("aac", "mpegts")
    return "adts" if headerless and chosen and chosen.codec == "aac" else "matroska"


def decode_command(
    ffmpeg: FFmpeg,
    stored: StoredObject,
    sound: Sound,
    reading: Reading,
    report: int,
    *,
    exact: bool,
    frames: FrameOutputs | None = None,
) -> list[str]:
    """Decode to 16-bit samples on standard output, and report each frame's timestamp to the descriptor ``report``.

    Args:
        exact: keep frames as they are, instead of appending ``APPENDED_SECONDS`` of silence and joining them.
        frames: where else to report frames.
    """
    return [
        str(ffmpeg.path),
        *_QUIET,
        *_ANY_DAMAGE,
        *_true_times(reading),
        *_input(ffmpeg, stored, reading),
        *(_frame_outputs(ffmpeg, stored, sound, reading, frames) if frames else ()),
        *_AUDIO_ONLY,
        *("-map", sound.stream, "-af", ",".join(_filters(sound, exact))),
        *("-c:a", "pcm_s16le", "-bsf:a", f"setts={_OWN_ORDER}:pts=PTS"),
        *("-f", "tee", f"[f=s16le:flush_packets=0]pipe:1|[f=framecrc]pipe:{report}"),
    ]


def packets_command(ffmpeg: FFmpeg, stored: StoredObject, sound: Sound, reading: Reading) -> list[str]:
    """Report the track's packets, without decoding; their timestamps are in the report's durations.

    ffmpeg 9 drops the timestamps of packets that are copied, but not their durations.
    """
    return [
        str(ffmpeg.path),
        *_QUIET,
        *_true_times(reading),
        *_input(ffmpeg, stored, reading),
        *_AUDIO_ONLY,
        *("-map", sound.stream, "-c:a", "copy", "-bsf:a", _REPORTED_TIMES),
        *("-flush_packets", "0", "-f", "framecrc", "pipe:1"),
    ]


def first_packets_command(ffmpeg: FFmpeg, stored: StoredObject, reading: Reading, report: int) -> list[str]:
    """Report the first packet of pictures as :func:`packets_command` does, and to ``report`` the first of sound."""
    return [
        str(ffmpeg.path),
        *_QUIET,
        *_true_times(reading),
        *_input(ffmpeg, stored, reading),
        *("-map", "0:V", "-c", "copy", "-frames:v", "1", "-bsf:v", _REPORTED_TIMES, "-f", "framecrc", "pipe:1"),
        *("-map", "0:a", "-c", "copy", "-frames:a", "1", "-bsf:a", _REPORTED_TIMES, "-f", "framecrc", f"pipe:{report}"),
    ]


def encode_command(
    ffmpeg: FFmpeg, encoding: Encoding, request: ExtractAudioRequest, mp3_compression_level: int, output: str
) -> list[str]:
    """Encode the WAV of standard input.

    ``mp3_compression_level`` is the encoder's effort, 0 (slowest) to 9; ``output`` is a URL.
    """
    codec: tuple[str, ...] = ("-c:a", "flac", "-sample_fmt", "s16")
    if encoding == "mp3":
        effort = ("-compression_level", str(mp3_compression_level))
        codec = ("-c:a", "libmp3lame", "-b:a", f"{request.bitrate_kbps}k", *effort)
    source = ("-f", "wav", "-ignore_length", "1", "-probesize", "32", "-analyzeduration", "0", "-i", "pipe:0")
    return [str(ffmpeg.path), *_QUIET, *source, "-map_metadata", "-1", *codec, "-f", encoding, "-y", output]


def copy_command(
    ffmpeg: FFmpeg,
    stored: StoredObject,
    sound: Sound,
    request: ExtractAudioRequest,
    reading: Reading,
    encoding: Encoding,
    output: str,
    report: int,
) -> list[str]:
    """Copy the track as stored to the URL ``output``, and report each packet to the descriptor ``report``.

    The part begins with the first packet that is not before ``start``; timestamps count from ``start``.
    """
    begin = request.start + (reading.origin or 0.0)
    start = ("-ss", f"{begin:.6f}") if begin and (reading.own_clock or reading.seek is None) else ()
    part = [
        *start,
        *(("-t", f"{request.duration:.6f}") if request.duration else ()),
        *_AUDIO_ONLY,
        *("-map", sound.stream, "-c:a", "copy", "-copypriorss", "0"),
    ]
    reported = ("-flush_packets", "0", "-f", "framecrc", "-blocksize", f"{REPORT_BLOCK_BYTES}", f"pipe:{report}")
    return [
        str(ffmpeg.path), *_QUIET, *(("-copyts",) if reading.own_clock else ()), *_input(ffmpeg, stored, reading),
        *part, *reported,
        *part, "-f", encoding, "-y", output,
    ]  # fmt: skip


def _true_times(reading: Reading) -> tuple[str, ...]:
    return ("-copyts",) if reading.own_clock else ("-copyts", "-start_at_zero")


def _frame_outputs(
    ffmpeg: FFmpeg, stored: StoredObject, sound: Sound, reading: Reading, frames: FrameOutputs
) -> list[str]:
    """A second input, the beginning, and the outputs that report frames."""
    beginning = ["-t", f"{frames.beginning_seconds:.6f}", *_input(ffmpeg, stored, replace(reading, seek=None))]
    outputs = [*_AUDIO_ONLY, "-map", f"1{sound.stream[1:]}", *_reported(_ORDER_OF_BEGINNING, frames.beginning)]
    if frames.sought is not None:
        outputs += [*_AUDIO_ONLY, "-map", sound.stream, "-af", f"atrim=duration={frames.sought_seconds:.6f}"]
        outputs += _reported(_ORDER_OF_SOUGHT, frames.sought)
    return [*beginning, *outputs]


def _reported(order: str, descriptor: int) -> list[str]:
    return ["-c:a", "pcm_s16le", "-bsf:a", f"setts={order}:pts=PTS", "-f", "framecrc", f"pipe:{descriptor}"]


def _input(ffmpeg: FFmpeg, stored: StoredObject, reading: Reading) -> list[str]:
    return [
        *(("-noaccurate_seek", *_seek(reading.seek, reading.origin)) if reading.seek else ()),
        *(argument for option, value in reading.search.items() for argument in (f"-{option}", value)),
        *(("-f", "aac", "-skip_initial_bytes", str(stored.adts_at)) if stored.adts_at else ()),
        *(("-c:a", stored.decoder) if stored.decoder else ()),
        *ffmpeg.input_arguments(stored.url, stored.protocols),
    ]


def _seek(seek: float, origin: float | None) -> tuple[str, ...]:
    return ("-ss", f"{seek:.6f}") if origin is None else ("-seek_timestamp", "1", "-ss", f"{seek + origin:.6f}")


def _filters(sound: Sound, exact: bool) -> list[str]:
    filters = [] if exact else [f"apad=pad_dur={APPENDED_SECONDS}", f"asetnsamples={JOINED_SAMPLES}:p=0"]
    if sound.channel is not None:  # "pan" would make silence of a channel that does not exist
        filters.append(f"channelmap=map={sound.channel}:channel_layout=mono")
    elif sound.microphones and (sound.channels or sound.at_most_stereo):
        mixed = "+".join(f"{1 / sound.microphones:.6f}*c{number}" for number in range(sound.microphones))
        filters.append(f"pan=mono|c0={mixed}")
    filters.append(f"aresample={DOWNMIX}")
    shape = ["sample_fmts=s16"]
    if sound.sample_rates:
        shape.append(f"sample_rates={'|'.join(map(str, sound.sample_rates))}")
    if sound.channels:
        shape.append(f"channel_layouts={'mono' if sound.channels == 1 else 'stereo'}")
    elif sound.at_most_stereo:
        shape.append("channel_layouts=mono|stereo")
    return [*filters, f"aformat={':'.join(shape)}"]
