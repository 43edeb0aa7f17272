"""The kinds of recordings: which container carries which codecs, and what it can express."""

from dataclasses import dataclass
from enum import Enum, Flag, auto


class Can(Flag):
    """What a container can express."""

    NOTHING = 0
    TIMES = auto()
    """Its packets have timestamps, so that sound may begin late or have a hole."""
    TRACKS = auto()
    DEFAULT = auto()
    """A track may be marked as the default one."""
    TAGS = auto()
    APPEND = auto()
    """Another recording may follow in the same file: its header is read as the start of another session."""
    CHANGE = auto()
    """A frame may have another rate or number of channels than the one before."""


class Ending(Enum):
    """How a cut shows."""

    STATED = "the header states a length"
    BREAKS_OFF = "no length is stated for the sound, but the last packet breaks off"
    INDEX_LAST = "what is needed to read it comes last"
    OPEN = "cannot be known"


OPEN_ENDINGS = {
    "mp3-bare": "frames follow each other without a count, and players ignore what follows the last one",
    "ac3": "frames follow each other without a count",
    "eac3": "frames follow each other without a count",
    "mp2": "frames follow each other without a count",
    "dts": "frames follow each other without a count",
    "thd": "frames follow each other without a count",
    "mlp": "frames follow each other without a count",
    "latm": "frames follow each other without a count",
    "ircam": "the header has no length: the file's size is its length",
    "dv": "frames of one size, without a header",
}
"""Containers that state no length, with the reason why a cut cannot be known."""


BYTES_ONLY = ("wav-adpcm_yamaha", "wav-g722", "aiff-adpcm_ima_qt")
"""Kinds whose header states how many bytes there are, but not reliably for how many seconds."""

NOT_MADE = {
    "amr": "Debian's ffmpeg has no encoder",
    "bare gsm and g722": "no header: only the file's name says what they are",
    "avi with dts, wav with aac, rm with real_144": "ffmpeg cannot read what its own muxer writes",
    "mxf_d10, mxf_opatom": "their picture has to be of a profile that takes megabytes per second",
    "swf, rso, smjpeg, apm, argo, adx and other formats of games": "hold no recordings of people",
}
"""What ffmpeg can write and the matrix does not have, with the reason."""


@dataclass(frozen=True)
class Container:
    """A container as one muxer writes it; see :class:`Kind` for the fields they share."""

    name: str
    suffix: str
    codecs: str
    ending: Ending
    can: Can = Can.NOTHING
    picture: str | None = None
    options: str = ""


@dataclass(frozen=True)
class Kind:
    """One codec in one container.

    Attributes:
        container: its name, such as ``mp4-fragmented``.
        codec: a key of ``CODECS``.
        suffix: of the file's name; ffmpeg chooses the muxer by it, if ``options`` have none.
        picture: codec of the picture; None if there is only sound.
        options: of the muxer.
        rank: of the codec in its container; the first ones represent all in what the codec does not change.
    """

    container: str
    codec: str
    suffix: str
    ending: Ending
    can: Can
    picture: str | None
    options: str
    rank: int

    def __str__(self) -> str:
        return f"{self.container}-{self.codec}"


def _pcm(*formats: str) -> dict[str, str]:
    return {f"pcm_{name}": f"-c:a pcm_{name}" for name in formats}


CODECS = {
    "aac": "-c:a aac -b:a 64k",
    "ac3": "-c:a ac3 -b:a 96k",
    "adpcm_ima_qt": "-c:a adpcm_ima_qt",
    "adpcm_ima_wav": "-c:a adpcm_ima_wav",
    "adpcm_ms": "-c:a adpcm_ms",
    "adpcm_swf": "-c:a adpcm_swf -ar 22050",
    "adpcm_yamaha": "-c:a adpcm_yamaha",
    "alac": "-c:a alac",
    "dts": "-c:a dca -strict -2 -ac 2 -b:a 384k",
    "eac3": "-c:a eac3 -b:a 96k",
    "flac": "-c:a flac",
    "g722": "-c:a g722 -ar 16000",
    "g723_1": "-c:a g723_1 -ar 8000 -b:a 6300",
    "g726": "-c:a g726 -ar 8000 -b:a 32k",
    "gsm": "-c:a libgsm -ar 8000",
    "gsm_ms": "-c:a libgsm_ms -ar 8000",
    "mlp": "-c:a mlp -strict -2 -ac 2",
    "mp2": "-c:a mp2 -b:a 96k",
    "mp3": "-c:a libmp3lame -b:a 64k",
    "nellymoser": "-c:a nellymoser -ar 22050",
    "opus": "-c:a libopus -b:a 32k",
    **_pcm("s16le", "s16be", "s24le", "s24be", "s32le", "s8", "u8", "f32le", "f32be", "f64le", "mulaw", "alaw"),
    "mulaw_8k": "-c:a pcm_mulaw -ar 8000",
    "pcm_stereo": "-c:a pcm_s16le -ac 2",
    "pcm_44k": "-c:a pcm_s16le -ar 44100",
    "pcm_6_channels": "-c:a pcm_s16le -ac 6",
    "pcm_bluray": "-c:a pcm_bluray -ac 2",
    "pcm_dvd": "-c:a pcm_dvd -ac 2",
    "s302m": "-c:a s302m -strict -2 -ac 2",
    "speex": "-c:a libspeex -ar 16000",
    "truehd": "-c:a truehd -strict -2 -ac 2",
    "tta": "-c:a tta",
    "u8_8k": "-c:a pcm_u8 -ar 8000",
    "vorbis": "-c:a libvorbis -q:a 1",
    "wavpack": "-c:a wavpack",
    "wmav1": "-c:a wmav1 -b:a 64k",
    "wmav2": "-c:a wmav2 -b:a 64k",
}
"""ffmpeg's options for each codec."""

