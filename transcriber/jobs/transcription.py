"""One transcription: audio in, windows through the model, events out in order, and the proof of what they cover."""

import asyncio
import time
from collections.abc import Callable, Coroutine
from typing import Any, NamedTuple, TypeVar

from reelscribe.contracts.events import SURE_PROBABILITY, Event, Finished, Progress, Started
from reelscribe.contracts.extractor import ExtractionReceipt
from reelscribe.contracts.speech_without_words import SpeechWithoutWords
from reelscribe.contracts.transcriber import TranscribeFields
from transcriber.audio.decoding import AudioStream, ChunkReader, check_length, sample_stream
from transcriber.audio.vad import SAMPLE_RATE, Samples
from transcriber.audio.windows import VAD_OPTIONS, Timeline, Window
from transcriber.decoding.recogniser import Recogniser
from transcriber.decoding.second_pass import POOR_LOGPROB
from transcriber.decoding.segments import DecodedSegment
from transcriber.decoding.thresholds import MAX_NO_SPEECH_PROB, MIN_LOGPROB
from transcriber.decoding.uncovered import Times, UncoveredSpeech
from transcriber.jobs.events import Emit, finished_event, segment_event, stopping, with_remark_on_language
from transcriber.jobs.request_options import decoding_options, make_windows
from transcriber.jobs.sources import AudioSource
from transcriber.jobs.waiting import wait_while_calling
from transcriber.metrics import Metrics
from transcriber.model.pool import ModelPool
from transcriber.scheduling.batcher import Batcher, WindowQueue
from transcriber.scheduling.language_detection import LanguageDetection
from transcriber.scheduling.sequential import SequentialQueue

HEARTBEAT_SECONDS = 4.0
"""Longest time without an event; a client may rely on 5 s."""

READ_AHEAD_SECONDS = 4.0
"""While the model is behind, a chunk is read this often: the extractor ends extractions whose client reads nothing."""

Result = TypeVar("Result")


class Engine(NamedTuple):
    """What all transcriptions of this process share."""

    recogniser: Recogniser
    model: ModelPool
    batcher: Batcher
    metrics: Metrics


class _SubmittedWindow(NamedTuple):
    timeline: Timeline
    speech: list[Times]
    resume: float
    segments: asyncio.Future[list[DecodedSegment]]


class _ReceivedAudio(NamedTuple):
    receipt: ExtractionReceipt
    samples: int
    decoded: int


