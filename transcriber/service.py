"""What the handlers of the transcriber share: the model, the extractor, and the slots."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from typing import Any, Self

from reelscribe.contracts.diagnosis import Finding
from reelscribe.contracts.events import Finished, Progress
from reelscribe.contracts.transcriber import TranscribeFields, TranscribeRequest, Urgency
from reelscribe.errors import ModelInUse, ServiceError, Stopping
from reelscribe.http.access.allowed_hosts import AllowedHosts
from reelscribe.http.access.tokens import Tokens
from reelscribe.http.peers.extractor_client import ExtractorClient
from reelscribe.http.peers.watch import PeerWatch
from reelscribe.http.server.service import Service
from reelscribe.media import diagnosis
from reelscribe.media.ffmpeg import FFmpeg
from reelscribe.settings.loading import Settings
from reelscribe.slots import Claim, Slots
from reelscribe.temporary_files import TemporaryFolder
from transcriber.decoding.recogniser import Recogniser
from transcriber.jobs.events import ClientLeft, Emit, stopping
from transcriber.jobs.sources import AudioSource, StoredRecording, Upload, UploadedFile
from transcriber.jobs.transcription import HEARTBEAT_SECONDS, Engine, Transcription
from transcriber.jobs.waiting import Interrupted, wait_unless
from transcriber.metrics import Metrics
from transcriber.model import gpu
from transcriber.model.loading import LoadedModel
from transcriber.model.pool import ModelPool
from transcriber.model.weights import Weights
from transcriber.scheduling.batcher import Batcher

log = logging.getLogger(__name__)

SHARE_OF_GRACE = 0.8
"""Of ``grace_seconds``, for what is in the model; the rest is for the last events and for closing."""

SHARE_OF_INTERACTIVE_SLOTS = 0.25
"""Of ``max_jobs``, in addition to them, and at least one: for requests that a person waits for."""


class TranscriberService(Service):
    """The transcriber. It takes requests while its :meth:`open` is entered.

    Args:
        settings: of config.cfg.
        ffmpeg: the binary that reads uploads.
        model: for all requests.
        tokens: who may call; the first one is sent to the extractor.
    """

    remedy = "see what is said of the extractor; if nothing is, start it, or correct [transcriber] extractor_url"
    lost_client_seconds = 30
    """Its work ends then: a stream sends something every few seconds, and its client always reads."""

    def __init__(self, settings: Settings, ffmpeg: FFmpeg, model: LoadedModel, tokens: Tokens) -> None:
        super().__init__("transcriber", tokens, AllowedHosts.of("transcriber", settings.transcriber))
        self.metrics = Metrics(self.registry)
        gpu.watch(self.registry)
        self.model = ModelPool(model.workers, self.metrics, model.self_test, self._give_up)
        self.recogniser = Recogniser(model, settings.transcriber.audio_context == "fitted")
        self.max_upload_bytes = settings.transcriber.max_upload_bytes
        self.temporary = TemporaryFolder(settings.paths.temp_dir)
        slots = settings.transcriber.max_jobs
        interactive_slots = max(1, int(SHARE_OF_INTERACTIVE_SLOTS * slots))
        self.slots = Slots(slots, settings.transcriber.queue_length, interactive_slots)
        self.weights = Weights(
            model, self.model, self.metrics, settings.transcriber.idle_unload_seconds, self._check_unused
        )
        self._settings = settings.transcriber
        self._limits = settings.extraction
        self._ffmpeg = ffmpeg
        self._extractor: ExtractorClient | None = None
        self._extractor_watch = PeerWatch("the extractor", self._extractor_problem)
        self.folders = {"[paths] temp_dir": settings.paths.temp_dir}
        self._transcriptions: set[Transcription] = set()
        self._engine: Engine | None = None
        self._grace_is_over = asyncio.Event()
        self.metrics.jobs.set_function(lambda: self.slots.running)
        self.metrics.waiting.set_function(lambda: self.slots.waiting)

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Self]:
        """Take requests until the block ends."""
        async with AsyncExitStack() as stack:
            stack.callback(self.model.close)
            batch_size = self.recogniser.model.share_of_batch(self._settings.batch_size)
            batcher = Batcher(self.recogniser, self.model, batch_size, self.metrics)
            extractor = ExtractorClient(self._settings.extractor_url, self.access.tokens)
            self._extractor = await stack.enter_async_context(extractor)
            await stack.enter_async_context(batcher)
            self._engine = Engine(self.recogniser, self.model, batcher, self.metrics)
            stack.callback(self.weights.end_idle_time)
            self.weights.start_idle_time()
            yield self

    def stored(self, request: TranscribeRequest) -> AudioSource:
        """The recording of the bucket that a request names."""
        assert self._extractor, "open() is not entered"
        return StoredRecording(self._extractor, request.savepath, request.bucket_name, self._settings.audio_format)

    def uploaded(self, upload: Upload) -> AudioSource:
        """The recording that came with a request."""
        return UploadedFile(upload, self._ffmpeg, self._limits)

    @contextmanager
    def claim(self, urgency: Urgency) -> Iterator[Claim]:
        """The right to a slot, immediately or later; the model is not unloaded while there is such a claim.

        Raises:
            Busy: all slots and the queue are full.
        """
        with self.slots.claim(urgency == "interactive") as claim:
            self.weights.end_idle_time()
            try:
                yield claim
            finally:
                claim.release()
                if self._is_unused:
                    self.weights.start_idle_time()

    async def transcribe(
        self,
        request: TranscribeFields,
        source: AudioSource,
        claim: Claim,
        emit: Emit,
        admitted: Callable[[], Awaitable[None]] | None = None,
    ) -> Finished:
        """Wait for the slot and the model, emit all events but the last, and return that one. Frees the slot.

        Args:
            admitted: called at the end of the wait.

        Raises:
            BadRequest: the model cannot do what the request asks for.
            ModelNotLoaded: it was unloaded and cannot be loaded again.
            ServiceError: why it did not finish; see :meth:`transcriber.jobs.transcription.Transcription.run`.
        """
        assert self._engine, "open() is not entered"
        self.recogniser.check(request)
        request = self.recogniser.with_fitting_vocabulary(request)
        transcription = Transcription(request, source, self._engine, emit)
        try:
            with self._report_outcome(source.name):
                await self._wait(claim, request, emit)
                if admitted:
                    await admitted()
                log.info("%s: started at %.1f s (%s)", source.name, request.start, request.mode)
                return await self._run(transcription, source.name)
        finally:
            claim.release()

    async def load_model(self) -> None:
        """Load the model before a request needs it.

        Raises:
            ModelNotLoaded: it was unloaded and cannot be loaded again.
        """
        try:
            await wait_unless(self.stopping, self.weights.load())
        except Interrupted:
            raise Stopping("this transcriber is shutting down; it does not load the model any more") from None
        if self._is_unused:
            self.weights.start_idle_time()

    async def stop(self) -> None:
        """End every request, immediately or after its windows in the model; clients get the second to resume from."""
        self.stopping.set()
        for transcription in list(self._transcriptions):
            transcription.stop()
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
            "warnings": self._ffmpeg.public_warnings,
            "sandbox": self._ffmpeg.sandbox.state,
            "capacity": self.slots.size,
            "free": self.slots.free,
            "waiting": self.slots.waiting,
        }

    async def problems(self) -> list[str]:
        return [problem for problem in (self.stalled(), await self._extractor_watch.problem()) if problem]

    async def diagnose(self) -> list[Finding]:
        of_ffmpeg = await asyncio.to_thread(diagnosis.diagnose, self._ffmpeg, gpu.UNIT, encodes=False)
        model = self.recogniser.model
        loaded = f"{model.name} on {model.device} as {model.compute_type}, {self.weights.state}"
        slots = f"{self.slots.running} of {self.slots.size} slots taken, {self.slots.waiting} requests wait"
        return [
            *of_ffmpeg,
            Finding.ok("model", loaded),
            await asyncio.to_thread(gpu.diagnose, model.device, self._settings.device),
            Finding.ok("load", slots),
        ]

    def stalled(self) -> str | None:
        seconds, limit = self.model.longest_call_seconds, self._settings.stall_seconds
        if not limit or seconds < limit:
            return None
        return f"a batch has been in the model for more than [transcriber] stall_seconds = {limit:g}"

    async def _extractor_problem(self) -> str | None:
        if not self._extractor:
            return None
        try:
            health = await self._extractor.health()
        except ServiceError as failure:
            return f"the extractor cannot be used ({failure.code})"  # its sentence names the address
        if health["status"] == "ok":
            return None
        return ": ".join(filter(None, (f"the extractor is {health['status']}", "; ".join(health["problems"]))))

    def _give_up(self) -> None:
        log.critical("transcriber: the model does not work any more, which only a new process may fix; this one ends")
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

    async def _wait(self, claim: Claim, request: TranscribeFields, emit: Emit) -> None:
        """Wait for the slot and the model; meanwhile, the client gets heartbeats."""

        async def get_ready() -> None:
            since = time.monotonic()
            await claim.wait(request.priority == "interactive")
            self.metrics.slot_wait.observe(time.monotonic() - since)
            await self.weights.load()

        async def send_heartbeat() -> None:
            await emit(Progress(seconds=request.start))

        try:
            await wait_unless(self.stopping, get_ready(), send_heartbeat, HEARTBEAT_SECONDS)
        except Interrupted:
            raise stopping(request.start) from None

    async def _run(self, transcription: Transcription, name: str) -> Finished:
        started = time.monotonic()
        self._transcriptions.add(transcription)
        try:
            finished = await wait_unless(self._grace_is_over, transcription.run())
        except Interrupted:
            raise stopping(transcription.reached) from None
        finally:
            self._transcriptions.discard(transcription)
            self.metrics.audio_seconds.inc(transcription.received_seconds)
        seconds = max(time.monotonic() - started, 1e-3)
        if transcription.received_seconds:
            self.metrics.real_time_factor.observe(seconds / transcription.received_seconds)
        log.info(
            "%s: finished: %.1f s of audio in %.1f s (%.0f x real time)",
            name, transcription.received_seconds, seconds, transcription.received_seconds / seconds,
        )  # fmt: skip
        return finished

    @contextmanager
    def _report_outcome(self, name: str) -> Iterator[None]:
        """Log and count how a request ends."""
        started, outcome = time.monotonic(), "left"
        try:
            yield
            outcome = "finished"
        except ServiceError as failure:
            outcome = failure.code
            if self.outage_lines.is_new(failure):
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
                log.info("%s: the client left after %.1f s; slot free", name, time.monotonic() - started)
