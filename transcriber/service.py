"""What Machine B's handlers share: the model, Machine C, and the places for jobs."""

import logging
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from typing import Any

from machine.audio_client import AudioClient
from machine.auth import Tokens
from machine.errors import Busy, MachineError
from machine.ffmpeg import FFmpeg
from machine.server import Machine
from machine.settings import Settings
from machine.temporary import TemporaryFolder
from machine.wire import TranscribeFields, TranscribeRequest
from transcriber.batcher import Batcher
from transcriber.decoding import Recogniser
from transcriber.form import Upload
from transcriber.job import ClientLeft, Engine, Job, Tell
from transcriber.metrics import Metrics
from transcriber.model_thread import ModelThread
from transcriber.models import LoadedModel
from transcriber.sources import Source, StoredRecording, UploadedFile

log = logging.getLogger(__name__)

RETRY_AFTER_SECONDS = 5


class TranscriberMachine(Machine):
    """Machine B. It works while its :meth:`open` is entered.

    Args:
        settings: of config.cfg.
        ffmpeg: the binary that reads uploads.
        model: that hears everything.
        tokens: who may call; the first one is sent to Machine C.
    """

    def __init__(self, settings: Settings, ffmpeg: FFmpeg, model: LoadedModel, tokens: Tokens) -> None:
        super().__init__("transcriber", tokens)
        self.metrics = Metrics(self.registry)
        self.model = ModelThread(self.metrics)
        self.recogniser = Recogniser(model)
        self.max_upload_bytes = settings.transcriber.max_upload_bytes
        self.temporary = TemporaryFolder(settings.paths.temp_dir)
        self._settings = settings.transcriber
        self._limits = settings.extraction
        self._ffmpeg = ffmpeg
        self._machine_c: AudioClient | None = None
        self._jobs: set[Job] = set()
        self._engine: Engine | None = None

    @asynccontextmanager
    async def open(self) -> AsyncIterator["TranscriberMachine"]:
        """Take jobs until the block ends."""
        async with AsyncExitStack() as stack:
            stack.callback(self.model.close)
            batcher = Batcher(self.recogniser, self.model, self._settings.batch_size, self.metrics)
            machine_c = AudioClient(self._settings.extractor_url, self.tokens)
            self._machine_c = await stack.enter_async_context(machine_c)
            self._engine = Engine(self.recogniser, self.model, await stack.enter_async_context(batcher))
            yield self

    def stored(self, request: TranscribeRequest) -> Source:
        """The recording of the bucket that a request names."""
        assert self._machine_c, "open() is not entered"
        return StoredRecording(self._machine_c, request.savepath, request.bucket_name, self._settings.audio_format)

    def uploaded(self, upload: Upload) -> Source:
        """The recording that came with a request."""
        return UploadedFile(upload, self._ffmpeg, self._limits)

    def check_place(self) -> None:
        """
        Raises:
            Busy: all places are taken.
        """
        if len(self._jobs) >= self._settings.max_jobs:
            raise Busy(
                f"all {self._settings.max_jobs} places of this transcriber are taken; try again in a moment",
                retry_after=RETRY_AFTER_SECONDS,
            )

    @contextmanager
    def job(self, request: TranscribeFields, source: Source, tell: Tell) -> Iterator[Job]:
        """A job in one of the places, from its first log line to its last.

        Raises:
            BadRequest: the model cannot do that.
            Busy: all places are taken.
        """
        assert self._engine, "open() is not entered"
        self.recogniser.check(request.language, request.task, request.initial_prompt, request.hotwords)
        self.check_place()
        job = Job(request, source, self._engine, tell)
        self._jobs.add(job)
        self.metrics.jobs.set(len(self._jobs))
        try:
            with self._told(job, request, source.name):
                yield job
        finally:
            self._jobs.discard(job)
            self.metrics.jobs.set(len(self._jobs))

    async def stop(self) -> None:
        """Let every running job tell its client what is in the model, and where to go on."""
        for job in list(self._jobs):
            job.stop()

    def health(self) -> dict[str, Any]:
        model = self.recogniser.model
        return {
            **super().health(),
            "model": model.name,
            "device": model.device,
            "compute_type": model.compute_type,
            "ffmpeg": self._ffmpeg.version,
            "warnings": self._ffmpeg.warnings,
            "capacity": self._settings.max_jobs,
            "free": self._settings.max_jobs - len(self._jobs),
        }

    @contextmanager
    def _told(self, job: Job, request: TranscribeFields, name: str) -> Iterator[None]:
        """The log lines and counters of a job."""
        begun, outcome = time.monotonic(), "left"
        log.info("%s: started at %.1f s (%s)", name, request.start, request.mode)
        try:
            yield
            outcome = "finished"
        except MachineError as failure:
            outcome = failure.code
            log.warning("%s: failed: %s: %s", name, failure.code, failure.message)
            raise
        except ClientLeft:
            raise
        except Exception:
            outcome = "internal_error"
            raise
        finally:
            seconds = time.monotonic() - begun
            self.metrics.outcomes.labels(outcome).inc()
            self.metrics.audio_seconds.inc(job.heard_seconds)
            if outcome == "finished":
                log.info(
                    "%s: finished: %.1f s of audio in %.1f s (%.0f x real time)",
                    name, job.heard_seconds, seconds, job.heard_seconds / max(seconds, 1e-3),
                )  # fmt: skip
            elif outcome == "left":
                log.info("%s: the client left after %.1f s; place free", name, seconds)
