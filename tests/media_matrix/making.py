"""Makes the recordings: one run of ffmpeg for each, or two if a file has two parts; the sources are made once."""

import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from threading import Lock

from tests.media_matrix.kinds import CODECS, Can, Kind
from tests.media_matrix.variants import (
    FIRST_HZ,
    HOLE_AT,
    HOLE_SECONDS,
    LATE_SECONDS,
    SECOND_HZ,
    SECONDS,
    SHORTER_SECONDS,
    Variant,
)

LONGEST_SECONDS = SECONDS + max(HOLE_SECONDS.values())
PICTURES = {
    "dvvideo": "-c:v dvvideo -pix_fmt yuv420p -f nut",
    "flv": "-c:v flv -f nut",
    "libtheora": "-c:v libtheora -f nut",
    "libvpx": "-c:v libvpx -deadline realtime -f nut",
    "libx264": "-c:v libx264 -preset ultrafast -bf 0 -f nut",
    "mpeg2video": "-c:v mpeg2video -f matroska",
    "mpeg2video-25": "-c:v mpeg2video -f matroska",
    "mpeg2video-pal": "-c:v mpeg2video -f matroska",
    "mpeg4": "-c:v mpeg4 -f nut",
    "rv10": "-c:v rv10 -f rm",
    "wmv2": "-c:v wmv2 -f nut",
}
SIZES = {"dvvideo": "720x576:rate=25", "mpeg2video-pal": "720x576:rate=25", "mpeg2video-25": "64x36:rate=25",
         "rv10": "64x48:rate=5"}  # fmt: skip
ODD_TAGS = {
    "title": "Duration: 01:02:03.00, start: 0.000000, bitrate: 1 kb/s\n  Stream #0:0: Audio: pcm_s16le, 8000 Hz, mono",
    "comment": 'Duration: 00:12:30...\nduration: 1:02:03\n[error] it\'s "quoted" \\\n'
    "Output #0, wav, to 'x':\nsize=  1kB time=00:00:01",
    "artist": "Stream #0:0: Audio",
    "DURATION": "00:59:59.000000000",
}
ODD_LANGUAGE = "pt-BR"


class MakingFailed(Exception):
    """ffmpeg could not make a recording."""


class EncoderMissing(MakingFailed):
    """This ffmpeg was built without the encoder."""