class Transcription:
    """One request to transcribe a recording.

    Attributes:
        reached: second of the recording before which every segment has been emitted; a new request may start there.
        received_seconds: of audio so far.

    Args:
        request: which part of the recording, and how.
        source: of its audio.
        engine: to transcribe it with.
        emit: takes each event but the last, in order; while it waits, everything before it waits.
    """

    def __init__(self, request: TranscribeFields, source: AudioSource, engine: Engine, emit: Emit) -> None:
        self.reached = request.start
        self.received_seconds = 0.0
        self._request = request
        self._source = source
        self._engine = engine
        self._send = emit
        self._emitting = asyncio.Lock()
        self._emitted_at = time.monotonic()
        self._started: Started | None = None
        self._segments = 0
        self._guessed = 0
        self._uncovered = UncoveredSpeech() if request.vad else None
        self._reported: SpeechWithoutWords | None = None
        self._queue: WindowQueue | SequentialQueue | None = None
        self._unsubmitted: list[Window] = []  # until the language is known
        self._detection = LanguageDetection(
            engine.recogniser, engine.model, None if request.vad else VAD_OPTIONS, request.languages
        )
        self._window_done = asyncio.Event()
        self._submitted: asyncio.Queue[_SubmittedWindow | None] = asyncio.Queue()
        self._windows_in_work = 0
        self._reading: asyncio.Task[_ReceivedAudio] | None = None
        self._reading_ended = False
        self._stopped = False

    async def run(self) -> Finished:
        """Emit all events but the last, and return that one.

        Raises:
            ServiceError: why it did not finish; what was emitted up to ``reached`` stays valid.
        """
        if self._stopped:
            raise stopping(self.reached)
        self._reading = reading = asyncio.create_task(self._read())
        reading.add_done_callback(lambda _: self._submitted.put_nowait(None))
        heartbeat = asyncio.create_task(self._heartbeat())
        heartbeat.add_done_callback(lambda _: self._end_reading())  # it ends if the client has left, or reads nothing
        try:
            await self._emit_segments()
            if self._stopped:
                raise stopping(self.reached)
            receipt, samples, decoded = await reading
            without_words = self._uncovered.report if self._uncovered else None
            finished = finished_event(receipt, self._request, samples, samples - decoded, self._segments, without_words)
            assert self._started  # it is read to its end
            return with_remark_on_language(finished, self._started, self._guessed)
        finally:
            if self._queue:
                self._queue.close()
            self._end_reading()
            heartbeat.cancel()
            await asyncio.gather(reading, heartbeat, return_exceptions=True)

    def stop(self) -> None:
        """Emit what is in the model, then let :meth:`run` raise :class:`reelscribe.errors.Stopping`."""
        self._stopped = True
        if self._queue:
            self._queue.close()
        self._end_reading()

    def _end_reading(self) -> None:
        """End the extraction; once, because a second cancellation would interrupt the clean-up of the first one."""
        if self._reading and not self._reading_ended:
            self._reading_ended = True
            self._reading.cancel()

    async def _read(self) -> _ReceivedAudio:
        """Audio to windows, until all of it has come."""
        async with self._source.open(self._request) as audio:
            return await self._cut_into_windows(audio)

    async def _cut_into_windows(self, audio: AudioStream) -> _ReceivedAudio:
        (chosen,) = self._request.languages if len(self._request.languages) == 1 else (None,)
        if language := self._request.language or chosen or self._engine.recogniser.only_language:
            await self._start(audio, language, 1.0)
        windows, samples = make_windows(self._request), 0
        chunks, stream = sample_stream(audio, self._source.audio_format, self._request.start)
        async with stream:
            async for block in stream.blocks():
                samples += len(block)
                self.received_seconds = samples / SAMPLE_RATE
                for window in await asyncio.to_thread(self._cut, windows.feed, block):
                    await self._submit(window, audio, chunks)
                if not self._windows_in_work and not self._unsubmitted:
                    self.reached = max(self.reached, windows.settled)
        for window in await asyncio.to_thread(self._cut, windows.finish):
            await self._submit(window, audio, chunks)
        if not self._started:
            await self._start(audio, *self._detection.decide())
            await self._submit_held(chunks)
        assert audio.receipt  # the stream has ended without an error
        check_length(audio.receipt, self._source.audio_format, stream.decoded, stream.damaged)
        return _ReceivedAudio(audio.receipt, samples, stream.decoded)

    def _cut(self, take: Callable[..., list[Window]], *block: Samples) -> list[Window]:
        with self._engine.metrics.working("vad"):
            return take(*block)

    async def _start(self, audio: AudioStream, language: str, probability: float) -> None:
        declared = audio.declared_seconds
        self._started = Started(
            model=self._engine.recogniser.model.name,
            language=language,
            language_probability=probability,
            language_uncertain=probability < SURE_PROBABILITY,
            duration=None if declared is None else self._request.start + declared,
            etag=audio.etag,
            vocabulary=len(self._request.vocabulary),
        )
        await self._emit(self._started)
        self._queue = self._open_queue(language)

    def _open_queue(self, language: str) -> WindowQueue | SequentialQueue:
        request, engine = self._request, self._engine
        options = decoding_options(request, language, engine.recogniser.model.device)
        if request.mode == "sequential":
            return SequentialQueue(engine.recogniser, engine.model, options, request.condition_on_previous_text)
        return engine.batcher.open_queue(options, request.priority)

    async def _submit(self, window: Window, audio: AudioStream, chunks: ChunkReader) -> None:
        self._unsubmitted.append(window)
        if not self._queue:
            detected = await self._reading_ahead(self._detection.add(window), chunks)
            if not detected:
                return
            await self._start(audio, *detected)
        await self._submit_held(chunks)

    async def _submit_held(self, chunks: ChunkReader) -> None:
        while self._unsubmitted:
            await self._submit_one(self._unsubmitted.pop(0), chunks)

    async def _submit_one(self, window: Window, chunks: ChunkReader) -> None:
        assert self._queue
        while self._windows_in_work >= self._queue.capacity:
            self._window_done.clear()
            await self._reading_ahead(self._window_done.wait(), chunks)
        self._windows_in_work += 1
        segments = self._queue.submit(window)
        speech = [window.timeline.span(*stretch) for stretch in window.speech]
        self._submitted.put_nowait(_SubmittedWindow(window.timeline, speech, window.resume, segments))

    async def _reading_ahead(self, work: Coroutine[Any, Any, Result], chunks: ChunkReader) -> Result:
        return await wait_while_calling(work, chunks.read_ahead, READ_AHEAD_SECONDS)

    async def _emit_segments(self) -> None:
        """Those of each window, in order, until the audio ends or this transcription is stopped."""
        while submitted := await self._submitted.get():
            await asyncio.wait([submitted.segments])
            if submitted.segments.cancelled():
                return
            covered: list[Times] = []
            for segment in submitted.segments.result():
                if is_invented(segment, submitted.timeline):
                    continue
                if self._is_guessed(segment):
                    self._guessed += 1
                    continue
                event = segment_event(segment, submitted.timeline, self._segments)
                await self._emit(event)
                self._segments += 1
                covered.append((event.start, event.end))
            self.reached = submitted.resume
            self._windows_in_work -= 1
            self._window_done.set()
            await self._emit(self._progress(self._newly_without_words(submitted.speech, covered)))

    def _is_guessed(self, segment: DecodedSegment) -> bool:
        """Whether neither the language nor the words are more than a guess, as of noise and music that VAD takes for
        speech. In sequential mode, later text builds on it; with ``multilingual``, its language is another one.
        """
        request, highest = self._request, self._detection.highest
        if not request.vad or request.multilingual or request.mode == "sequential" or highest is None:
            return False
        return highest < SURE_PROBABILITY and segment.avg_logprob < POOR_LOGPROB

    def _newly_without_words(self, speech: list[Times], covered: list[Times]) -> SpeechWithoutWords | None:
        """All speech without words up to the end of this window, if the window has added to it."""
        if not self._uncovered:
            return None
        self._uncovered.add(speech, covered)
        known, self._reported = self._reported, self._uncovered.report
        return None if known == self._reported else self._reported

    async def _heartbeat(self) -> None:
        while True:
            quiet = time.monotonic() - self._emitted_at
            if quiet >= HEARTBEAT_SECONDS:
                await self._emit(self._progress())
            await asyncio.sleep(max(0.1, HEARTBEAT_SECONDS - quiet))

    def _progress(self, without_words: SpeechWithoutWords | None = None) -> Progress:
        return Progress(seconds=round(self.reached, 3), speech_without_words=without_words)

    async def _emit(self, event: Event) -> None:
        async with self._emitting:
            self._emitted_at = time.monotonic()
            await self._send(event)


def is_invented(segment: DecodedSegment, timeline: Timeline) -> bool:
    """Whether text is of noise or music, with ``vad = false``: no speech by Silero VAD, and none by Whisper either.

    Whisper may be sure of such text: "You" in silence has an average log probability above its threshold.
    """
    unsure = segment.avg_logprob < MIN_LOGPROB or segment.no_speech_prob > MAX_NO_SPEECH_PROB
    return unsure and timeline.is_silent(segment.start, segment.end)