_FILE = Can.TIMES | Can.TRACKS | Can.DEFAULT | Can.TAGS
_FRAGMENTS = "-movflags frag_keyframe+empty_moov+default_base_moof"
_BARE = Can.APPEND | Can.CHANGE

CONTAINERS = (
    # ---- ISO base media
    Container("mp4", "mp4", "aac mp3 ac3 eac3 alac opus flac mp2 dts vorbis truehd", Ending.STATED, _FILE | Can.CHANGE,
              "mpeg4", "-strict -2 -movflags +faststart"),
    Container("mp4-index-last", "mp4", "aac", Ending.INDEX_LAST, _FILE, "mpeg4"),
    Container("mp4-fragmented", "mp4", "aac opus flac", Ending.BREAKS_OFF, _FILE, "mpeg4", f"-strict -2 {_FRAGMENTS}"),
    Container("m4a", "m4a", "aac alac", Ending.STATED, Can.TAGS | Can.TRACKS | Can.DEFAULT, None,
              "-movflags +faststart"),
    Container("mov", "mov", "pcm_s16le aac pcm_s16be pcm_s24le pcm_f32le pcm_u8 pcm_mulaw pcm_alaw adpcm_ima_qt"
              " adpcm_ms mp3 ac3 alac gsm", Ending.STATED, _FILE, "mpeg4", "-movflags +faststart"),
    Container("3gp", "3gp", "aac", Ending.STATED, Can.TIMES, "mpeg4", "-movflags +faststart"),
    Container("3g2", "3g2", "aac", Ending.STATED, Can.TIMES, "mpeg4", "-movflags +faststart"),
    Container("f4v", "f4v", "aac mp3", Ending.STATED, Can.TIMES, "libx264", "-movflags +faststart"),
    Container("ismv", "ismv", "aac", Ending.BREAKS_OFF, Can.NOTHING, "libx264"),
    # ---- Matroska
    Container("mkv", "mkv", "opus aac vorbis mp3 ac3 eac3 dts flac alac pcm_s16le pcm_s24le pcm_f32le pcm_mulaw wavpack"
              " tta mp2 truehd mlp adpcm_ms wmav2 gsm_ms", Ending.STATED, _FILE | Can.APPEND | Can.CHANGE, "mpeg4"),
    Container("mkv-live", "mkv", "opus aac", Ending.BREAKS_OFF, _FILE | Can.APPEND, "mpeg4", "-live 1"),
    Container("mka", "mka", "opus flac aac", Ending.STATED, Can.TRACKS | Can.DEFAULT | Can.TAGS | Can.APPEND),
    Container("webm", "webm", "opus vorbis", Ending.STATED, _FILE | Can.APPEND, "libvpx"),
    Container("webm-live", "webm", "opus", Ending.BREAKS_OFF, _FILE | Can.APPEND, "libvpx", "-live 1"),
    # ---- Ogg
    Container("ogg", "ogg", "vorbis opus flac speex", Ending.BREAKS_OFF, Can.TAGS | _BARE),
    Container("oga", "oga", "flac", Ending.BREAKS_OFF, Can.TAGS | _BARE),
    Container("opus", "opus", "opus", Ending.BREAKS_OFF, Can.TAGS | _BARE),
    Container("spx", "spx", "speex", Ending.BREAKS_OFF, Can.TAGS | _BARE),
    Container("ogv", "ogv", "vorbis opus", Ending.BREAKS_OFF, Can.TAGS | Can.TIMES | Can.APPEND, "libtheora"),
    # ---- RIFF and the like
    Container("avi", "avi", "mp3 pcm_s16le pcm_u8 pcm_mulaw ac3 aac mp2 adpcm_ms adpcm_ima_wav wmav2 gsm_ms",
              Ending.STATED, Can.TRACKS | Can.TAGS, "mpeg4"),
    Container("wav", "wav", "pcm_s16le pcm_u8 pcm_s24le pcm_s32le pcm_f32le pcm_f64le pcm_mulaw pcm_alaw pcm_6_channels"
              " adpcm_ms adpcm_ima_wav adpcm_yamaha g726 g722 g723_1 gsm_ms mp3 mp2 ac3 wmav2", Ending.STATED,
              Can.TAGS),
    Container("rf64", "wav", "pcm_s16le", Ending.STATED, Can.TAGS, None, "-rf64 always"),
    Container("w64", "w64", "pcm_s16le pcm_s24le pcm_f32le pcm_mulaw adpcm_ms", Ending.STATED),
    Container("aiff", "aiff", "pcm_s16be pcm_s24be pcm_s8 pcm_f32be pcm_mulaw adpcm_ima_qt", Ending.STATED, Can.TAGS,
              None, "-write_id3v2 1"),
    Container("caf", "caf", "pcm_s16be pcm_s16le pcm_f32le pcm_mulaw alac opus flac adpcm_ima_qt gsm", Ending.STATED,
              Can.TAGS),
    Container("au", "au", "pcm_s16be pcm_mulaw pcm_f32be", Ending.STATED, Can.TAGS),
    Container("voc", "voc", "pcm_s16le u8_8k", Ending.BREAKS_OFF),
    Container("sox", "sox", "pcm_s32le", Ending.STATED, Can.TAGS),
    Container("ircam", "sf", "pcm_s16le", Ending.OPEN, options="-f ircam"),
    # ---- television, discs and cameras
    Container("ts", "ts", "aac mp2 mp3 ac3 eac3 opus dts s302m", Ending.BREAKS_OFF,
              Can.TIMES | Can.TRACKS | Can.TAGS | _BARE, "mpeg2video"),
    Container("ts-latm", "ts", "aac", Ending.BREAKS_OFF, Can.TIMES | _BARE, "mpeg2video", "-mpegts_flags latm"),
    Container("ts-sound", "ts", "aac mp2", Ending.BREAKS_OFF, Can.TIMES | Can.TRACKS | _BARE),
    Container("m2ts", "m2ts", "ac3 pcm_bluray dts truehd", Ending.BREAKS_OFF, Can.TIMES | Can.APPEND, "mpeg2video"),
    Container("mts", "mts", "ac3", Ending.BREAKS_OFF, Can.TIMES | Can.APPEND, "mpeg2video", "-mpegts_m2ts_mode 1"),
    Container("mpg", "mpg", "mp2 mp3 ac3", Ending.BREAKS_OFF, Can.TIMES | Can.TRACKS | _BARE, "mpeg2video"),
    Container("vob", "vob", "ac3 mp2 pcm_dvd dts", Ending.BREAKS_OFF, Can.TIMES | Can.TRACKS | Can.APPEND,
              "mpeg2video"),
    Container("mxf", "mxf", "pcm_s16le pcm_s24le", Ending.STATED, Can.TRACKS | Can.TAGS, "mpeg2video-25"),
    Container("gxf", "gxf", "pcm_s16le", Ending.BREAKS_OFF, Can.NOTHING, "mpeg2video-pal"),
    Container("wtv", "wtv", "mp2 ac3", Ending.INDEX_LAST, Can.TIMES, "mpeg2video"),
    Container("dv", "dv", "pcm_stereo", Ending.OPEN, Can.NOTHING, "dvvideo"),
    # ---- the web before MP4
    Container("flv", "flv", "aac mp3 pcm_44k speex nellymoser adpcm_swf mulaw_8k", Ending.BREAKS_OFF,
              Can.TIMES | Can.TAGS | Can.APPEND, "flv"),
    Container("wmv", "wmv", "wmav2 wmav1 mp3 pcm_s16le", Ending.STATED, Can.TIMES | Can.TRACKS | Can.TAGS, "wmv2"),
    Container("wma", "wma", "wmav2 wmav1", Ending.STATED, Can.TAGS),
    Container("rm", "rm", "ac3", Ending.STATED, Can.TAGS, "rv10"),
    Container("nut", "nut", "opus aac vorbis mp3 flac pcm_s16le", Ending.BREAKS_OFF,
              Can.TIMES | Can.TRACKS | Can.DEFAULT | Can.TAGS, "mpeg4"),
    # ---- bare codecs
    Container("mp3", "mp3", "mp3", Ending.STATED, Can.TAGS | _BARE),
    Container("mp3-bare", "mp3", "mp3", Ending.OPEN, _BARE, None, "-write_xing 0 -id3v2_version 0"),
    Container("aac", "aac", "aac", Ending.BREAKS_OFF, _BARE),
    Container("latm", "latm", "aac", Ending.OPEN, _BARE),
    Container("flac", "flac", "flac", Ending.STATED, Can.TAGS | _BARE),
    Container("wv", "wv", "wavpack", Ending.STATED, Can.TAGS | _BARE),
    Container("tta", "tta", "tta", Ending.STATED, Can.TAGS),
    Container("ac3", "ac3", "ac3", Ending.OPEN, _BARE),
    Container("eac3", "eac3", "eac3", Ending.OPEN, _BARE),
    Container("mp2", "mp2", "mp2", Ending.OPEN, _BARE),
    Container("dts", "dts", "dts", Ending.OPEN, _BARE),
    Container("thd", "thd", "truehd", Ending.OPEN, Can.APPEND),
    Container("mlp", "mlp", "mlp", Ending.OPEN, Can.APPEND),
)  # fmt: skip

KINDS = tuple(
    Kind(one.name, codec, one.suffix, one.ending, one.can, one.picture, one.options, rank)
    for one in CONTAINERS
    for rank, codec in enumerate(one.codecs.split())
)