class Maker:
    """Makes recordings in a folder.

    Args:
        ffmpeg: the binary.
        folder: for the recordings.
        sources: for what they are made of.
    """

    def __init__(self, ffmpeg: Path, folder: Path, sources: Path) -> None:
        self._ffmpeg = ffmpeg
        self._folder = folder
        self._sources = sources
        self._lock = Lock()

    def make(self, kind: Kind, variant: Variant) -> Path:
        """The recording, made now if it does not exist.

        Raises:
            EncoderMissing, MakingFailed: with what ffmpeg said.
        """
        path = self._folder / f"{kind}_{variant}.{kind.suffix}"
        if not path.exists():
            unfinished = Path(tempfile.mkdtemp(dir=self._sources)) / path.name
            self._write(unfinished, kind, variant)
            unfinished.rename(path)
            unfinished.parent.rmdir()
        return path

    def _write(self, path: Path, kind: Kind, variant: Variant) -> None:
        if variant.cut_percent:
            path.write_bytes(cut(self.make(kind, Variant.INTACT).read_bytes(), variant.cut_percent))
            return
        if variant is Variant.RESTART:
            first = self.make(kind, Variant.INTACT).read_bytes()
            path.write_bytes(first + (first[_FLV_HEADER:] if kind.suffix == "flv" else first))
            return
        _VARIANTS.get(variant, _intact)(self, kind, path)
        if variant is Variant.LATE and kind.suffix == "avi":
            path.write_bytes(_late_avi(path.read_bytes()))

    def held_seconds(self, path: Path) -> float:
        """How much of a recording ffmpeg decodes: what can be delivered of one that is cut."""
        options = ("-map", "0:a:0", "-ac", "1", "-ar", "16000", "-f", "s16le", "pipe:1")
        decoded = subprocess.run([self._ffmpeg, "-v", "quiet", "-nostdin", "-i", path, *options], capture_output=True)
        return len(decoded.stdout) / 32_000

    def sound(self, frequency: float = FIRST_HZ) -> Path:
        beeps = f"if(between(mod(t,5),1,2),0.3*sin(2*PI*{frequency}*t),0)"
        return self._source(f"{frequency:.0f}.wav", f"aevalsrc='{beeps}':s=48000:d={SECONDS}", "-c:a pcm_s16le")

    def picture(self, kind: Kind, hole: bool = False) -> Path:
        assert kind.picture
        seconds = LONGEST_SECONDS if kind.picture not in SIZES else SECONDS + SHORTER_SECONDS
        size = SIZES.get(kind.picture, "64x36:rate=5")
        times = f",setpts=PTS+{_jump('hole')}" if hole else ""
        coding = f"-fps_mode passthrough -b:v 50k -g 5 {PICTURES[kind.picture]}"
        name = f"{kind.picture}{'-hole' * hole}.picture"
        return self._source(name, f"testsrc=duration={seconds}:size={size}{times}", coding)

    def run(self, *arguments: str | Path) -> None:
        command = [self._ffmpeg, "-hide_banner", "-loglevel", "error", "-nostdin", "-y", *arguments]
        completed = subprocess.run(command, capture_output=True, text=True, timeout=60)
        if "Unknown encoder" in completed.stderr:
            raise EncoderMissing(completed.stderr.strip())
        if completed.returncode:
            raise MakingFailed(f"{arguments[-1]}: {completed.stderr}")

    def _source(self, name: str, lavfi: str, options: str) -> Path:
        with self._lock:
            path = self._sources / name
            if not path.exists():
                self.run("-f", "lavfi", "-i", lavfi, *options.split(), path)
            return path


def _intact(
    maker: Maker,
    kind: Kind,
    path: Path,
    *options: str,
    picture_seconds: float = SECONDS,
    before_sound: str = "",
    second_track: bool = False,
    hole: bool = False,
) -> None:
    length = LONGEST_SECONDS if hole else picture_seconds
    picture = ("-t", str(length), "-i", maker.picture(kind, hole)) if kind.picture else ()
    second = ("-i", maker.sound(SECOND_HZ)) if second_track else ()
    tracks = [f"-map {number}" for number in range(bool(picture) + 1 + second_track)]
    maker.run(
        *picture, *before_sound.split(), "-i", maker.sound(), *second,
        *" ".join(tracks).split(), *(("-c:v", "copy") if kind.picture else ()),
        *CODECS[kind.codec].split(), *kind.options.split(), *options, path,
    )  # fmt: skip


def _shorter(maker: Maker, kind: Kind, path: Path) -> None:
    _intact(maker, kind, path, picture_seconds=SECONDS + SHORTER_SECONDS)


def _late(maker: Maker, kind: Kind, path: Path) -> None:
    seconds = SECONDS + LATE_SECONDS
    _intact(maker, kind, path, picture_seconds=seconds, before_sound=f"-itsoffset {LATE_SECONDS}")


def _hole(maker: Maker, kind: Kind, path: Path) -> None:
    _intact(maker, kind, path, "-af", f"asetpts=PTS+{_jump('hole')}", hole=True)


def _sound_hole(maker: Maker, kind: Kind, path: Path) -> None:
    seconds = SECONDS + HOLE_SECONDS["sound-hole"]
    _intact(maker, kind, path, "-af", f"asetpts=PTS+{_jump('sound-hole')}", picture_seconds=seconds)


def _jump(variant: str) -> str:
    """How much later a frame is, in ffmpeg's terms."""
    return f"gte(T\\,{HOLE_AT})*{HOLE_SECONDS[variant]}/TB"


def _second_track(maker: Maker, kind: Kind, path: Path) -> None:
    _two_tracks(maker, kind, path, "default", "0")


def _second_default(maker: Maker, kind: Kind, path: Path) -> None:
    _two_tracks(maker, kind, path, "0", "default")


