"""The queue's metrics, for Prometheus. They are read from the database, but no more often than every few seconds."""

import time
from collections.abc import Iterable

from prometheus_client import Metric
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from orchestrator.database.pool import CONNECTION_ERRORS, Pool
from orchestrator.exports.pending_results import RESULT_KINDS
from orchestrator.jobs.models import STATES, TRANSCRIBE
from orchestrator.jobs.stats import QueueFigures, queue_figures
from orchestrator.queue.entries import QueueEntries

FRESH_SECONDS = 5.0
"""How long figures are good: so often the database is asked at most, however many monitors there are."""
ANSWER_SECONDS = 3.0


class QueueMetrics(Collector):
    """The queue of one database, for all workers together.

    Args:
        stores_results: whether finished transcripts are stored in a bucket.
    """

    def __init__(self, pool: Pool, queue: QueueEntries, stores_results: bool) -> None:
        self._pool = pool
        self._queue = queue
        self._stores_results = stores_results
        self._read_at = -FRESH_SECONDS
        self._figures: QueueFigures | None = None
        self._workers = 0

    async def refresh(self) -> None:
        """Read the figures again, unless they are fresh. Without a database there are none."""
        now = time.monotonic()
        if now < self._read_at + FRESH_SECONDS:
            return
        self._read_at = now
        try:
            async with self._pool.connection(timeout=ANSWER_SECONDS) as connection:
                self._figures = await queue_figures(connection)
            self._workers = await self._queue.count_workers()
        except CONNECTION_ERRORS:
            self._figures = None

    def collect(self) -> Iterable[Metric]:
        figures = self._figures
        yield _gauge("database_up", "1 if the database answers, else 0", int(figures is not None))
        if figures is None:
            return
        jobs = _gauge("jobs", "Current transcriptions by state", labels=["state"])
        for state in STATES:
            jobs.add_metric([state], figures.jobs.get((TRANSCRIBE, state), 0))
        yield jobs
        yield _gauge(
            "oldest_waiting_job_seconds",
            "Time since the submission of the oldest transcription that is queued or waiting; 0 if none is",
            figures.oldest_seconds or 0.0,
        )
        failed = _gauge("failed_jobs", "Failed jobs by error code, of the newest 10000", labels=["code"])
        for code, count in figures.failed.items():
            failed.add_metric([code], count)
        yield failed
        yield _gauge("workers", "Workers of this database that show a heartbeat", self._workers)
        yield _gauge(
            "transcript_seconds",
            "Seconds of audio of current transcriptions that are done",
            figures.transcribed_seconds,
        )
        if self._stores_results:
            pending = sum(map(figures.unfinished, RESULT_KINDS))
            yield _gauge(
                "results_not_stored",
                "Transcripts, and previews and sound of recordings, that [results] has not stored yet",
                pending,
            )


def _gauge(
    name: str, description: str, value: float | None = None, labels: list[str] | None = None
) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"reelscribe_{name}", description, value=value, labels=labels)
