"""What an operator is to know of an ffmpeg: its age, its codecs, its sandbox."""

import re
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from reelscribe.contracts.diagnosis import Finding
from reelscribe.media import distribution
from reelscribe.media.diagnosis import DECODERS, ENCODERS, diagnose
from reelscribe.media.ffmpeg import FFmpeg, locate
from reelscribe.media.processes.sandbox import Sandbox
from reelscribe.media.weaknesses import AS_OF, CENC, MAGICYUV, TABLE, parsed

UNIT = "reelscribe-extractor"


def found(ffmpeg: FFmpeg, subject: str, encodes: bool = False) -> list[Finding]:
    return [finding for finding in diagnose(ffmpeg, UNIT, encodes) if finding.subject == subject]


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """An ffmpeg of no package, that lists some encoders."""
    path = tmp_path / "ffmpeg"
    path.write_text("#!/bin/sh\nprintf ' A....D libmp3lame MP3\\n A....D pcm_s16le PCM\\n V....D libx264 H.264\\n'\n")
    path.chmod(0o755)
    return path


def ffmpeg(path: Path, version: str = "8.1.2") -> FFmpeg:
    return FFmpeg(path, version, DECODERS, Sandbox(("bwrap",)), DECODERS)


class TestWeaknesses:
    @pytest.mark.parametrize(
        ("version", "in_it"),
        [("8.1.1", [MAGICYUV]), ("8.0.3", [CENC]), ("7.1.4", [MAGICYUV, CENC]), ("8.1.2", []), ("9.0.2-17-g2a57", [])],
    )
    def test_each_that_a_release_has_is_a_fault_with_the_releases_that_fix_it(self, program, version, in_it):
        findings = found(ffmpeg(program, version), "ffmpeg")
        assert [finding.level for finding in findings] == (["fault"] * len(in_it) or ["ok"])
        for weakness, finding in zip(in_it, findings, strict=bool(in_it)):
            assert weakness.cve in finding.message and weakness.releases in finding.message and AS_OF in finding.message
            assert "install a newer ffmpeg" in finding.fix and f"systemctl restart {UNIT}" in finding.fix

    def test_one_of_the_distribution_is_updated_with_it_unless_its_changelog_names_the_fix(self, program, monkeypatch):
        monkeypatch.setattr("reelscribe.media.diagnosis.package_of", lambda path: "ffmpeg")
        monkeypatch.setattr("reelscribe.media.diagnosis.is_fixed", lambda package, cve: cve == MAGICYUV.cve)
        [finding] = found(ffmpeg(program, "5.1.9-0+deb12u1"), "ffmpeg")
        assert finding.level == "warning" and CENC.cve in finding.message
        assert finding.fix.startswith("apt-get update && apt-get install --only-upgrade ffmpeg && ")

    def test_a_build_from_git_has_no_number_to_compare(self, program):
        assert parsed("N-120000-gabcdef") is None
        [finding] = found(ffmpeg(program, "N-120000-gabcdef"), "ffmpeg")
        assert finding.level == "ok"

    def test_the_table_is_dated_and_its_releases_are_in_order(self):
        assert date.fromisoformat(AS_OF)
        assert all(re.fullmatch(r"CVE-\d{4}-\d{4,}", weakness.cve) for weakness in TABLE)
        assert all(list(weakness.fixed) == sorted(weakness.fixed) for weakness in TABLE)


class TestCodecs:
    def test_the_real_one_has_all_that_are_used(self):
        [finding] = found(locate(None), "codecs", encodes=True)
        assert finding.level == "ok", finding.message

    def test_what_is_missing_is_named_with_what_needs_it(self, program):
        poor = replace(ffmpeg(program), audio_codecs=tuple(codec for codec in DECODERS if codec != "opus"))
        [finding] = found(poor, "codecs", encodes=True)
        assert finding.level == "warning"
        assert finding.message == (
            "no decoder of opus; no flac, which flac needs; no libwebp_anim, which previews in webp needs"
        )
        assert set(ENCODERS) > {"libmp3lame", "libx264"}

    def test_one_that_is_gone_is_a_fault(self, tmp_path):
        [finding] = found(ffmpeg(tmp_path / "gone"), "codecs", encodes=True)
        assert finding.level == "fault" and finding.fix and str(tmp_path) not in finding.message


@pytest.mark.parametrize(
    ("sandbox", "level", "fix"),
    [
        (Sandbox(("bwrap",)), "ok", ""),
        (Sandbox(weakness="bubblewrap is not installed"), "warning", "apt-get install bubblewrap"),
        (Sandbox(weakness="bubblewrap does not work here: no", broken=True), "fault", "allow user namespaces"),
    ],
)
def test_a_sandbox_that_is_off_says_why_and_how_it_is_switched_on(program, sandbox, level, fix):
    [finding] = found(replace(ffmpeg(program), sandbox=sandbox), "sandbox")
    assert finding.level == level and finding.fix.startswith(fix)
    assert level == "ok" or (sandbox.weakness or "") in finding.message


def test_a_changelog_that_is_left_out_names_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(distribution, "DOCUMENTATION", tmp_path)
    assert not distribution.is_fixed("ffmpeg", MAGICYUV.cve)