def _two_tracks(maker: Maker, kind: Kind, path: Path, *default: str) -> None:
    languages = ("-metadata:s:a:0", "language=por", "-metadata:s:a:1", "language=eng")
    marks = (f"-disposition:a:{number}={mark}".split("=") for number, mark in enumerate(default))
    _intact(maker, kind, path, *languages, *(word for mark in marks for word in mark), second_track=True)


def _odd_tags(maker: Maker, kind: Kind, path: Path) -> None:
    tags = [word for name, text in ODD_TAGS.items() for word in ("-metadata", f"{name}={text}")]
    _intact(maker, kind, path, *tags, "-metadata:s:a:0", f"language={ODD_LANGUAGE}")


def _layout(maker: Maker, kind: Kind, path: Path) -> None:
    if Can.APPEND in kind.can and kind.suffix != "mkv":
        path.write_bytes(_two_parts(maker, kind, path, ("-ac 1", "-ac 2")))
        return
    frames = path.with_suffix(f".frames.{kind.codec}")
    bare = replace(kind, suffix=kind.codec, picture=None, options="")
    frames.write_bytes(_two_parts(maker, bare, path, ("-ac 1", "-ac 2")))
    picture = ("-t", str(SECONDS), "-i", maker.picture(kind))
    maker.run(*picture, "-i", frames, "-c", "copy", *kind.options.split(), path)
    frames.unlink()


def _rate(maker: Maker, kind: Kind, path: Path) -> None:
    rates = ("-ar 16000", "-ar 32000") if kind.codec == "speex" else ("-ar 48000", "-ar 32000")
    path.write_bytes(_two_parts(maker, kind, path, rates))


def _two_parts(maker: Maker, kind: Kind, path: Path, shapes: tuple[str, str]) -> bytes:
    """Two parts of 5 s in different shapes, one after the other; if the container has times, they continue."""
    parts = []
    for start, shape in zip((0.0, SECONDS / 2), shapes, strict=True):
        part = path.with_name(f"{path.stem}.part.{kind.suffix}")
        timing = f"-ss {start} -t {SECONDS / 2}".split()
        offset = ("-output_ts_offset", str(start)) if Can.TIMES in kind.can else ()
        picture: list[str | Path] = [*timing, "-i", maker.picture(kind)] if kind.picture else []
        maker.run(
            *picture, *timing, "-i", maker.sound(), *(("-c:v", "copy") if picture else ()),
            *CODECS[kind.codec].split(), *shape.split(), *kind.options.split(), *offset, part,
        )  # fmt: skip
        parts.append(part.read_bytes())
        part.unlink()
    return b"".join(parts)


_VARIANTS: dict[Variant, Callable[[Maker, Kind, Path], None]] = {
    Variant.SHORTER: _shorter,
    Variant.LATE: _late,
    Variant.HOLE: _hole,
    Variant.SOUND_HOLE: _sound_hole,
    Variant.SECOND_TRACK: _second_track,
    Variant.SECOND_DEFAULT: _second_default,
    Variant.TAGS: _odd_tags,
    Variant.LAYOUT: _layout,
    Variant.RATE: _rate,
}
_FLV_HEADER = 13
"""Bytes of a FLV's header and first back pointer, which an appended session does not repeat."""


def cut(data: bytes, percent: int) -> bytes:
    """Leave that much between an MP4's index and an AVI's; an odd length, to fall within a packet."""
    index_first = b"moov" in data and b"mdat" in data and data.index(b"moov") < data.index(b"mdat")
    body = data.index(b"mdat") if data[4:8] == b"ftyp" and index_first else 0
    end = data.rindex(b"idx1") if data[8:12] == b"AVI " else len(data)
    return data[: (body + (end - body) * percent // 100) | 1]


def _late_avi(data: bytes) -> bytes:
    """Write the late start into the header of the sound's stream, as ffmpeg's muxer does not."""
    header = data.index(b"auds")
    scale, rate = (int.from_bytes(data[header + at : header + at + 4], "little") for at in (20, 24))
    start = round(LATE_SECONDS * rate / scale)
    return data[: header + 28] + start.to_bytes(4, "little") + data[header + 32 :]
