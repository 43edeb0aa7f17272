"""The ffmpeg command of a request: an argument list, never a shell."""

from typing import Literal

from reelscribe.contracts.extractor import ExtractAudioRequest, ProbeResult
from reelscribe.media.ffmpeg import FFmpeg
from reelscribe.media.stored_object import StoredObject

Encoding = Literal["mp3", "wav", "flac", "matroska", "adts"]
"""The output of ffmpeg; the last two hold a track as stored."""

CONTENT_TYPES: dict[Encoding, str] = {
    "mp3": "audio/mpeg",
    "wav": "audio/wav",
    "flac": "audio/flac",
    "matroska": "audio/x-matroska",
    "adts": "audio/aac",
}

TRUE_TIMELINE = "aresample=async=1:first_pts=0"
"""Fills holes and a late start of the track with silence, so that later times stay true. A track without holes passes
unchanged, sample for sample."""


def source_encoding(probed: ProbeResult, track: int | None) -> Encoding:
    """The container for a track as stored: Matroska, but ADTS for AAC that has its header in every frame."""
    tracks = [stream for stream in probed.streams if stream.kind == "audio"]
    chosen = tracks[track or 0] if len(tracks) > (track or 0) else None
    headerless = probed.container in ("aac", "mpegts")
    return "adts" if headerless and chosen and chosen.codec == "aac" else "matroska"


def extraction_command(
    ffmpeg: FFmpeg,
    stored: StoredObject,
    request: ExtractAudioRequest,
    encoding: Encoding,
    mp3_compression_level: int = 7,
    output: str = "pipe:1",
) -> list[str]:
    """ffmpeg reading the open object and writing audio to its standard output, or to the URL ``output``.

    ``mp3_compression_level`` is the encoder's effort, 0 (slowest) to 9. The log level ``verbose`` makes ffmpeg log what
    :class:`reelscribe.media.ffmpeg_log.FFmpegLog` reads.
    """
    return [
        str(ffmpeg.path),
        *("-hide_banner", "-nostdin", "-nostats", "-loglevel", "level+verbose"),
        *(("-ss", f"{request.start:.6f}") if request.start else ()),
        *ffmpeg.input_arguments(stored.url, stored.protocols),
        *(("-t", f"{request.duration:.6f}") if request.duration else ()),
        *("-vn", "-sn", "-dn", "-map_metadata", "-1"),
        *(("-map", f"0:a:{request.track}") if request.track is not None else ()),
        *_encoding(request, encoding, mp3_compression_level),
        *(("-rf64", "auto") if encoding == "wav" and request.delivery == "file" else ()),
        "-y",
        output,
    ]


def _encoding(request: ExtractAudioRequest, encoding: Encoding, mp3_compression_level: int) -> list[str]:
    if encoding in ("matroska", "adts"):
        return ["-c:a", "copy", "-f", encoding]
    shape = [
        *("-af", TRUE_TIMELINE),
        *(("-ar", str(request.sample_rate)) if request.sample_rate else ()),
        *(("-ac", str(request.channels)) if request.channels else ()),
    ]
    if encoding == "mp3":
        effort = ("-compression_level", str(mp3_compression_level))
        return [*shape, "-c:a", "libmp3lame", "-b:a", f"{request.bitrate_kbps}k", *effort, "-f", "mp3"]
    if encoding == "flac":
        return [*shape, "-c:a", "flac", "-sample_fmt", "s16", "-f", "flac"]
    return [*shape, "-c:a", "pcm_s16le", "-f", "wav"]
