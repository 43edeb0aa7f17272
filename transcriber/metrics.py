"""What Machine B counts, for Prometheus."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

BATCH_FILLS = (1, 2, 4, 8, 16, 32, 64, 128, 256)


class Metrics:
    """The transcriber's counters on one registry."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.jobs = Gauge("reelscribe_transcriptions_running", "Recordings in work", registry=registry)
        self.outcomes = Counter(
            "reelscribe_transcriptions", "Transcriptions by how they ended", ["outcome"], registry=registry
        )
        self.audio_seconds = Counter("reelscribe_transcribed_seconds", "Seconds of audio judged", registry=registry)
        self.batch_windows = Histogram(
            "reelscribe_batch_windows", "Windows in one call of the model", buckets=BATCH_FILLS, registry=registry
        )
        self.batch_jobs = Histogram(
            "reelscribe_batch_jobs", "Jobs sharing one call of the model", buckets=BATCH_FILLS, registry=registry
        )
        self.model_seconds = Counter("reelscribe_model_seconds", "Seconds the model was at work", registry=registry)
