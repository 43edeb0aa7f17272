"""The ffmpeg commands of clips and previews; what they read was made by processes of ours, never by the recording."""

import logging
import subprocess
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from reelscribe.contracts.clips import PreviewFormat
from reelscribe.errors import InternalError
from reelscribe.media.ffmpeg import FFmpeg
from reelscribe.media.processes.sandbox import killed_by

log = logging.getLogger(__name__)

CLOCK = 1_000_000
THREADS = 2
"""Fixed: what libx264 makes depends on it, and the same request must give the same bytes on every host."""

QUALITY = 20
"""libx264's CRF; 18 to 23 look like the original."""
SOUND_KBPS = 192
LISTING_SECONDS = 30

_QUIET = ("-hide_banner", "-nostdin", "-nostats", "-loglevel", "level+warning")
_BIT_EXACT = ("-map_metadata", "-1", "-fflags", "+bitexact", "-flags:v", "+bitexact", "-flags:a", "+bitexact")
_H264 = ("-c:v", "libx264", "-preset", "veryfast", "-crf", str(QUALITY), "-pix_fmt", "yuv420p")
_FRAGMENTED = ("-movflags", "frag_keyframe+empty_moov+default_base_moof+delay_moov", "-frag_duration", "1000000")
"""Without ``delay_moov`` there is no edit list, and the picture plays some frames before its sound."""


@cache
def filters_of(program: Path) -> tuple[str, ...]:
    """Names of the filters that an ffmpeg has."""
    listing = subprocess.run(
        [program, "-hide_banner", "-filters"],
        capture_output=True,
        text=True,
        timeout=LISTING_SECONDS,
        stdin=subprocess.DEVNULL,
    )
    rows = (line.split() for line in listing.stdout.splitlines())
    return tuple(row[1] for row in rows if len(row) > 2)


def clip_command(ffmpeg: FFmpeg, filters: Sequence[str], pictures: int, *, with_sound: bool) -> list[str]:
    """Encode raw pictures from the descriptor ``pictures``, and the WAV of standard input, to a fragmented MP4."""
    sound = ("-f", "wav", "-ignore_length", "1", "-probesize", "32", "-analyzeduration", "0", "-i", "pipe:0")
    encode_sound = ("-map", "1:a:0", "-c:a", "aac", "-b:a", f"{SOUND_KBPS}k")
    return [
        str(ffmpeg.path),
        *_QUIET,
        *("-copyts", "-threads", str(THREADS), "-f", "nut", "-i", f"pipe:{pictures}"),
        *(sound if with_sound else ()),
        *("-map", "0:v:0", "-vf", ",".join(filters), "-fps_mode", "passthrough", "-enc_time_base", f"1/{CLOCK}"),
        *("-threads", str(THREADS), *_H264),
        *(encode_sound if with_sound else ()),
        *(*_BIT_EXACT, "-video_track_timescale", "90000", *_FRAGMENTED, "-f", "mp4", "pipe:1"),
    ]


def raw_command(ffmpeg: FFmpeg, filters: Sequence[str], pictures: int) -> list[str]:
    """Make pictures of the descriptor ``pictures`` ready for a preview: 8 bits each of red, green and blue."""
    colours = ("scale=in_color_matrix=bt709:in_range=tv:flags=bicubic+accurate_rnd+full_chroma_int", "format=rgb24")
    return [
        str(ffmpeg.path),
        *_QUIET,
        *("-threads", str(THREADS), "-f", "nut", "-i", f"pipe:{pictures}"),
        *("-map", "0:v:0", "-vf", ",".join((*filters, *colours)), "-fps_mode", "passthrough"),
        *("-enc_time_base", f"1/{CLOCK}", "-threads", "1", "-c:v", "rawvideo", "-f", "rawvideo", "pipe:1"),
    ]


def preview_command(
    ffmpeg: FFmpeg,
    picture_format: PreviewFormat,
    raw: int,
    raw_size: tuple[int, int],
    size: tuple[int, int],
    fps: float,
    step: int,
    output: int,
) -> list[str]:
    """Encode every ``step``-th of the pictures in the file of the descriptor ``raw`` to that of ``output``.

    ``fps`` is how many of them there are in a second.
    """
    scale = f"framestep={step},scale={size[0]}:{size[1]}:flags=bicubic+accurate_rnd+full_chroma_int"
    if picture_format == "gif":
        palette = "split[a][b];[a]palettegen=stats_mode=diff[p];[b][p]paletteuse=dither=bayer:bayer_scale=4"
        encoding: tuple[str, ...] = ("-vf", f"{scale},{palette}", "-c:v", "gif", "-loop", "0")
    elif picture_format == "webp":  # of red, green and blue libwebp makes the BT.601 that WebP is in
        encoding = ("-vf", f"{scale},format=bgra", "-c:v", "libwebp_anim", "-quality", "75", "-loop", "0")
    else:
        bt709 = "out_color_matrix=bt709:out_range=tv"
        tags = "setparams=range=tv:colorspace=bt709:color_primaries=bt709:color_trc=bt709"
        encoding = ("-vf", f"{scale}:{bt709},format=yuv420p,{tags}", *_H264, "-movflags", "+faststart")
    return [
        str(ffmpeg.path),
        *_QUIET,
        *("-f", "rawvideo", "-pixel_format", "rgb24", "-video_size", f"{raw_size[0]}x{raw_size[1]}"),
        *("-framerate", f"{fps:.6f}", "-i", f"file:/proc/self/fd/{raw}", *encoding, "-threads", str(THREADS)),
        *(*_BIT_EXACT, "-f", picture_format, "-y", f"file:/proc/self/fd/{output}"),
    ]


def ffmpeg_failed(savepath: str, what: str, exit_code: int, messages: Sequence[str]) -> InternalError:
    """The error of one of these commands, which is a fault of ours; ``what`` was being made."""
    log.error("%s: ffmpeg exited with %d: %s", savepath, exit_code, " | ".join(messages))
    killer = killed_by(exit_code)
    return InternalError(f"{savepath}: ffmpeg could not make the {what}" + (f": killed by {killer}" if killer else ""))
