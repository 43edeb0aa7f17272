"""Which calls of the model a window takes, and what becomes of their outcomes."""

from types import SimpleNamespace
from typing import Any

import numpy as np

from transcriber.audio.mel import MelWindow
from transcriber.decoding.options import SURE_TEMPERATURES, WIDE_BEAM, DecodingOptions
from transcriber.decoding.passes import MAX_RESTS, Call, Passes
from transcriber.decoding.second_pass import Outcome, Span
from transcriber.decoding.segments import DecodedSegment

HINTED = DecodingOptions("en", initial_prompt="In the garden.", hotwords="lemon", beam_size=2)
WINDOW = MelWindow(np.zeros((80, 2000), np.float32), 18.0, ((0.5, 17.5),))


def begin() -> Passes:
    return Passes(WINDOW, HINTED, SimpleNamespace(eot=1000), fitted=True)


def called(passes: Passes) -> Call:
    assert passes.call
    return passes.call


def outcome(text: str, end: float, settled: float, tokens: int = 60, first: int = 0) -> Outcome:
    segment = DecodedSegment(
        id=0, seek=0, start=0.0, end=end, text=text, tokens=list(range(first, first + tokens)), avg_logprob=-0.2,
        compression_ratio=1.0, no_speech_prob=0.0, words=None, temperature=0.0,
    )  # fmt: skip
    return Outcome([segment], [Span(0.0, end, tokens)], settled)


def texts(passes: Passes) -> list[str]:
    return [segment.text for segment in passes.segments]


def test_a_window_that_comes_out_well_takes_one_call() -> None:
    passes = begin()
    assert called(passes) == Call(WINDOW, HINTED)
    passes.take(outcome("all of it", 17.5, 18.0))
    assert (passes.call, texts(passes)) == (None, ["all of it"])


def test_what_is_left_over_takes_another_call_with_a_wide_beam_and_the_same_hints() -> None:
    passes = begin()
    passes.take(outcome("the first part,", 11.8, 12.0))
    rest = called(passes)
    assert (rest.window.seconds, rest.window.frames, rest.window.speech) == (6.0, 1000, ((0.0, 5.5),))
    assert (rest.options.beam_size, rest.options.hotwords) == (WIDE_BEAM, "lemon")
    passes.take(outcome("and the rest", 5.5, 6.0, first=100))
    assert (passes.call, texts(passes)) == (None, ["the first part,", "and the rest"])


def test_improbable_text_of_less_than_a_second_that_was_left_over_is_none() -> None:
    """tiny.en wrote "Both of thee.", and base "de la distancia", of half a second after the last word."""
    for settled, kept in ((17.0, ["the first part,"]), (15.0, ["the first part,", "and the rest"])):
        passes = begin()
        passes.take(outcome("the first part,", settled, settled))
        rest = outcome("and the rest", 17.5 - settled, 18.0 - settled, first=100)
        rest.segments[0].avg_logprob = -1.1
        passes.take(rest)
        assert (passes.call, texts(passes)) == (None, kept)


def test_the_last_of_several_rests_is_taken_as_it_is() -> None:
    passes = begin()
    kept: list[Any] = []
    passes.take(outcome("0", 2.0, 2.0, 8))
    while called(passes).window.seconds > 10 or len(kept) < MAX_RESTS:
        kept.append(called(passes).keep_rest)
        passes.take(outcome(str(len(kept)), 2.0, 2.0, 8))
        if not passes.call or passes.call.window.seconds == 18.0:
            break
    assert kept == [False] * (MAX_RESTS - 1) + [True]


def test_a_poor_window_is_decoded_again_in_full_context_with_a_wide_beam_and_without_hints() -> None:
    passes = begin()
    passes.take(outcome("lemon", 5.0, 18.0))
    second = called(passes)
    assert second.window.frames == 3000
    assert second.options == DecodingOptions("en", beam_size=WIDE_BEAM, fallback_temperatures=SURE_TEMPERATURES)
    passes.take(outcome("all of it", 17.5, 18.0))
    assert (passes.call, texts(passes)) == (None, ["all of it"])


def test_a_second_pass_that_is_no_better_is_not_taken() -> None:
    passes = begin()
    passes.take(outcome("most of it", 10.0, 18.0))
    passes.take(outcome("less of it", 8.0, 18.0))
    assert (passes.call, texts(passes)) == (None, ["most of it"])
