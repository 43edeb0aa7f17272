"""The NVIDIA GPUs of this host: for Prometheus, which has no such metrics without one, and for an operator."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pynvml
from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from reelscribe.contracts.diagnosis import Finding

UNIT = "reelscribe-transcriber"
PCI_DEVICES = Path("/sys/bus/pci/devices")
NVIDIA, DISPLAY = "0x10de", "0x03"
"""The PCI vendor, and the class of displays and 3D controllers."""


class GpuMemory(Collector):
    """Reads each GPU's memory whenever metrics are collected; ``count`` is the number of GPUs."""

    def __init__(self, count: int) -> None:
        self._count = count

    def collect(self) -> Iterator[Metric]:
        used, total = (
            GaugeMetricFamily(f"reelscribe_gpu_memory_{kind}_bytes", text, labels=["gpu"])
            for kind, text in (("used", "GPU memory in use, by whichever process"), ("total", "GPU memory"))
        )
        for index in range(self._count):
            with suppress(pynvml.NVMLError):  # a GPU that fell off its bus, or is split into parts
                memory = pynvml.nvmlDeviceGetMemoryInfo(pynvml.nvmlDeviceGetHandleByIndex(index))
                used.add_metric([str(index)], memory.used)
                total.add_metric([str(index)], memory.total)
        yield from (used, total)


def watch(registry: CollectorRegistry) -> None:
    """Add the GPUs' memory to the metrics, if NVIDIA's driver is installed."""
    with suppress(pynvml.NVMLError):
        pynvml.nvmlInit()
        registry.register(GpuMemory(pynvml.nvmlDeviceGetCount()))


def diagnose(device: str, wanted: str) -> Finding:
    """Whether the model runs on the GPU, if there is one.

    Args:
        device: that the model runs on.
        wanted: ``[transcriber] device``.
    """
    described, lost = [], []
    try:
        pynvml.nvmlInit()
        driver = str(pynvml.nvmlSystemGetDriverVersion())
        for index in range(pynvml.nvmlDeviceGetCount()):
            try:
                described.append(_describe(index))
            except pynvml.NVMLError as failed:
                lost.append(f"GPU {index}: {failed}")
    except pynvml.NVMLError as failed:
        driver = str(failed)
    if lost:
        return Finding.fault("GPU", "; ".join(lost), "dmesg says why (NVRM: Xid); a restart of the host may help")
    found = "; ".join(described)
    if device != "cpu":
        return Finding.ok("GPU", f"the model runs on it: {found or device}; driver {driver}")
    if wanted == "cpu":
        return Finding.ok("GPU", f"none is used: [transcriber] device = cpu; {found or 'there is none'}")
    if found:
        fix = "run transcriber check on its host: it says why CUDA cannot be used; then systemctl restart"
        return Finding.fault("GPU", f"the model runs on the CPU although there is {found}", f"{fix} {UNIT}")
    if _is_plugged_in():
        fix = f"install NVIDIA's driver (nvidia-smi must work for the service's user, too); systemctl restart {UNIT}"
        return Finding.fault("GPU", f"there is one, and its driver does not answer: {driver}", fix)
    return Finding.warning(
        "GPU",
        "there is none; the model runs on the CPU, many times slower",
        "move the transcriber to a host with an NVIDIA GPU, or say [transcriber] device = cpu if that is meant",
    )


def _describe(index: int) -> str:
    handle = pynvml.nvmlDeviceGetHandleByIndex(index)
    memory = pynvml.nvmlDeviceGetMemoryInfo(handle)
    return f"{pynvml.nvmlDeviceGetName(handle)}, {memory.used / 1e9:.1f} of {memory.total / 1e9:.1f} GB in use"


def _is_plugged_in() -> bool:
    """Whether a GPU of NVIDIA is on the PCI bus, with or without its driver."""
    for device in PCI_DEVICES.glob("*"):
        with suppress(OSError):
            if (device / "vendor").read_text().strip() == NVIDIA and (device / "class").read_text().startswith(DISPLAY):
                return True
    return False
