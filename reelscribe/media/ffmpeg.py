"""The ffmpeg on this host: which one, how old, and the arguments that keep it from doing more than decode audio."""

import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from reelscribe.errors import SettingsError
from reelscribe.media.distribution import is_fixed, package_of
from reelscribe.media.processes.sandbox import Sandbox, find_sandbox, killed_by
from reelscribe.media.weaknesses import MAGICYUV, parsed

CONTAINERS = (
    "aac,ac3,act,aea,aiff,amr,ape,asf,au,avi,avr,caf,codec2,dhav,dsf,dss,dts,dtshd,dv,eac3,epaf,flac,flv,gsm,gxf,hcom,"
    "iff,ilbc,ircam,ivr,kux,loas,lvf,lxf,matroska,webm,mlp,mov,mp4,m4a,3gp,3g2,mj2,mp3,mpc,mpc8,mpeg,mpegts,mpegvideo,"
    "mxf,mxg,nistsphere,nsp,nsv,nut,nuv,ogg,oma,pva,pvf,qcp,rm,sds,sdx,shn,sox,spdif,swf,tak,truehd,tta,ty,vivo,voc,"
    "vqf,w64,wav,wsd,wtv,wv,wve,xwma"
)
"""Demuxers that read one file and nothing else: no playlist (hls, dash, concat, …), no set of files (mlv), image, text
or network. Recordings are kept in them; those for the sounds and films of one game or console are left out."""

_DECODER = re.compile(r"^ A[.A-Z]{5} (\w\S*)(?:.*\(codec (\w+)\)$)?", re.MULTILINE)
"""A decoder's name, and its codec's if that differs."""

_VERSION = re.compile(r"^ffmpeg version n?(\d+\.\d+\S*)")


@dataclass(frozen=True)
class FFmpeg:
    """One ffmpeg binary.

    Attributes:
        path: of the binary.
        version: as it reports it.
        audio_decoders: names of all decoders for audio, and only those.
        sandbox: to run it in.
        audio_codecs: names of all codecs that it can decode to audio; ``dca`` is the decoder of the codec ``dts``.
        package: of the distribution, if it is from one.
        fixed: the changelog of that package says that :data:`MAGICYUV` is fixed in it.
    """

    path: Path
    version: str
    audio_decoders: tuple[str, ...]
    sandbox: Sandbox = field(default_factory=Sandbox)
    audio_codecs: tuple[str, ...] = ()
    package: str | None = None
    fixed: bool = False

    def input_arguments(self, url: str, protocols: str) -> list[str]:
        """Arguments that open ``url`` with nothing but the given protocols, real containers and audio decoders."""
        options = self.input_options(protocols).items()
        return [*(argument for name, value in options for argument in (f"-{name}", value)), "-i", url]

    def input_options(self, protocols: str, *, decoders: Sequence[str] = ()) -> dict[str, str]:
        """libav's options for that; ``decoders`` are those that may be opened in addition."""
        return {
            "protocol_whitelist": protocols,
            "format_whitelist": CONTAINERS,
            "codec_whitelist": ",".join((*self.audio_decoders, *decoders)),
        }

    @property
    def warnings(self) -> list[str]:
        """What an operator should fix. A package of the distribution is updated with the system, if there is a fix."""
        return self._warnings(None if self.package else self.unfixed)

    @property
    def public_warnings(self) -> list[str]:
        """The same for anyone: without the weakness, which an attacker could look for."""
        is_old = self.unfixed and not self.package
        return self._warnings("ffmpeg is too old; orchestrator doctor says more" if is_old else None)

    def _warnings(self, age: str | None) -> list[str]:
        weakness = self.sandbox.weakness
        sandbox = f"ffmpeg runs without the full sandbox: {weakness}" if weakness else None
        return [warning for warning in (age, sandbox) if warning]

    @property
    def description(self) -> str:
        """What it is, for ``check``."""
        return f"{self.version} at {self.path}" + (f"; {self.unfixed}" if self.unfixed else "")

    @property
    def unfixed(self) -> str | None:
        """A sentence if this version is older than the fixes of :data:`MAGICYUV`, else None."""
        version = parsed(self.version)
        if self.fixed or not version or not MAGICYUV.is_in(version):
            return None
        if self.package:
            return f"the changelog of the package {self.package} does not name {MAGICYUV.cve}; keep the system updated"
        return f"ffmpeg {self.version} is older than the fix of {MAGICYUV.cve} ({MAGICYUV.releases}); update it"


def find(configured: Path | None) -> Path:
    """The configured ffmpeg, else the one on PATH, else the one inside the imageio-ffmpeg package.

    Raises:
        SettingsError: there is none.
    """
    return configured or (Path(found) if (found := shutil.which("ffmpeg")) else _bundled())


def locate(configured: Path | None) -> FFmpeg:
    """The ffmpeg that :func:`find` finds, and what it can do.

    Raises:
        SettingsError: there is none, or it does not run.
    """
    path = find(configured)
    try:
        banner, listing = (_output(path, argument) for argument in ("-version", "-decoders"))
    except (OSError, subprocess.SubprocessError, UnicodeDecodeError) as broken:
        killer = killed_by(broken.returncode) if isinstance(broken, subprocess.CalledProcessError) else None
        reason = f"it was killed by {killer}" if killer else str(broken)
        raise SettingsError([f"[extraction] ffmpeg: {path} does not run: {reason}"]) from None
    codecs = {decoder: codec or decoder for decoder, codec in _DECODER.findall(listing)}
    if not banner.startswith("ffmpeg version") or not codecs:
        raise SettingsError([f"[extraction] ffmpeg: {path} is not an ffmpeg that decodes audio"])
    version = _VERSION.match(banner)
    binary = FFmpeg(
        path, version[1] if version else "unknown", tuple(codecs), find_sandbox(path), tuple(sorted({*codecs.values()}))
    )
    package = package_of(path) if binary.unfixed else None
    return replace(binary, package=package, fixed=is_fixed(package, MAGICYUV.cve)) if package else binary


def _bundled() -> Path:
    try:
        import imageio_ffmpeg

        return Path(imageio_ffmpeg.get_ffmpeg_exe())
    except (ImportError, RuntimeError):  # the latter if the package has no binary for this platform
        raise SettingsError(
            ["[extraction] ffmpeg: none on PATH; install ffmpeg, or: pip install imageio-ffmpeg"]
        ) from None


def _output(path: Path, argument: str) -> str:
    completed = subprocess.run(
        [path, "-hide_banner", argument],
        check=True,
        capture_output=True,
        text=True,
        timeout=30,
        stdin=subprocess.DEVNULL,
    )
    return completed.stdout
