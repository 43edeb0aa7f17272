"""What ``orchestrator doctor`` is to know of a host's ffmpeg: its age, its codecs, its sandbox."""

import re
import subprocess

from reelscribe.contracts.diagnosis import Finding
from reelscribe.media.distribution import is_fixed, package_of
from reelscribe.media.ffmpeg import FFmpeg
from reelscribe.media.weaknesses import AS_OF, SOURCE, TABLE, parsed

DECODERS = ("aac", "mp3", "opus", "vorbis", "flac", "alac", "ac3", "eac3", "pcm_s16le", "wmav2", "amr_nb")
"""Codecs that recordings usually have."""
ENCODERS = {
    "libmp3lame": "mp3",
    "flac": "flac",
    "pcm_s16le": "wav",
    "libx264": "clips, and previews in mp4",
    "libwebp_anim": "previews in webp",
}
"""What each is needed for."""

OTHER_FFMPEG = "install the ffmpeg of the distribution, or name a complete one in [extraction] ffmpeg"

_ENCODER = re.compile(r"^ [VAS][.A-Z]{5} (\w+)", re.MULTILINE)
_SECONDS = 30


def diagnose(ffmpeg: FFmpeg, unit: str, encodes: bool) -> list[Finding]:
    """Look at this ffmpeg again; it may take a second.

    Args:
        unit: of systemd, that is to be restarted after an update.
        encodes: whether this service encodes, too.
    """
    return [*_weaknesses(ffmpeg, unit), _codecs(ffmpeg, encodes), _sandbox(ffmpeg, unit)]


def _weaknesses(ffmpeg: FFmpeg, unit: str) -> list[Finding]:
    version = parsed(ffmpeg.version)
    old = [weakness for weakness in TABLE if version and weakness.is_in(version)]
    package = package_of(ffmpeg.path) if old else None
    found = []
    for weakness in old:
        if package and is_fixed(package, weakness.cve):
            continue
        what = f"{weakness.cve}: {weakness.description}; fixed in {weakness.releases}; list of {AS_OF}, from {SOURCE}"
        restart = f"systemctl restart {unit}"
        if package:
            message = f"{ffmpeg.version}: the changelog of the package {package} does not name {what}"
            fix = f"apt-get update && apt-get install --only-upgrade {package} && {restart}"
            found.append(Finding.warning("ffmpeg", message, f"{fix}; if there is no fix yet, keep the sandbox on"))
        else:
            message = f"{ffmpeg.version} is older than the fix of {what}"
            fix = f"install a newer ffmpeg (that of the wheel: pip install --upgrade imageio-ffmpeg), then {restart}"
            found.append(Finding.fault("ffmpeg", message, fix))
    known = f"{ffmpeg.version}; no known weakness of the list of {AS_OF}" if version else ffmpeg.version
    return found or [Finding.ok("ffmpeg", known)]


def _codecs(ffmpeg: FFmpeg, encodes: bool) -> Finding:
    missing = [f"no decoder of {codec}" for codec in DECODERS if codec not in ffmpeg.audio_codecs]
    if encodes:
        try:
            present = _encoders(ffmpeg)
        except (OSError, subprocess.SubprocessError) as broken:
            return Finding.fault("codecs", f"ffmpeg does not run any more ({type(broken).__name__})", OTHER_FFMPEG)
        missing += [f"no {name}, which {use} needs" for name, use in ENCODERS.items() if name not in present]
    if missing:
        return Finding.warning("codecs", "; ".join(missing), OTHER_FFMPEG)
    return Finding.ok("codecs", f"{len(ffmpeg.audio_codecs)} codecs of sound, the usual ones among them")


def _encoders(ffmpeg: FFmpeg) -> set[str]:
    listed = subprocess.run(
        [ffmpeg.path, "-hide_banner", "-encoders"],
        check=True,
        capture_output=True,
        text=True,
        timeout=_SECONDS,
        stdin=subprocess.DEVNULL,
    )
    return set(_ENCODER.findall(listed.stdout))


def _sandbox(ffmpeg: FFmpeg, unit: str) -> Finding:
    sandbox = ffmpeg.sandbox
    if sandbox.state == "bubblewrap":
        return Finding.ok("sandbox", "bubblewrap: no network, no files but the system's programs and libraries")
    message = f"off: {sandbox.weakness}; ffmpeg sees all files that the service sees"
    if sandbox.state == "broken":
        fix = f"allow user namespaces (sysctl kernel.unprivileged_userns_clone=1, and no ProcSubset= in {unit}); then"
        return Finding.fault("sandbox", message, f"{fix} systemctl restart {unit}")
    return Finding.warning("sandbox", message, f"apt-get install bubblewrap && systemctl restart {unit}")
