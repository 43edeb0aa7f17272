"""The three tiers of the tests, by folder and file: each test is in the tier of the longest entry that it is under.

Unit tests start no process, listen on no socket and connect to none; :func:`forbid` makes any that does fail. System
tests run whole installations, browsers, installers and benches, recognise speech with Whisper's own weights, read
recordings of all kinds, and break recordings, databases, workers and models in many ways. All others are integration
tests: of one service, of PostgreSQL, of FFmpeg.
"""

import threading
from pathlib import Path
from typing import Any

TESTS = Path(__file__).parent
TIERS = ("unit", "integration", "system")

UNIT = (
    "bench/test_scores.py",
    "media_matrix/test_matrix.py",
    "orchestrator/cli/test_config.py",
    "orchestrator/dataset/test_lists.py",
    "orchestrator/dataset/test_planner.py",
    "orchestrator/dataset/test_utterances.py",
    "orchestrator/edits/test_layer.py",
    "orchestrator/exports/test_files.py",
    "orchestrator/ingest/test_failures.py",
    "orchestrator/ingest/test_names.py",
    "orchestrator/intake/test_unfinished.py",
    "orchestrator/transcripts/test_formats.py",
    "reelscribe/contracts",
    "reelscribe/http/access/test_failed_sign_ins.py",
    "reelscribe/http/access/test_tokens.py",
    "reelscribe/http/peers/test_watch.py",
    "reelscribe/http/server/test_outage_lines.py",
    "reelscribe/media/sound/test_alignment.py",
    "reelscribe/media/test_choice.py",
    "reelscribe/media/test_completeness.py",
    "reelscribe/settings/test_loading.py",
    "reelscribe/settings/test_retention.py",
    "reelscribe/test_blocking_calls.py",
    "reelscribe/test_command_line.py",
    "reelscribe/test_disk_room.py",
    "reelscribe/test_errors.py",
    "reelscribe/test_mistakes.py",
    "reelscribe/test_slots.py",
    "reelscribe/test_temporary_files.py",
    "reelscribe/text",
    "test_benchmarks.py",
    "test_contributing.py",
    "test_floors.py",
    "test_glossary.py",
    "test_packages.py",
    "test_private_members.py",
    "test_tiers.py",
    "transcriber/audio/test_decoding.py",
    "transcriber/decoding/test_passes.py",
    "transcriber/decoding/test_recogniser.py",
    "transcriber/decoding/test_repetition.py",
    "transcriber/decoding/test_rests.py",
    "transcriber/decoding/test_second_pass.py",
    "transcriber/decoding/test_uncovered.py",
    "transcriber/decoding/test_vocabulary.py",
    "transcriber/model/test_gpu.py",
    "transcriber/model/test_prompts.py",
    "transcriber/test_faster_whisper_contract.py",
)
SYSTEM = (
    "bench",
    "deploy",
    "end_to_end",
    "extractor_api/pictures/test_entries.py",
    "extractor_api/sound/test_containers.py",
    "extractor_api/test_broken_inputs.py",
    "extractor_api/test_fuzzed_files.py",
    "extractor_api/test_hostile_files.py",
    "extractor_api/test_media_matrix.py",
    "extractor_api/test_properties.py",
    "extractor_api/test_ranges.py",
    "extractor_api/test_real_cases.py",
    "orchestrator/access/test_both_ways.py",
    "orchestrator/api/test_openapi.py",
    "orchestrator/assistants/test_processes.py",
    "orchestrator/cli/test_data_output.py",
    "orchestrator/database/backups",
    "orchestrator/database/test_embedded.py",
    "orchestrator/dataset/test_shards.py",
    "orchestrator/ingest/test_environment.py",
    "orchestrator/page",
    "orchestrator/services",
    "test_guard.py",
    "test_programs.py",
    "test_readme.py",
    "transcriber/api/test_openapi.py",
    "transcriber/jobs/test_faults.py",
    "transcriber/jobs/test_stopping.py",
    "transcriber/test_real_words.py",
    "transcriber/test_talk.py",
)

STARTS = ("subprocess.Popen", "os.posix_spawn", "os.fork", "os.system", "socket.bind", "socket.connect")
"""Events of Python's own audit that no unit test causes."""

_ENTRIES = {TESTS / name: "unit" for name in UNIT} | {TESTS / name: "system" for name in SYSTEM}
_running: list[Path] = []


def tier(path: Path) -> str:
    """The tier of a file of tests."""
    return next((_ENTRIES[above] for above in (path, *path.parents) if above in _ENTRIES), "integration")


def files(name: str) -> list[Path]:
    """The files of tests that are in a tier."""
    return [path for path in sorted(TESTS.rglob("test_*.py")) if tier(path) == name]


def running(path: Path | None) -> None:
    """From now on, a test of this file runs, or none."""
    _running[:] = [path] if path and tier(path) == "unit" else []


def forbid(event: str, arguments: Any) -> None:
    """An audit hook: a unit test that starts something fails. Threads may be those of what other tests share."""
    if _running and event in STARTS and threading.current_thread() is threading.main_thread():
        raise AssertionError(f"{_running[0].relative_to(TESTS)} is a unit test by tests/tiers.py, and causes {event}")
