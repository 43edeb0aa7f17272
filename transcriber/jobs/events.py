"""The events of a transcription, from what was decoded and received."""

from collections.abc import Awaitable, Callable

from reelscribe.contracts.events import UNKNOWN_LANGUAGE, Event, Finished, Segment, Started, Word
from reelscribe.contracts.extractor import ExtractionReceipt
from reelscribe.contracts.speech_without_words import SpeechWithoutWords
from reelscribe.contracts.transcriber import TranscribeFields
from reelscribe.errors import Stopping
from transcriber.audio.vad import SAMPLE_RATE
from transcriber.audio.windows import Timeline
from transcriber.decoding.segments import DecodedSegment

Emit = Callable[[Event], Awaitable[None]]
"""Takes an event to the client; raises :class:`ClientLeft`."""


class ClientLeft(Exception):
    """The client has closed the connection, or reads nothing."""


def segment_event(segment: DecodedSegment, timeline: Timeline, index: int) -> Segment:
    """A segment of a window, with its times in the recording."""
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


def finished_event(
    receipt: ExtractionReceipt,
    request: TranscribeFields,
    samples: int,
    added: int,
    segments: int,
    without_words: SpeechWithoutWords | None,
) -> Finished:
    """The end of a transcription, with the proof of what it covers.

    Args:
        samples: of audio, with silence where the recording has none.
        added: how many of them are silence that was added here, because a track as stored leaves it out.
        segments: emitted.
        without_words: the speech that they do not cover, if that is known.
    """
    covered = samples / SAMPLE_RATE
    lack = without_words.too_long(request.max_speech_without_words) if without_words else None
    return Finished(
        duration=round(request.start + covered, 3),
        segments=segments,
        declared_seconds=receipt.declared_seconds,
        delivered_seconds=receipt.delivered_seconds + added / SAMPLE_RATE,
        covered_seconds=covered,
        samples=receipt.samples,
        sha256=receipt.sha256,
        etag=receipt.etag,
        last_modified=receipt.last_modified,
        size=receipt.size,
        extraction_id=receipt.extraction_id,
        complete=receipt.state == "complete" and not lack,
        reason=receipt.reason or lack,
        track=receipt.track,
        track_choice=receipt.track_choice,
        remarks=receipt.remarks,
        speech_without_words=without_words,
    )


def with_remark_on_language(finished: Finished, started: Started, guessed: int) -> Finished:
    """The end of a transcription, which says if the language of its text is a guess.

    Args:
        guessed: segments that were left out, since their words were a guess too.
    """
    if not started.language_uncertain or not (finished.segments or guessed):
        return finished
    remark = (
        f"the language is uncertain: it was detected as {started.language} with a probability of "
        f"{started.language_probability:.2f}; language names it, languages those to choose from"
        if started.language != UNKNOWN_LANGUAGE
        else "the language is unknown: the first minutes hold no speech; each segment has one that was detected for it"
    )
    if guessed:
        remark += f"; segments left out, since their words are uncertain too: {guessed}"
    return finished.model_copy(update={"remarks": [*finished.remarks, remark]})


def stopping(resume: float) -> Stopping:
    """The failure of a transcription that ends with this process; a new request may start at second ``resume``."""
    return Stopping("this transcriber is shutting down; another one, or this one later, can continue", resume=resume)
