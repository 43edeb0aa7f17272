"""GET /metrics: from which an operator sees whether the model is kept busy."""

import asyncio
from types import SimpleNamespace

import pynvml
import pytest
from prometheus_client import CollectorRegistry, generate_latest

from tests.transcriber.conftest import Transcriber
from transcriber.metrics import Metrics
from transcriber.model import gpu


async def test_a_finished_job_is_counted_at_each_stage(transcriber: Transcriber) -> None:
    await transcriber.events("minute.flac")
    assert await transcriber.metric('reelscribe_transcriptions_total{outcome="finished"}') == 1
    assert await transcriber.metric("reelscribe_transcribed_seconds_total") == 60
    assert 0 < await transcriber.metric("reelscribe_real_time_factor_sum") < 2
    assert await transcriber.metric("reelscribe_batch_windows_sum") >= 2
    assert await transcriber.metric("reelscribe_slot_wait_seconds_count") == 1
    assert await transcriber.metric("reelscribe_model_workers") >= 1
    for stage in ("vad", "mel", "model"):
        assert await transcriber.metric(f'reelscribe_stage_busy_seconds_total{{stage="{stage}"}}') > 0


async def test_a_call_of_the_model_is_counted_before_it_ends() -> None:
    registry = CollectorRegistry()
    with Metrics(registry).working("model"):
        await asyncio.sleep(0.05)
        assert registry.get_sample_value("reelscribe_stage_busy_seconds_total", {"stage": "model"}) > 0.04


def exported(monkeypatch: pytest.MonkeyPatch, **driver: object) -> str:
    """GPU metrics with this instead of NVIDIA's driver."""
    for name, function in driver.items():
        monkeypatch.setattr(pynvml, name, function)
    registry = CollectorRegistry()
    gpu.watch(registry)
    return generate_latest(registry).decode()


def test_without_a_gpu_there_is_no_metric_of_its_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_driver() -> None:
        raise pynvml.NVMLError(pynvml.NVML_ERROR_LIBRARY_NOT_FOUND)

    assert exported(monkeypatch, nvmlInit=no_driver) == ""


def test_each_gpu_has_metrics_of_its_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """With two GPUs, of which one has fallen off its bus."""

    def handle(index: int) -> int:
        if index == 1:
            raise pynvml.NVMLError(pynvml.NVML_ERROR_GPU_IS_LOST)
        return index

    text = exported(
        monkeypatch,
        nvmlInit=lambda: None,
        nvmlDeviceGetCount=lambda: 2,
        nvmlDeviceGetHandleByIndex=handle,
        nvmlDeviceGetMemoryInfo=lambda _: SimpleNamespace(used=5 << 30, total=80 << 30),
    )
    samples = [line for line in text.splitlines() if not line.startswith("#")]
    assert samples == [
        'reelscribe_gpu_memory_used_bytes{gpu="0"} 5.36870912e+09',
        'reelscribe_gpu_memory_total_bytes{gpu="0"} 8.589934592e+10',
    ]
