"""The metrics of the transcriber, for Prometheus."""

import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Literal, get_args

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Metric
from prometheus_client.core import CounterMetricFamily
from prometheus_client.registry import Collector

Stage = Literal["vad", "mel", "model"]

BATCH_FILLS = (1, 2, 4, 8, 16, 32, 64, 128, 256)
WAIT_SECONDS = (0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100, 300, 1000, 3000)
REAL_TIME_FACTORS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2)


class StageSeconds(Collector):
    """Seconds of work of each stage, with work in progress included: a call of the model may take minutes."""

    def __init__(self) -> None:
        self._changing = threading.Lock()
        self._finished = dict.fromkeys(get_args(Stage), 0.0)
        self._running: dict[object, tuple[Stage, float]] = {}

    @contextmanager
    def working(self, stage: Stage) -> Iterator[None]:
        """Count the time of this block. Safe in any thread."""
        block, started = object(), time.monotonic()
        with self._changing:
            self._running[block] = (stage, started)
        try:
            yield
        finally:
            with self._changing:
                del self._running[block]
                self._finished[stage] += time.monotonic() - started

    def collect(self) -> Iterable[Metric]:
        seconds = CounterMetricFamily(
            "reelscribe_stage_busy_seconds",
            "Seconds that each stage of the pipeline was at work, added up over its threads",
            labels=["stage"],
        )
        with self._changing:
            now, total = time.monotonic(), dict(self._finished)
            for stage, started in self._running.values():
                total[stage] += now - started
        for stage, busy in total.items():
            seconds.add_metric([stage], busy)
        return [seconds]


class Metrics:
    """The transcriber's counters on one registry."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.jobs = Gauge("reelscribe_transcriptions_running", "Transcriptions that are running", registry=registry)
        self.waiting = Gauge(
            "reelscribe_transcriptions_waiting", "Requests that wait for a slot, or still upload", registry=registry
        )
        self.slot_wait = Histogram(
            "reelscribe_slot_wait_seconds",
            "How long requests waited for a slot",
            buckets=WAIT_SECONDS,
            registry=registry,
        )
        self.outcomes = Counter(
            "reelscribe_transcriptions", "Transcriptions by how they ended", ["outcome"], registry=registry
        )
        self.audio_seconds = Counter("reelscribe_transcribed_seconds", "Seconds of audio processed", registry=registry)
        self.real_time_factor = Histogram(
            "reelscribe_real_time_factor",
            "Seconds that a finished transcription took, for each second of its audio",
            buckets=REAL_TIME_FACTORS,
            registry=registry,
        )
        self.window_wait = Histogram(
            "reelscribe_window_wait_seconds",
            "How long windows waited for their batch",
            ["priority"],
            buckets=WAIT_SECONDS,
            registry=registry,
        )
        self.batch_windows = Histogram(
            "reelscribe_batch_windows", "Windows in one call of the model", buckets=BATCH_FILLS, registry=registry
        )
        self.batch_jobs = Histogram(
            "reelscribe_batch_jobs",
            "Transcriptions that share one call of the model",
            buckets=BATCH_FILLS,
            registry=registry,
        )
        self._stages = StageSeconds()
        registry.register(self._stages)
        self.model_workers = Gauge("reelscribe_model_workers", "Threads that call the model", registry=registry)
        self.model_loaded = Gauge("reelscribe_model_loaded", "1 while the model is in memory", registry=registry)

    def working(self, stage: Stage) -> AbstractContextManager[None]:
        """Count the time of a block for a stage of the pipeline."""
        return self._stages.working(stage)
