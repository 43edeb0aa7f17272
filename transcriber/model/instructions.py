"""The CPU's instructions that CTranslate2 uses."""

import os
from pathlib import Path

VARIABLE = "CT2_FORCE_CPU_ISA"
"""CTranslate2 reads it when the first model is loaded."""

CPUS = Path("/proc/cpuinfo")

AVX512 = {"avx512f", "avx512cd", "avx512vl", "avx512bw", "avx512dq"}
"""What the kernel calls the instructions that CTranslate2 asks for (4.8.5, src/cpu/cpu_info.cc)."""


def use_widest_instructions() -> None:
    """AVX-512 if the CPU has it, unless the environment says otherwise; call it before a model is loaded.

    CTranslate2 chooses AVX2 at most (4.8.5, src/cpu/cpu_isa.cc).
    """
    if VARIABLE not in os.environ and _has_avx512():
        os.environ[VARIABLE] = "AVX512"


def _has_avx512() -> bool:
    """Of a Linux on x86; elsewhere nothing is known."""
    try:
        lines = CPUS.read_text(errors="replace").splitlines()
    except OSError:
        return False
    of_each = [set(line.split(":", 1)[1].split()) for line in lines if line.startswith("flags")]
    return bool(of_each) and all(flags >= AVX512 for flags in of_each)
