"""The benches run, on as little input as possible; what they measure then means nothing."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.chromium import CHROMIUM
from tests.guard import FOLDER

ROOT = Path(__file__).parent.parent.parent

pytestmark = pytest.mark.timeout(900)


def run(bench: str, *arguments: str) -> str:
    completed = subprocess.run(
        [sys.executable, "-m", bench, *arguments],
        cwd=ROOT, env={**os.environ, "TMPDIR": os.environ[FOLDER]}, capture_output=True, text=True, timeout=800,
    )  # fmt: skip
    assert completed.returncode == 0, completed.stdout + completed.stderr
    return completed.stdout


def test_accuracy_is_compared_recording_by_recording() -> None:
    table = run("bench.accuracy", "--only", "short.flac")
    assert "short.flac" in table and "all with speech" in table and "worse:" not in table


@pytest.mark.parametrize(
    ("row", "column"),
    [
        ("long", "first segment after"),
        ("no pause", "a second pass nearly throughout"),
        ("mini, audio", "concurrent clips"),
    ],
)
def test_speed_is_compared_row_by_row(row: str, column: str) -> None:
    assert column in run("bench.transcriber", "--only", row, "--runs=1", "--seconds=20", "--clips=2")


def test_the_orchestrator_is_compared_with_bare_procrastinate() -> None:
    tables = run("bench.orchestrator", "--quick")
    for row in (
        "until the transcriber is called",
        "an instant transcriber",
        "all new",
        "failed jobs",
        "baseline: bare COPY",
        "one job behind all of them, paused",
    ):
        assert row in tables


def test_workers_on_one_database_are_measured() -> None:
    table = run("bench.workers.scale", "--quick")
    assert "connections" in table and "a window by itself" in table


@pytest.mark.skipif(not CHROMIUM.exists(), reason="chromium is not installed")
def test_the_page_of_a_long_recording_is_measured() -> None:
    table = run("bench.browser.recording", "--quick")
    for row in ("scrolled to the end", "a frame while it plays", "baseline: a still frame"):
        assert row in table


@pytest.mark.skipif(not CHROMIUM.exists(), reason="chromium is not installed")
def test_home_is_measured_with_few_jobs_and_with_many() -> None:
    table = run("bench.browser.page", "--quick")
    for row in ("baseline: first content", "first content, 10 jobs", "first content, 2,000 jobs", "text in none"):
        assert row in table


@pytest.mark.skipif(not CHROMIUM.exists(), reason="chromium is not installed")
def test_playing_is_compared_with_one_hop_less() -> None:
    table = run("bench.browser.media", "--quick")
    assert "files left open by the extractor: 0" in " ".join(table.split())


def test_a_gpu_is_compared_with_both_ways_of_faster_whisper() -> None:
    table = run("bench.gpu", "--quick", "--runs=1", "--seconds=20", "--clips=2", "--batch-size=2")
    for column in ("of Batched, timestamps", "batches filled", "of loop"):
        assert column in table


def test_media_are_judged_kind_by_kind() -> None:
    table = run("bench.media", "--only", "wav-pcm_s16le_intact")
    assert "wav-pcm_s16le" in table and "intact" in table and "wrong: 0" in table


@pytest.mark.parametrize(
    "bench",
    [
        "extractor",
        "orchestrator",
        "startup",
        "slots",
        "transcriber",
        "accuracy",
        "real",
        "gpu",
        "media",
        "browser.page",
        "browser.recording",
        "workers.scale",
    ],
)
def test_make_runs_each_bench(bench: str) -> None:
    planned = subprocess.run(
        ["make", "-n", f"bench-{bench.rpartition('.')[2]}"], cwd=ROOT, capture_output=True, text=True
    )
    assert f"-m bench.{bench}" in planned.stdout


def test_the_round_trip_of_a_tokenizer_is_measured(tmp_path: Path) -> None:
    shutil.copy(ROOT / "tests" / "speech" / "short.flac", tmp_path)
    said = json.loads((ROOT / "tests" / "speech" / "short.json").read_text())["text"]
    recording = {"file": "short.flac", "seconds": 7.5, "language": "en", "group": "single", "reference": said}
    (tmp_path / "manifest.json").write_text(json.dumps([recording]))
    mini = ROOT / "transcriber" / "model" / "mini"
    table = run("bench.tokens", "mulaw", "--speech", str(tmp_path), "--weights", str(mini))
    row = next(line for line in table.splitlines() if "mulaw" in line)
    assert [cell.strip() for cell in row.split("│")[2:5]] == ["16000", "256", "37.8 dB"]
