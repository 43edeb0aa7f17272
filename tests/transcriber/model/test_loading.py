"""Which model runs on which device, and the message if it does not."""

import subprocess
import sys
from typing import Any

import pytest

from reelscribe.errors import SettingsError
from transcriber.model import loading
from transcriber.model.finding import BUNDLED, FoundModel


def too_large(*arguments: Any, **options: Any) -> Any:
    raise RuntimeError("CUDA failed with error out of memory")


@pytest.mark.parametrize("name", ["large-v3", "org/whisper-large", "mini"])
def test_a_model_that_does_not_fit_asks_for_a_smaller_one_or_more_memory(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loading, "find_model", lambda name: FoundModel(BUNDLED["mini"], "a test"))
    monkeypatch.setattr(loading, "_EncodingOneByOne", too_large)
    with pytest.raises(SettingsError) as raised:
        loading.load_model(name, "cpu", "int8")
    message = str(raised.value)
    assert f"{name} does not fit into the memory of cpu as int8" in message
    assert "smaller model" in message and "compute_type" in message and "free memory there" in message
    assert "folder" not in message and "Hugging Face" not in message


def test_a_model_that_fits_and_cannot_work_asks_for_more_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "encode_silence", too_large)
    with pytest.raises(SettingsError, match="mini does not fit into the memory of cpu"):
        loading.load_model("mini", "cpu", "auto")


def test_the_threads_of_a_cpu_are_shared_out_evenly() -> None:
    shared = {threads: loading.cpu_workers(threads) for threads in (*range(1, 14), 16, 32)}
    assert shared == {
        1: 1, 2: 2, 3: 3, 4: 4, 5: 1, 6: 3, 7: 1, 8: 4, 9: 4, 10: 3, 11: 2, 12: 4, 13: 4, 16: 4, 32: 4
    }  # fmt: skip


def test_hardly_a_thread_of_a_cpu_is_idle() -> None:
    for threads in range(1, 257):
        workers = loading.cpu_workers(threads)
        assert 1 <= workers <= 4
        assert workers * (threads // workers) >= threads * 7 / 8


def test_a_host_that_forbids_code_written_at_run_time_is_reported() -> None:
    forbidden = """
import ctypes
from transcriber.model.loading import load_model
from reelscribe.errors import SettingsError
PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN = 65, 1
if ctypes.CDLL(None).prctl(PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN, 0, 0, 0):
    print("no such kernel")
try:
    load_model("mini", "cpu", "auto")
except SettingsError as wrong:
    print(*wrong.problems)
"""
    said = subprocess.run([sys.executable, "-c", forbidden], capture_output=True, text=True).stdout
    if "no such kernel" in said:
        pytest.skip("needs Linux 6.3")
    assert "MemoryDenyWriteExecute" in said
