"""The metrics of a worker, for Prometheus: its attempts, and the transcribers as it sees them."""

from collections.abc import Callable, Iterable

from prometheus_client import CollectorRegistry, Counter, Metric
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from orchestrator.worker.transcriber_choice import TranscriberState


class WorkerMetrics:
    """The attempts of this process."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.attempts = Counter(
            "reelscribe_attempts",
            "Attempts of this process by how they ended: done, retried, failed or handed_back",
            ["kind", "outcome"],
            registry=registry,
        )
        self.failures = Counter(
            "reelscribe_attempt_failures", "Attempts of this process that failed", ["kind", "code"], registry=registry
        )


class TranscriberMetrics(Collector):
    """Each transcriber as this process last saw it.

    Args:
        states: what is known of them.
    """

    def __init__(self, states: Callable[[], Iterable[TranscriberState]]) -> None:
        self._states = states

    def collect(self) -> Iterable[Metric]:
        up = _gauge("up", "1 if the transcriber answers, else 0")
        slots = _gauge("slots", "Slots for recordings of the queue")
        free = _gauge("free_slots", "Those of them that are free")
        running = _gauge("jobs", "Jobs of this process that the transcriber has")
        for state in self._states():
            if state.up is not None:
                up.add_metric([state.url], state.up)
            running.add_metric([state.url], state.running)
            if state.slots is not None:
                slots.add_metric([state.url], state.slots)
            if state.free is not None and state.up:
                free.add_metric([state.url], state.free)
        return [up, slots, free, running]


def _gauge(name: str, description: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"reelscribe_transcriber_{name}", description, labels=["transcriber"])
