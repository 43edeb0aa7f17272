"""A window of faster-whisper's long-form algorithm: its loops cut, its long segments split, words and all."""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from faster_whisper.tokenizer import Tokenizer
from faster_whisper.transcribe import Segment, Word, get_compression_ratio

from transcriber.decoding.repetition import without_loops
from transcriber.decoding.thresholds import MAX_COMPRESSION_RATIO
from transcriber.decoding.word_times import Aligner

Some = TypeVar("Some", bound=Segment)


def unlooped(window: list[Some], tokenizer: Tokenizer) -> list[Some]:
    """The segments of one window without loops, where all temperatures have failed (see ``repetition``)."""
    if window[0].compression_ratio <= MAX_COMPRESSION_RATIO:
        return window
    kept = set(without_loops([token for segment in window for token in segment.tokens], tokenizer.eot))
    found, offset = [], 0
    for segment in window:
        places = [place for place in range(len(segment.tokens)) if offset + place in kept]
        offset += len(segment.tokens)
        if len(places) < len(segment.tokens):
            segment = _reduced(segment, places, tokenizer)
        if segment.text.strip():
            found.append(segment)
    ratio = get_compression_ratio("".join(segment.text for segment in found).strip())
    return [replace(segment, compression_ratio=ratio) for segment in found]


def split(
    window: list[Some], tokenizer: Tokenizer, aligner: Aligner, encoded: Any, seconds: float, max_seconds: float
) -> Iterator[Some]:
    """The segments of one window, long ones in pieces.

    Args:
        encoded: what the encoder made of the window.
        seconds: where it begins in the audio.
        max_seconds: see :meth:`transcriber.decoding.word_times.Aligner.split`.
    """
    parts = [
        {"of": segment, "start": segment.start - seconds, "end": segment.end - seconds, "tokens": segment.tokens}
        for segment in window
    ]
    aligner.split([parts], [tokenizer], encoded, [30.0], max_seconds)
    for part in parts:
        segment: Some = part["of"]
        if part["tokens"] is segment.tokens:
            yield segment
            continue
        text = tokenizer.decode(part["tokens"])
        start, end = part["start"] + seconds, part["end"] + seconds
        words = _taken(segment.words, len(text)) if segment.words else segment.words
        yield replace(segment, start=start, end=end, text=text, tokens=part["tokens"], words=words)


def _reduced(segment: Some, places: Sequence[int], tokenizer: Tokenizer) -> Some:
    tokens = [segment.tokens[place] for place in places]
    words = segment.words
    if words:
        ends = [len(tokenizer.decode(segment.tokens[: place + 1])) for place in range(len(segment.tokens))]
        starts = [sum(len(word.word) for word in words[:number]) for number in range(len(words))]
        words = [word for word, start in zip(words, starts, strict=True) if bisect_right(ends, start) in places]
    return replace(segment, tokens=tokens, text=tokenizer.decode(tokens), words=words)


def _taken(words: list[Word], length: int) -> list[Word]:
    """The first words, as many as make up a text of that length; the list keeps the others."""
    count, taken = 0, 0
    while count < len(words) and taken < length:
        taken += len(words[count].word)
        count += 1
    first = words[:count]
    del words[:count]
    return first
