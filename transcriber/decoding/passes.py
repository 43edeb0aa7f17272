"""The calls of the model that a window takes, one after the other: the first pass, what it leaves over, and a second.

Each window says what its next call is (see :class:`Call`), and windows of all transcriptions share calls of the model.
"""

from collections.abc import Generator
from dataclasses import replace
from typing import NamedTuple

from faster_whisper.tokenizer import Tokenizer

from transcriber.audio.mel import MelWindow
from transcriber.decoding.options import SURE_TEMPERATURES, WIDE_BEAM, DecodingOptions
from transcriber.decoding.rests import joined
from transcriber.decoding.second_pass import Outcome, better, is_poor
from transcriber.decoding.segments import SHORTEST_REST_SECONDS, DecodedSegment
from transcriber.decoding.thresholds import MIN_LOGPROB

MAX_RESTS = 4
"""Calls of the model for what others leave over of one window."""
LEAST_IMPROBABLE_SECONDS = 1.0
"""Of speech that was left over; with less, text below Whisper's threshold is none."""


class Call(NamedTuple):
    """What the model is to decode next of a window.

    Attributes:
        keep_rest: take the text after the last pair of timestamps as it is; there is no further call.
    """

    window: MelWindow
    options: DecodingOptions
    keep_rest: bool = False


class Passes:
    """One window on its way through the model.

    Attributes:
        call: the next one; None once the segments are there.
        segments: of the window, once no call is left.
    """

    def __init__(self, window: MelWindow, options: DecodingOptions, tokenizer: Tokenizer, fitted: bool) -> None:
        self._steps = _window(window, options, tokenizer, fitted)
        self.call: Call | None = next(self._steps)
        self.segments: list[DecodedSegment] = []

    def take(self, outcome: Outcome) -> None:
        """Take what has come out of the call; there may be another one after it."""
        try:
            self.call = self._steps.send(outcome)
        except StopIteration as end:
            self.call, self.segments = None, end.value.segments


_Steps = Generator[Call, Outcome, Outcome]


def _window(window: MelWindow, options: DecodingOptions, tokenizer: Tokenizer, fitted: bool) -> _Steps:
    first = yield from _to_its_end(window, options, tokenizer, fitted)
    if not is_poor(window, first, tokenizer.eot):
        return first
    second = yield from _to_its_end(window.in_full_context(), _of_second_pass(options), tokenizer, fitted=False)
    return better(window, first, second, tokenizer.eot)


def _to_its_end(window: MelWindow, options: DecodingOptions, tokenizer: Tokenizer, fitted: bool) -> _Steps:
    """What a call of the model leaves over goes through the next one."""
    outcome = yield Call(window, options)
    for turn in range(MAX_RESTS):
        if window.seconds - outcome.settled <= SHORTEST_REST_SECONDS:
            break
        rest = window.rest(outcome.settled, fitted)
        decoded = yield Call(rest, _with_wide_beam(options), keep_rest=turn == MAX_RESTS - 1)
        if _is_guess(rest, decoded):
            return outcome._replace(settled=window.seconds)
        outcome = joined(outcome, decoded, tokenizer)
    return outcome


def _is_guess(rest: MelWindow, decoded: Outcome) -> bool:
    """Whether so little speech was left over, and so improbable is its text, that it was a noise at the end."""
    spoken = rest.speech_between(0.0, rest.seconds)
    return spoken < LEAST_IMPROBABLE_SECONDS and any(one.avg_logprob < MIN_LOGPROB for one in decoded.segments)


def _with_wide_beam(options: DecodingOptions) -> DecodingOptions:
    return replace(options, beam_size=max(options.beam_size, WIDE_BEAM))


def _of_second_pass(options: DecodingOptions) -> DecodingOptions:
    """Without a prompt, which may be repeated in place of what is said, and without what ``better`` would not take."""
    return replace(
        _with_wide_beam(options), initial_prompt=None, hotwords=None, fallback_temperatures=SURE_TEMPERATURES
    )
