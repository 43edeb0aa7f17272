"""One transcription: audio in, windows through the model, events out in order, and the proof of what they cover."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import replace
from typing import Any, NamedTuple, TypeVar

from faster_whisper.vad import VadOptions

from reelscribe.contracts.events import Event, Finished, Progress, Segment, Started, Word
from reelscribe.contracts.extractor import ExtractionReceipt
from reelscribe.contracts.transcriber import TranscribeFields
from reelscribe.errors import Stopping
from transcriber.audio.decoding import Audio, ChunkReader, check_length, sample_stream
from transcriber.audio.vad import SAMPLE_RATE, Samples
from transcriber.audio.windows import (
    MAX_WINDOW_SECONDS,
    VAD_OPTIONS,
    SpeechWindows,
    Timeline,
    WholeWindows,
    Window,
    Windows,
)
from transcriber.decoding.recogniser import DecodingOptions, Recogniser
from transcriber.decoding.recogniser import Segment as LocalSegment
from transcriber.decoding.thresholds import MIN_LOGPROB
from transcriber.jobs.sources import Source
from transcriber.jobs.waiting import waiting_for
from transcriber.metrics import Metrics
from transcriber.model.pool import ModelPool
from transcriber.scheduling.batcher import BatchedLane, Batcher
from transcriber.scheduling.language_detection import LanguageDetection
from transcriber.scheduling.sequential import MAX_BLOCK_SECONDS, MIN_SILENCE_MS, SequentialLane

HEARTBEAT_SECONDS = 4.0
"""Longest silence; a client may count on 5 s."""

READ_AHEAD_SECONDS = 4.0
"""While the model is behind, a chunk is read this often: the extractor ends extractions whose client reads nothing."""

UNKNOWN_LANGUAGE = "und"

Result = TypeVar("Result")

Tell = Callable[[Event], Awaitable[None]]
"""Takes an event to the client; raises :class:`ClientLeft`."""


class ClientLeft(Exception):
    """Nobody is there to be told."""


class Engine(NamedTuple):
    """What all jobs of this machine share."""

    recogniser: Recogniser
    model: ModelPool
    batcher: Batcher
    metrics: Metrics


class _Submitted(NamedTuple):
    timeline: Timeline
    resume: float
    segments: asyncio.Future[list[LocalSegment]]


class _Heard(NamedTuple):
    receipt: ExtractionReceipt
    samples: int


class Job:
    """Transcribes one recording.

    Attributes:
        reached: second of the recording before which every segment has been told; a new request may start there.
        heard_seconds: of audio received so far.

    Args:
        request: which part of it, and how.
        source: of its audio.
        engine: what to do it with.
        tell: takes each event but the last, in order; while it waits, everything before it waits.
    """

    def __init__(self, request: TranscribeFields, source: Source, engine: Engine, tell: Tell) -> None:
        self.reached = request.start
        self.heard_seconds = 0.0
        self._request = request
        self._source = source
        self._engine = engine
        self._tell = tell
        self._telling = asyncio.Lock()
        self._told_at = time.monotonic()
        self._started = False
        self._segments = 0
        self._lane: BatchedLane | SequentialLane | None = None
        self._unsubmitted: list[Window] = []  # until the language is known
        self._detection = LanguageDetection(engine.recogniser, engine.model, None if request.vad else VAD_OPTIONS)
        self._told_window = asyncio.Event()
        self._submitted: asyncio.Queue[_Submitted | None] = asyncio.Queue()
        self._in_work = 0
        self._listening: asyncio.Task[_Heard] | None = None
        self._hung_up = False
        self._stopped = False

    async def run(self) -> Finished:
        """Tell all events, and return the last one.

        Raises:
            ServiceError: why there is no end; what was told up to ``reached`` stays valid.
        """
        if self._stopped:
            raise stopping(self.reached)
        self._listening = listening = asyncio.create_task(self._listen())
        listening.add_done_callback(lambda _: self._submitted.put_nowait(None))
        heartbeat = asyncio.create_task(self._heartbeat())
        heartbeat.add_done_callback(lambda _: self._hang_up())  # the client reads no more: an end, as if it had left
        try:
            await self._report()
            if self._stopped:
                raise stopping(self.reached)
            return self._finished(await listening)
        finally:
            if self._lane:
                self._lane.close()
            self._hang_up()
            heartbeat.cancel()
            await asyncio.gather(listening, heartbeat, return_exceptions=True)

    def stop(self) -> None:
        """Tell what is in the model, then let :meth:`run` raise :class:`reelscribe.errors.Stopping`."""
        self._stopped = True
        if self._lane:
            self._lane.close()
        self._hang_up()

    def _hang_up(self) -> None:
        """End the extraction; once, for a second cancellation would cut short what the first one cleans up."""
        if self._listening and not self._hung_up:
            self._hung_up = True
            self._listening.cancel()

    async def _listen(self) -> _Heard:
        """Audio to windows, until all of it has come."""
        async with self._source.open(self._request) as audio:
            return await self._cut_into_windows(audio)

    async def _cut_into_windows(self, audio: Audio) -> _Heard:
        language = self._request.language or self._engine.recogniser.only_language
        if language:
            await self._begin(audio, language, 1.0)
        windows, samples = self._windows(), 0
        chunks, stream = sample_stream(audio, self._source.audio_format)
        async with stream:
            async for block in stream.blocks():
                samples += len(block)
                self.heard_seconds = samples / SAMPLE_RATE
                for window in await asyncio.to_thread(self._judged, windows.feed, block):
                    await self._submit(window, audio, chunks)
                if not self._in_work and not self._unsubmitted:
                    self.reached = max(self.reached, windows.settled)
        for window in await asyncio.to_thread(self._judged, windows.finish):
            await self._submit(window, audio, chunks)
        if not self._started:
            await self._begin(audio, *(await self._detection.decide() or (UNKNOWN_LANGUAGE, 0.0)))
            await self._submit_held(chunks)
        assert audio.receipt  # the stream has ended without an error
        check_length(audio.receipt, self._source.audio_format, samples)
        return _Heard(audio.receipt, samples)

    def _judged(self, windows: Callable[..., list[Window]], *block: Samples) -> list[Window]:
        with self._engine.metrics.working("vad"):
            return windows(*block)

    def _windows(self) -> Windows:
        longest = MAX_BLOCK_SECONDS if self._request.mode == "sequential" else MAX_WINDOW_SECONDS
        if not self._request.vad:
            return WholeWindows(longest, self._request.start)
        return SpeechWindows(longest, self._request.start, self._vad_options())

    def _vad_options(self) -> VadOptions:
        given = self._request.vad_min_silence_duration_ms
        usual = MIN_SILENCE_MS if self._request.mode == "sequential" else VAD_OPTIONS.min_silence_duration_ms
        return replace(
            VAD_OPTIONS,
            threshold=self._request.vad_threshold,
            min_silence_duration_ms=usual if given is None else given,
            speech_pad_ms=self._request.vad_speech_pad_ms,
        )

    async def _begin(self, audio: Audio, language: str, probability: float) -> None:
        declared = audio.declared_seconds
        self._started = True
        await self._say(
            Started(
                model=self._engine.recogniser.model.name,
                language=language,
                language_probability=probability,
                duration=None if declared is None else self._request.start + declared,
                etag=audio.etag,
            )
        )
        if language != UNKNOWN_LANGUAGE:
            self._lane = self._new_lane(language)

    def _new_lane(self, language: str) -> BatchedLane | SequentialLane:
        request, engine = self._request, self._engine
        options = DecodingOptions(
            None if request.multilingual else language,
            request.task,
            request.initial_prompt,
            request.hotwords,
            request.word_timestamps,
            request.beam_size,
            request.max_segment_seconds,
        )
        if request.mode == "sequential":
            return SequentialLane(engine.recogniser, engine.model, options, request.condition_on_previous_text)
        return engine.batcher.lane(options, request.priority)

    async def _submit(self, window: Window, audio: Audio, chunks: ChunkReader) -> None:
        self._unsubmitted.append(window)
        if not self._lane:
            detected = await self._reading_ahead(self._detection.hear(window.audio), chunks)
            if not detected:
                return
            await self._begin(audio, *detected)
        await self._submit_held(chunks)

    async def _submit_held(self, chunks: ChunkReader) -> None:
        while self._unsubmitted:
            await self._submit_one(self._unsubmitted.pop(0), chunks)

    async def _submit_one(self, window: Window, chunks: ChunkReader) -> None:
        assert self._lane
        while self._in_work >= self._lane.capacity:
            self._told_window.clear()
            await self._reading_ahead(self._told_window.wait(), chunks)
        self._in_work += 1
        segments = self._lane.submit(window)
        self._submitted.put_nowait(_Submitted(window.timeline, window.resume, segments))

    async def _reading_ahead(self, work: Coroutine[Any, Any, Result], chunks: ChunkReader) -> Result:
        return await waiting_for(work, chunks.read_ahead, READ_AHEAD_SECONDS)

    async def _report(self) -> None:
        """The segments of each window, in order, until the audio ends or this job is stopped."""
        while submitted := await self._submitted.get():
            await asyncio.wait([submitted.segments])
            if submitted.segments.cancelled():
                return
            for segment in submitted.segments.result():
                if segment.avg_logprob < MIN_LOGPROB and submitted.timeline.nobody_speaks(segment.start, segment.end):
                    continue  # with vad = false: no model is sure of words in noise
                await self._say(_event(segment, submitted.timeline, self._segments))
                self._segments += 1
            self.reached = submitted.resume
            self._in_work -= 1
            self._told_window.set()
            await self._say(self._progress())

    async def _heartbeat(self) -> None:
        while True:
            quiet = time.monotonic() - self._told_at
            if quiet >= HEARTBEAT_SECONDS:
                await self._say(self._progress())
            await asyncio.sleep(max(0.1, HEARTBEAT_SECONDS - quiet))

    def _progress(self) -> Progress:
        return Progress(seconds=round(self.reached, 3))

    async def _say(self, event: Event) -> None:
        async with self._telling:
            self._told_at = time.monotonic()
            await self._tell(event)

    def _finished(self, heard: _Heard) -> Finished:
        receipt = heard.receipt
        delivered = heard.samples / SAMPLE_RATE
        return Finished(
            duration=round(self._request.start + delivered, 3),
            segments=self._segments,
            declared_seconds=receipt.declared_seconds,
            delivered_seconds=receipt.delivered_seconds,
            covered_seconds=delivered,
            samples=receipt.samples,
            sha256=receipt.sha256,
            etag=receipt.etag,
            last_modified=receipt.last_modified,
            size=receipt.size,
            extraction_id=receipt.extraction_id,
            complete=receipt.state == "complete",
            reason=receipt.reason,
        )


def stopping(resume: float) -> Stopping:
    """What a client is told whose job ends with this machine; a new request may start at ``resume``."""
    return Stopping("this transcriber is shutting down; another one, or this one later, can go on", resume=resume)


def _event(segment: LocalSegment, timeline: Timeline, index: int) -> Segment:
    """A segment of a window as an event, with its times in the recording."""
    words = None
    start, end = timeline.span(segment.start, segment.end)
    if segment.words is not None:
        words = [_word(word.start, word.end, word.word, word.probability, timeline) for word in segment.words]
        if words:
            start, end = words[0].start, words[-1].end
    return Segment(
        index=index,
        start=start,
        end=end,
        text=segment.text.strip(),
        tokens=list(segment.tokens),
        words=words,
        avg_logprob=float(segment.avg_logprob),
        no_speech_prob=float(segment.no_speech_prob),
        compression_ratio=float(segment.compression_ratio),
        temperature=float(segment.temperature or 0.0),
        language=segment.language,
    )


def _word(start: float, end: float, word: str, probability: float, timeline: Timeline) -> Word:
    start, end = timeline.word_span(float(start), float(end))
    return Word(start=start, end=end, word=word, probability=float(probability))
