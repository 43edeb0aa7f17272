"""Which ffmpeg is used, and what it is kept from."""

import gzip
import re
import shutil
import subprocess
import sys
import wave
from dataclasses import replace
from pathlib import Path

import pytest

from reelscribe.errors import SettingsError
from reelscribe.media import distribution
from reelscribe.media.ffmpeg import CONTAINERS, FFmpeg, locate
from reelscribe.media.processes.sandbox import Sandbox


@pytest.fixture(scope="session")
def real() -> FFmpeg:
    return locate(None)


@pytest.fixture
def tone(tmp_path: Path) -> Path:
    """One second of 16 kHz mono."""
    path = tmp_path / "tone.wav"
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16000)
        file.writeframes(bytes(range(256)) * 125)
    return path


@pytest.fixture
def script(tmp_path: Path):
    """An executable in the place of ffmpeg."""

    def write(text: str) -> Path:
        path = tmp_path / "ffmpeg"
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o755)
        return path

    return write


def problem(path: Path | None) -> str:
    with pytest.raises(SettingsError) as wrong:
        locate(path)
    return str(wrong.value)


def decoded(real: FFmpeg, url: str) -> subprocess.CompletedProcess[bytes]:
    command = [str(real.path), "-nostdin", "-v", "error", *real.input_arguments(url, "file"), "-vn", "-f", "s16le", "-"]
    return subprocess.run(command, capture_output=True, timeout=20)


class TestLocate:
    def test_the_configured_one_comes_first(self, real, tmp_path):
        link = tmp_path / "my-ffmpeg"
        link.symlink_to(real.path)
        assert locate(link).path == link

    def test_then_the_one_on_path(self, script, monkeypatch, tmp_path):
        script("echo 'ffmpeg version 8.1.2 Copyright'; echo ' A....D aac  AAC'")
        monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
        found = locate(None)
        assert (found.path, found.version, found.audio_decoders) == (tmp_path / "ffmpeg", "8.1.2", ("aac",))

    def test_then_the_one_of_the_wheel(self, monkeypatch):
        monkeypatch.setenv("PATH", "")
        found = locate(None)
        assert "imageio_ffmpeg" in str(found.path) and "aac" in found.audio_decoders

    @pytest.mark.parametrize(
        ("text", "complaint"),
        [
            ("exit 3", "does not run"),
            ("echo hello", "is not an ffmpeg that decodes audio"),
            ("echo ffmpeg version 8.0", "is not an ffmpeg that decodes audio"),
            (r"printf '\377\376'", "does not run"),
        ],
    )
    def test_what_is_not_an_ffmpeg_is_one_sentence(self, script, text, complaint):
        path = script(text)
        assert problem(path).startswith(f"[extraction] ffmpeg: {path} {complaint}")

    def test_a_missing_one_is_one_sentence(self, tmp_path):
        assert problem(tmp_path / "none").startswith(f"[extraction] ffmpeg: {tmp_path}/none does not run")


class TestAge:
    @pytest.mark.parametrize("version", ["5.1.9-0+deb12u1", "n7.1.4", "7.1", "8.0.2", "8.1.1", "4.4", "7.0.2-static"])
    def test_one_before_the_fix_says_so(self, version):
        unfixed = FFmpeg(Path("ffmpeg"), version, ()).unfixed
        assert unfixed and unfixed.startswith(f"ffmpeg {version} is older than the fix of CVE-2026-8461")

    def test_what_anyone_may_read_names_neither_the_version_nor_the_weakness(self):
        old = FFmpeg(Path("ffmpeg"), "8.0.2", (), Sandbox(weakness=None))
        assert old.warnings == [old.unfixed]
        assert old.public_warnings == ["ffmpeg is too old; orchestrator doctor says more"]

    @pytest.mark.parametrize("version", ["7.1.5", "8.0.3", "8.1.2", "8.2", "9.0.2-17-g2a571b6068", "N-120000-gabcdef"])
    def test_one_with_the_fix_and_one_built_from_git_do_not(self, version):
        assert FFmpeg(Path("ffmpeg"), version, ()).unfixed is None

    def test_one_of_the_distribution_is_no_warning(self):
        from_debian = FFmpeg(Path("ffmpeg"), "5.1.9-0+deb12u1", (), Sandbox(weakness=None), package="ffmpeg")
        assert from_debian.warnings == from_debian.public_warnings == []
        assert "the package ffmpeg does not name CVE-2026-8461" in from_debian.description
        assert "CVE" not in replace(from_debian, fixed=True).description

    def test_what_a_changelog_names_is_fixed(self, tmp_path, monkeypatch):
        monkeypatch.setattr(distribution, "DOCUMENTATION", tmp_path)
        (tmp_path / "ffmpeg").mkdir()
        with gzip.open(tmp_path / "ffmpeg" / "changelog.Debian.gz", "wt") as changelog:
            changelog.write("ffmpeg (7:5.1.9-0+deb12u2) bookworm-security\n\n  * Fix CVE-2026-8461\n")
        assert distribution.is_fixed("ffmpeg", "CVE-2026-8461")
        assert not distribution.is_fixed("ffmpeg", "CVE-2026-8462")
        assert not distribution.is_fixed("another", "CVE-2026-8461")

    @pytest.mark.skipif(not shutil.which("dpkg-query"), reason="no Debian")
    def test_the_package_of_a_program_is_found(self, tmp_path):
        assert distribution.package_of(Path("/usr/bin/dpkg-query")) == "dpkg"
        assert distribution.package_of(tmp_path / "ffmpeg") is None


class TestWhitelists:
    def test_the_decoders_are_those_for_audio(self, real):
        assert {"aac", "mp3float", "flac", "opus", "pcm_s16le", "vorbis"} <= set(real.audio_decoders)
        assert not {"h264", "hevc", "png", "subrip", "="} & set(real.audio_decoders)

    def test_no_container_reads_other_files(self):
        playlists = {
            "hls",
            "concat",
            "dash",
            "image2",
            "imf",
            "rtsp",
            "sdp",
            "tedcaptions",
            "lavfi",
            "webm_dash_manifest",
        }
        assert not playlists & set(CONTAINERS.split(","))

    def test_every_container_is_one_that_ffmpeg_knows(self, real):
        listing = subprocess.run([real.path, "-v", "error", "-demuxers"], capture_output=True, text=True).stdout
        known = {name for names in re.findall(r"^ D[d ]*\s(\S+)", listing, re.M) for name in names.split(",")}
        assert set(CONTAINERS.split(",")) <= known

    def test_a_recording_is_decoded(self, real, tone):
        assert len(decoded(real, f"file:{tone}").stdout) == 32000

    def test_a_playlist_named_mp4_is_not_followed(self, real, tone, tmp_path):
        (tmp_path / "list.mp4").write_text(f"ffconcat version 1.0\nfile {tone.name}\n")
        answer = decoded(real, f"file:{tmp_path}/list.mp4")
        assert answer.stdout == b"" and answer.returncode != 0

    def test_other_protocols_are_refused(self, real, tone):
        answer = decoded(real, f"subfile,,start,0,end,0,,:{tone}")
        assert answer.stdout == b"" and b"whitelist" in answer.stderr


def test_without_the_wheel_the_sentence_says_what_to_install(monkeypatch):
    monkeypatch.setenv("PATH", "")
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)
    assert problem(None) == "[extraction] ffmpeg: none on PATH; install ffmpeg, or: pip install imageio-ffmpeg"
