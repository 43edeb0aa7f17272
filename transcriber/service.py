"""What the transcriber's handlers share: the model, the extractor, and the places for jobs."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from typing import Any

from reelscribe.contracts.events import Finished, Progress
from reelscribe.contracts.transcriber import Priority, TranscribeFields, TranscribeRequest
from reelscribe.errors import ModelInUse, ServiceError, Stopping
from reelscribe.http.auth import Tokens
from reelscribe.http.extractor_client import ExtractorClient
from reelscribe.http.server import Service
from reelscribe.media.ffmpeg import FFmpeg
from reelscribe.settings.loading import Settings
from reelscribe.slots import Claim, Slots
from reelscribe.temporary_files import TemporaryFolder
from transcriber.decoding.recogniser import Recogniser
from transcriber.jobs.job import HEARTBEAT_SECONDS, ClientLeft, Engine, Job, Tell, stopping
from transcriber.jobs.sources import Source, StoredRecording, Upload, UploadedFile
from transcriber.jobs.waiting import Interrupted, unless
from transcriber.metrics import Metrics
from transcriber.model import gpu
from transcriber.model.loading import LoadedModel
from transcriber.model.pool import ModelPool
from transcriber.model.weights import Weights
from transcriber.scheduling.batcher import Batcher

log = logging.getLogger(__name__)

SHARE_OF_GRACE = 0.8
"""Of ``grace_seconds``, for what is in the model; the rest is for telling clients and closing."""

SHARE_OF_INTERACTIVE_PLACES = 0.25
"""Of ``max_jobs``, on top of them, and at least one: for those whom somebody waits for."""


class TranscriberService(Service):
    """The transcriber. It works while its :meth:`open` is entered.

    Args:
        settings: of config.cfg.
        ffmpeg: the binary that reads uploads.
        model: that hears everything.
        tokens: who may call; the first one is sent to the extractor.
    """

    def __init__(self, settings: Settings, ffmpeg: FFmpeg, model: LoadedModel, tokens: Tokens) -> None:
        super().__init__("transcriber", tokens)
        self.metrics = Metrics(self.registry)
        gpu.watch(self.registry)
        self.model = ModelPool(model.workers, self.metrics, model.prove, self._give_up)
        self.recogniser = Recogniser(model, settings.transcriber.audio_context == "fitted")
        self.max_upload_bytes = settings.transcriber.max_upload_bytes
        self.temporary = TemporaryFolder(settings.paths.temp_dir)
        places = settings.transcriber.max_jobs
        interactive_places = max(1, int(SHARE_OF_INTERACTIVE_PLACES * places))
        self.slots = Slots(places, settings.transcriber.queue_length, interactive_places)
        self.weights = Weights(
            model, self.model, self.metrics, settings.transcriber.idle_unload_seconds, self._check_unused
        )
        self._settings = settings.transcriber
        self._limits = settings.extraction
        self._ffmpeg = ffmpeg
        self._machine_c: ExtractorClient | None = None
        self._jobs: set[Job] = set()
        self._engine: Engine | None = None
        self._grace_is_over = asyncio.Event()
        self.metrics.jobs.set_function(lambda: self.slots.running)
        self.metrics.waiting.set_function(lambda: self.slots.waiting)

    @asynccontextmanager
    async def open(self) -> AsyncIterator["TranscriberService"]:
        """Take jobs until the block ends."""
        async with AsyncExitStack() as stack:
            stack.callback(self.model.close)
            batch_size = self.recogniser.model.share_of_batch(self._settings.batch_size)
            batcher = Batcher(self.recogniser, self.model, batch_size, self.metrics)
            extractor = ExtractorClient(self._settings.extractor_url, self.tokens)
            self._machine_c = await stack.enter_async_context(extractor)
            await stack.enter_async_context(batcher)
            self._engine = Engine(self.recogniser, self.model, batcher, self.metrics)
            stack.callback(self.weights.wake)
            self.weights.rest()
            yield self

    def stored(self, request: TranscribeRequest) -> Source:
        """The recording of the bucket that a request names."""
        assert self._machine_c, "open() is not entered"
        return StoredRecording(self._machine_c, request.savepath, request.bucket_name, self._settings.audio_format)

    def uploaded(self, upload: Upload) -> Source:
        """The recording that came with a request."""
        return UploadedFile(upload, self._ffmpeg, self._limits)

    @contextmanager
    def claim(self, priority: Priority) -> Iterator[Claim]:
        """The right to a place for a job, at once or later; the model is not unloaded as long as there is one.

        Raises:
            Busy: all places and the queue are full.
        """
        with self.slots.claim(priority == "interactive") as claim:
            self.weights.wake()
            try:
                yield claim
            finally:
                claim.release()
                if self._is_unused:
                    self.weights.rest()

    async def transcribe(
        self,
        request: TranscribeFields,
        source: Source,
        claim: Claim,
        tell: Tell,
        admitted: Callable[[], Awaitable[None]] | None = None,
    ) -> Finished:
        """Wait for the place and the model, then tell all events, and return the last one. Frees the place.

        Args:
            admitted: called when the waiting is over.

        Raises:
            BadRequest: the model cannot do that.
            ModelNotLoaded: it was unloaded and does not come back.
            ServiceError: why there is no end; see :meth:`transcriber.jobs.job.Job.run`.
        """
        assert self._engine, "open() is not entered"
        self.recogniser.check(request)
        job = Job(request, source, self._engine, tell)
        try:
            with self._told(source.name):
                await self._wait(claim, request, tell)
                if admitted:
                    await admitted()
                log.info("%s: started at %.1f s (%s)", source.name, request.start, request.mode)
                return await self._run(job, source.name)
        finally:
            claim.release()

    async def load_model(self) -> None:
        """Have the model in memory before a job needs it.

        Raises:
            ModelNotLoaded: it was unloaded and does not come back.
        """
        try:
            await unless(self.stopping, self.weights.load())
        except Interrupted:
            raise Stopping("this transcriber is shutting down; it loads no model any more") from None
        if self._is_unused:
            self.weights.rest()

    async def stop(self) -> None:
        """Let every request tell its client where to go on: at once, or once its windows are through the model."""
        self.stopping.set()
        for job in list(self._jobs):
            job.stop()
        seconds = SHARE_OF_GRACE * self._settings.grace_seconds
        asyncio.get_running_loop().call_later(seconds, self._grace_is_over.set)

    def health(self) -> dict[str, Any]:
        model = self.recogniser.model
        return {
            **super().health(),
            "model": model.name,
            "device": model.device,
            "compute_type": model.compute_type,
            "model_state": self.weights.state,
            "ffmpeg": self._ffmpeg.version,
            "warnings": self._ffmpeg.warnings,
            "capacity": self.slots.size,
            "free": self.slots.free,
            "waiting": self.slots.waiting,
        }

    def _give_up(self) -> None:
        log.critical("transcriber: the model does not work any more, which only a new process may cure; this one ends")
        self.stopping.set()

    @property
    def _is_unused(self) -> bool:
        return not (self.slots.running or self.slots.waiting)

    def _check_unused(self) -> None:
        if not self._is_unused:
            raise ModelInUse(
                f"{self.slots.running} running and {self.slots.waiting} waiting requests need the model; "
                "try again when they are done"
            )

    async def _wait(self, claim: Claim, request: TranscribeFields, tell: Tell) -> None:
        """Wait for what the job needs, while its client is told that it has not been forgotten."""

        async def ready() -> None:
            asked = time.monotonic()
            await claim.wait(request.priority == "interactive")
            self.metrics.place_wait.observe(time.monotonic() - asked)
            await self.weights.load()

        async def patience() -> None:
            await tell(Progress(seconds=request.start))

        try:
            await unless(self.stopping, ready(), patience, HEARTBEAT_SECONDS)
        except Interrupted:
            raise stopping(request.start) from None

    async def _run(self, job: Job, name: str) -> Finished:
        started = time.monotonic()
        self._jobs.add(job)
        try:
            finished = await unless(self._grace_is_over, job.run())
        except Interrupted:
            raise stopping(job.reached) from None
        finally:
            self._jobs.discard(job)
            self.metrics.audio_seconds.inc(job.heard_seconds)
        seconds = max(time.monotonic() - started, 1e-3)
        if job.heard_seconds:
            self.metrics.real_time_factor.observe(seconds / job.heard_seconds)
        log.info(
            "%s: finished: %.1f s of audio in %.1f s (%.0f x real time)",
            name, job.heard_seconds, seconds, job.heard_seconds / seconds,
        )  # fmt: skip
        return finished

    @contextmanager
    def _told(self, name: str) -> Iterator[None]:
        """How a request ended, in the log and the counters."""
        begun, outcome = time.monotonic(), "left"
        try:
            yield
            outcome = "finished"
        except ServiceError as failure:
            outcome = failure.code
            log.warning("%s: failed: %s: %s", name, failure.code, failure.message)
            raise
        except ClientLeft:
            raise
        except Exception:
            outcome = "internal_error"
            raise
        finally:
            self.metrics.outcomes.labels(outcome).inc()
            if outcome == "left":
                log.info("%s: the client left after %.1f s; place free", name, time.monotonic() - begun)
