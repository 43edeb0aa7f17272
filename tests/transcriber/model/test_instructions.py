"""CTranslate2 uses AVX-512 where the CPU has it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from transcriber.model import instructions
from transcriber.model.instructions import AVX512, CPUS, VARIABLE, use_widest_instructions

OLDER = "processor : 0\nflags\t\t: fpu sse4_1 avx avx2 avx512f\nvmx flags\t: ept\n"
NEWER = OLDER.replace("avx512f", " ".join(AVX512))


LOAD = """
from transcriber.model.instructions import use_widest_instructions
from transcriber.model.loading import load_model
use_widest_instructions()
load_model("mini", "cpu", "float32")
"""


def selected(**environment: str) -> str:
    """What CTranslate2 says that it uses."""
    inherited = {name: value for name, value in os.environ.items() if name != VARIABLE}
    done = subprocess.run(
        [sys.executable, "-c", LOAD],
        env=inherited | {"CT2_VERBOSE": "1"} | environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stderr.split("Selected ISA: ")[1].split()[0]


@pytest.fixture
def without_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "")  # so that it is put back
    monkeypatch.delenv(VARIABLE)


@pytest.mark.skipif(not CPUS.is_file() or "avx2" not in CPUS.read_text(), reason="only on Linux on x86 with AVX2")
def test_the_widest_of_this_cpu_are_used_unless_the_environment_names_others() -> None:
    assert selected() == ("AVX512" if " avx512vl" in CPUS.read_text() else "AVX2")
    assert selected(CT2_FORCE_CPU_ISA="GENERIC") == "GENERIC"


@pytest.mark.usefixtures("without_variable")
@pytest.mark.parametrize(
    ("cpus", "expected"),
    [
        pytest.param(NEWER * 2, "AVX512", id="all have it"),
        pytest.param(NEWER + OLDER, None, id="one does not"),
        pytest.param("processor : 0\nFeatures : fp asimd\n", None, id="not x86"),
        pytest.param(None, None, id="nothing is known"),
    ],
)
def test_only_what_each_cpu_has_is_chosen(
    cpus: str | None, expected: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(instructions, "CPUS", tmp_path / "cpuinfo")
    if cpus:
        (tmp_path / "cpuinfo").write_text(cpus)
    use_widest_instructions()
    assert os.environ.get(VARIABLE) == expected
