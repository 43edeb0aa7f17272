"""The hardware that a figure was measured on."""

import os
import platform
import subprocess
from pathlib import Path

import ctranslate2


def describe() -> str:
    """Cores, processor, Python version, and the GPUs that CTranslate2 sees."""
    parts = [f"{os.cpu_count()} cores", _processor(), f"Python {platform.python_version()}"]
    if ctranslate2.get_cuda_device_count():
        parts.append(_gpus())
    return ", ".join(parts)


def _processor() -> str:
    """The name of the processor if the system reports it, else its architecture."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names and names[0] != "unknown" else platform.machine()


def _gpus() -> str:
    listed = subprocess.run(
        ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"], capture_output=True, text=True, check=True
    )
    names = listed.stdout.strip().splitlines()
    return f"{len(names)} x {names[0]}" if len(names) > 1 else names[0]
