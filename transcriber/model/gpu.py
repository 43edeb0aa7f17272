"""Memory of the NVIDIA GPUs of this host, for Prometheus; without a GPU there are no such metrics."""

from collections.abc import Iterator
from contextlib import suppress

import pynvml
from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector


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
