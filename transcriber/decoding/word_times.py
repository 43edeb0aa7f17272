"""The times of the words in decoded windows, and long segments cut between words."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import takewhile
from math import ceil
from statistics import median
from typing import Any

from faster_whisper import WhisperModel
from faster_whisper.tokenizer import Tokenizer
from faster_whisper.transcribe import merge_punctuations

from reelscribe.text.punctuation import CLAUSE_ENDS, SENTENCE_ENDS

PREPENDED_PUNCTUATION = "\"'“¿([{-"
APPENDED_PUNCTUATION = "\"'.。,，!！?？:：”)]}、"  # noqa: RUF001

MAX_WORD_SECONDS = 2.0
"""What is aligned as longer holds sounds for which the model has no word."""

FOLLOWING_SECONDS = 1.0
"""Of the sound of later words: without any, the last word is aligned with too little of its own."""

Part = dict[str, Any]
"""A segment as faster-whisper hands it around: ``seek``, ``start``, ``end``, ``tokens``, perhaps ``words``."""


class Aligner:
    """Aligns words with the audio. Call it from the model's threads only.

    All methods take one batch of windows: their parts, their tokenizers (one object for each language), the output of
    the encoder for all of them, and their lengths in seconds.
    """

    def __init__(self, whisper: WhisperModel) -> None:
        self._whisper = whisper

    def split(
        self,
        windows: list[list[Part]],
        tokenizers: Sequence[Tokenizer],
        encoded: Any,
        seconds: Sequence[float],
        max_seconds: float,
    ) -> None:
        """Cut parts that are longer than ``max_seconds`` between words, preferably at the end of a sentence.

        Each token stays, in one part. A word that is longer by itself is not cut.
        """
        wanted = [any(part["end"] - part["start"] > max_seconds for part in parts) for parts in windows]
        words_of = self.words_of_each(windows, tokenizers, encoded, seconds, wanted)
        for parts, words, tokenizer, long in zip(windows, words_of, tokenizers, wanted, strict=True):
            if long:
                merge_punctuations(words, PREPENDED_PUNCTUATION, APPENDED_PUNCTUATION)
                parts[:] = _cut(parts, [word for word in words if word["tokens"]], tokenizer, max_seconds)

    def words_of_each(
        self,
        windows: Sequence[list[Part]],
        tokenizers: Sequence[Tokenizer],
        encoded: Any,
        seconds: Sequence[float],
        wanted: Sequence[bool],
    ) -> list[list[Part]]:
        """The words of each window that is wanted, as in :meth:`words`; none of the others."""
        found: list[list[Part]] = [[] for _ in windows]
        for tokenizer in _distinct(tokenizers, wanted):
            chosen = [one is tokenizer and here for one, here in zip(tokenizers, wanted, strict=True)]
            texts = [
                [token for part in parts for token in _text(part, tokenizer)] if here else []
                for parts, here in zip(windows, chosen, strict=True)
            ]
            alignments = self._whisper.find_alignment(tokenizer, texts, encoded, self._frames(seconds))
            for number, (words, here) in enumerate(zip(alignments, chosen, strict=True)):
                if here:
                    found[number] = [word for word in words if word["tokens"]]
        return found

    def words(self, parts: list[Part], tokenizer: Tokenizer, encoded: Any, seconds: float) -> list[Part]:
        """The words of one window, each with ``word``, ``tokens``, ``start`` and ``end``."""
        text = [token for part in parts for token in _text(part, tokenizer)]
        (words,) = self._whisper.find_alignment(tokenizer, [text], encoded, self._frames([seconds]))
        return [word for word in words if word["tokens"]]

    def add_words(
        self,
        windows: list[list[Part]],
        tokenizers: Sequence[Tokenizer],
        encoded: Any,
        seconds: Sequence[float],
        settled: Sequence[float],
    ) -> None:
        """Give each part its ``words``, and start and end with them.

        Args:
            settled: second of each window up to which its words are in the parts: the last one would take the sound
                of those after it.
        """
        ends = [min(ceil(length), end + FOLLOWING_SECONDS) for length, end in zip(seconds, settled, strict=True)]
        frames = [int(end * self._whisper.frames_per_second) for end in ends]
        # faster-whisper trims a first word after a pause, and measures that pause from the last word of the window
        # before. Windows of a batch may be of different recordings, so each is moved to a minute after the one before:
        # it always begins after a pause, whatever else is in the batch.
        for number, parts in enumerate(windows, start=1):
            _move(parts, 60 * number, self._whisper.frames_per_second)
        for tokenizer in _distinct(tokenizers, [True] * len(windows)):
            others: Part = {"seek": 0, "start": 0.0, "end": 0.0, "tokens": []}
            chosen = [
                parts if one is tokenizer else [{**others}] for parts, one in zip(windows, tokenizers, strict=True)
            ]
            self._whisper.add_word_timestamps(
                chosen, tokenizer, encoded, frames, PREPENDED_PUNCTUATION, APPENDED_PUNCTUATION, 0.0
            )
        for number, parts in enumerate(windows, start=1):
            _move(parts, -60 * number, self._whisper.frames_per_second)
            for word in (word for part in parts for word in part["words"]):
                word["end"] = min(word["end"], word["start"] + MAX_WORD_SECONDS)

    def _frames(self, seconds: Sequence[float]) -> list[int]:
        return [ceil(length) * self._whisper.frames_per_second for length in seconds]


def _distinct(tokenizers: Sequence[Tokenizer], wanted: Sequence[bool]) -> list[Tokenizer]:
    return list({id(one): one for one, here in zip(tokenizers, wanted, strict=True) if here}.values())


def _move(parts: list[Part], seconds: int, frames_per_second: int) -> None:
    for part in parts:
        part["seek"] += seconds * frames_per_second
        for times in (part, *part.get("words", ())):
            times["start"] += seconds
            times["end"] += seconds


def _text(part: Part, tokenizer: Tokenizer) -> list[int]:
    return [token for token in part["tokens"] if token < tokenizer.eot]


def _cut(parts: list[Part], words: list[Part], tokenizer: Tokenizer, max_seconds: float) -> Iterator[Part]:
    """The parts, long ones in pieces; ``words`` are those of all parts."""
    remaining = iter(words)
    owed = 0  # tokens of a word that began in the part before
    for part in parts:
        own, length = [], len(_text(part, tokenizer))
        starts_with_word = not owed
        while owed < length and (word := next(remaining, None)):
            own.append(word)
            owed += len(word["tokens"])
        owed -= length
        if starts_with_word and not owed and own and part["end"] - part["start"] > max_seconds:
            yield from _pieces(part, own, tokenizer, max_seconds)
        else:
            yield part


def _pieces(part: Part, words: list[Part], tokenizer: Tokenizer, max_seconds: float) -> list[Part]:
    tokens: list[int] = part["tokens"]
    before = list(takewhile(lambda token: token >= tokenizer.eot, tokens))
    after = list(takewhile(lambda token: token >= tokenizer.eot, reversed(tokens)))[::-1]
    longest = _longest(words)
    inside = [{**word, "start": _within(part, word["start"]), "end": _within(part, word["end"])} for word in words]
    pieces = [
        {
            **part,
            "start": _within(
                part, max(group[0]["start"], group[0]["end"] - longest) if group[1:] else group[0]["start"]
            ),
            "end": _within(part, min(group[-1]["end"], group[-1]["start"] + longest)),
            "tokens": [token for word in group for token in word["tokens"]],
        }
        for group in _with_length(grouped(inside, max_seconds))
    ]
    pieces[0]["tokens"] = before + pieces[0]["tokens"]
    pieces[-1]["tokens"] += after
    return pieces


def _with_length(groups: Iterable[Sequence[Part]]) -> list[list[Part]]:
    """The groups; one that takes no time, as of a word that the alignment puts before its part, is joined with the one
    before it, or as the first with the one after it.
    """
    joined: list[list[Part]] = []
    for group in groups:
        if joined and any(one[-1]["end"] <= one[0]["start"] for one in (joined[-1], group)):
            joined[-1] += group
        else:
            joined.append([*group])
    return joined


def _within(part: Part, time: float) -> float:
    return float(min(max(part["start"], time), part["end"]))


def _longest(words: Sequence[Part]) -> float:
    """Seconds that a word may take; the rest is a pause, which the alignment gives to one of the words around it.

    faster-whisper's rule: twice the median, which is 0.7 s at most.
    """
    lengths = [word["end"] - word["start"] for word in words if word["end"] > word["start"]]
    return 2 * min(0.7, median(lengths)) if lengths else 0.0


def grouped(words: Sequence[Part], max_seconds: float) -> Iterator[Sequence[Part]]:
    """The words in groups of at most ``max_seconds`` and of similar length.

    Cut at the end of a sentence, else of a clause, else in the longest pause; then nearest to the even share.
    """
    while words:
        start, total = words[0]["start"], words[-1]["end"] - words[0]["start"]
        if total <= max_seconds or len(words) == 1:
            yield words
            return
        share = total / ceil(total / max_seconds)
        fitting = [count for count in range(1, len(words)) if words[count - 1]["end"] - start <= max_seconds] or [1]
        count = max(
            [count for count in fitting if words[count - 1]["end"] - start >= share / 3] or fitting[-1:],
            key=lambda count: (*_break(words, count), -abs(words[count - 1]["end"] - start - share)),
        )
        yield words[:count]
        words = words[count:]


def _break(words: Sequence[Part], count: int) -> tuple[int, float]:
    """How good a cut after the first ``count`` words would be."""
    before = words[count - 1]["word"].rstrip("\"'”’)]} ")  # noqa: RUF001
    if before.endswith(SENTENCE_ENDS):
        return 2, 0.0
    if before.endswith(CLAUSE_ENDS):
        return 1, 0.0
    return 0, round(float(words[count]["start"] - words[count - 1]["end"]), 2)
