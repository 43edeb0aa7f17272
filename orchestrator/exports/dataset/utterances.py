"""Utterances of a transcript: cut at pauses, neither too short nor too long, and sure enough."""

import math
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

from orchestrator.exports.dataset.plan import SpeechSettings, Utterance
from reelscribe.contracts.events import Segment
from reelscribe.text.running_text import running_text


class Unit(NamedTuple):
    """What is never cut: a word, or a segment whose words have no times. ``weight`` is its share in a mean."""

    start: float
    end: float
    text: str
    confidence: float
    weight: float
    language: str
    begins_segment: bool


class Cut(NamedTuple):
    """The utterances of a recording, and how many were left out, by reason."""

    utterances: list[Utterance]
    left_out: dict[str, int]


def cut(
    segments: Iterable[Segment], language: str, settings: SpeechSettings, start: float = 0.0, end: float = math.inf
) -> Cut:
    """The utterances of these segments that are in the part from ``start`` to ``end``.

    A new one begins after each pause. One that is too long is cut at its longest pause, of equal ones at that nearest
    to its middle. Where nothing is said around it, ``margin`` of the sound goes with it, half of the pause at most.
    """
    left_out: dict[str, int] = {}
    kept: list[Utterance] = []
    runs = [part for run in _runs(_units(segments, language), settings.pause) for part in _fitting(run, settings)]
    for position, run in enumerate(runs):
        before = runs[position - 1][-1].end if position else 0.0
        after = runs[position + 1][0].start if position + 1 < len(runs) else math.inf
        utterance = _utterance(run, before, after, settings.margin)
        if utterance.end <= start or utterance.start >= end:
            continue
        if utterance.start < start or utterance.end > end:
            left_out["across_an_edge"] = left_out.get("across_an_edge", 0) + 1
        elif reason := _reason_to_leave_out(utterance, settings):
            left_out[reason] = left_out.get(reason, 0) + 1
        else:
            kept.append(utterance)
    return Cut(kept, left_out)


def _units(segments: Iterable[Segment], language: str) -> Iterator[Unit]:
    end = 0.0
    for segment in segments:
        of_segment = segment.language or language
        if segment.words:
            pieces = [(word.start, word.end, word.word, word.probability, 1.0) for word in segment.words]
        else:
            seconds = max(segment.end - segment.start, 0.01)
            pieces = [(segment.start, segment.end, segment.text.strip(), math.exp(segment.avg_logprob), seconds)]
        for number, (start, stop, text, confidence, weight) in enumerate(pieces):
            start = max(start, end)  # times of words may overlap by some hundredths
            stop = max(stop, start)
            if text.strip():
                yield Unit(start, stop, text, confidence, weight, of_segment, number == 0)
                end = stop


def _runs(units: Iterable[Unit], pause: float) -> Iterator[list[Unit]]:
    run: list[Unit] = []
    for unit in units:
        if run and (unit.start - run[-1].end >= pause or unit.language != run[-1].language):
            yield run
            run = []
        run.append(unit)
    if run:
        yield run


def _fitting(run: list[Unit], settings: SpeechSettings) -> Iterator[list[Unit]]:
    """The run in parts that are not too long; a single unit stays as it is."""
    longest = settings.max_seconds - 2 * settings.margin
    pending = [run]
    while pending:
        part = pending.pop()
        if len(part) == 1 or part[-1].end - part[0].start <= longest:
            yield part
            continue
        middle = (part[0].start + part[-1].end) / 2
        gaps = [(after.start - before.end, -abs(after.start - middle)) for before, after in pairwise(part)]
        at = gaps.index(max(gaps)) + 1
        pending += [part[at:], part[:at]]


def _utterance(run: Sequence[Unit], before: float, after: float, margin: float) -> Utterance:
    start, end = run[0].start, run[-1].end
    weight = sum(unit.weight for unit in run)
    return Utterance(
        start=round(start - min(margin, max(start - before, 0) / 2), 6),
        end=round(end + min(margin, max(after - end, 0) / 2), 6),
        text=running_text(_texts(run)),
        language=run[0].language,
        confidence=round(sum(unit.confidence * unit.weight for unit in run) / weight, 6),
    )


def _texts(run: Sequence[Unit]) -> list[str]:
    """The text of each segment; words hold their own spaces."""
    texts: list[str] = []
    for unit in run:
        if unit.begins_segment or not texts:
            texts.append("")
        texts[-1] += unit.text
    return [" ".join(text.split()) for text in texts]


def _reason_to_leave_out(utterance: Utterance, settings: SpeechSettings) -> str | None:
    seconds = utterance.end - utterance.start
    if seconds < settings.min_seconds:
        return "too_short"
    if seconds > settings.max_seconds:
        return "too_long"
    if settings.min_confidence is not None and utterance.confidence < settings.min_confidence:
        return "not_confident"
    return None
