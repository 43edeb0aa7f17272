"""What a call of the model leaves over at the end of a window goes through it once more."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from faster_whisper.transcribe import Word

from tests.transcriber.conftest import decoded, words_wrong
from tests.transcriber.peer import recording
from transcriber.audio.mel import MelWindow
from transcriber.decoding.options import DecodingOptions
from transcriber.decoding.passes import Call
from transcriber.decoding.recogniser import Recogniser
from transcriber.decoding.rests import joined
from transcriber.decoding.second_pass import Outcome, Span
from transcriber.decoding.segments import (
    OVERLAP_SECONDS,
    Cut,
    DecodedSegment,
    DecodedWindow,
    cut_at_timestamps,
    end_in_last_word,
)
from transcriber.model.loading import LoadedModel

ENGLISH = DecodingOptions("en")
SHORT = ["The green hammer was empty and expensive.", "Why was every lemon in my garden?"]


@pytest.fixture
def recogniser(mini: LoadedModel) -> Recogniser:
    return Recogniser(mini, fitted_context=True)


def cut(
    recogniser: Recogniser,
    said: Sequence[str | float],
    speech: tuple[tuple[float, float], ...] | None,
    keep_rest: bool = False,
) -> Cut:
    """Cut a window of 12 s, decoded as these words and timestamps."""
    tokenizer = recogniser._tokenizers.get("en", "transcribe")
    tokens = [
        token
        for one in said
        for token in (
            tokenizer.encode(one) if isinstance(one, str) else [tokenizer.timestamp_begin + round(one / 0.02)]
        )
    ]
    window = MelWindow(np.zeros((80, 1500), np.float32), 12.0, speech)
    return cut_at_timestamps(
        recogniser.model.whisper, tokenizer, DecodedWindow(tokens, -0.2, 0.1, 1.0), window, keep_rest
    )


def times(found: Cut) -> list[tuple[float, float]]:
    return [(round(part["start"], 2), round(part["end"], 2)) for part in found.parts]


UNFINISHED = (0.0, " The green hammer", 5.0, 5.0, " was empty")
FINISHED = (0.0, " The green hammer", 5.0, 5.0, " was empty", 9.0)


def test_a_sentence_that_was_not_finished_is_left_to_the_rest(recogniser: Recogniser) -> None:
    found = cut(recogniser, UNFINISHED, ((0.5, 11.5),))
    assert times(found) == [(0.3, 5.0)]
    assert found.settled == 5.0 - OVERLAP_SECONDS


def test_a_rest_begins_in_the_pause_next_to_the_last_timestamp(recogniser: Recogniser) -> None:
    assert cut(recogniser, UNFINISHED, ((0.5, 5.1), (5.3, 11.5))).settled == pytest.approx(5.2)


def test_without_speech_after_the_last_timestamp_there_is_no_rest(recogniser: Recogniser) -> None:
    found = cut(recogniser, UNFINISHED, ((0.5, 5.1),))
    assert (times(found), found.settled) == ([(0.3, 5.0)], 12.0)


def test_speech_after_a_finished_sentence_is_a_rest_too(recogniser: Recogniser) -> None:
    assert cut(recogniser, FINISHED, ((0.5, 8.8), (9.2, 11.5))).settled == pytest.approx(9.0)
    assert cut(recogniser, FINISHED, ((0.5, 9.3),)).settled == 12.0


def test_the_last_call_takes_the_text_as_it_is(recogniser: Recogniser) -> None:
    found = cut(recogniser, UNFINISHED, ((0.5, 11.5),), keep_rest=True)
    assert (times(found), found.settled) == ([(0.3, 5.0), (5.0, 11.7)], 12.0)


def test_words_after_the_end_of_the_audio_are_dropped(recogniser: Recogniser) -> None:
    found = cut(recogniser, (0.0, " The green hammer", 8.0, 8.0, " was", 13.0, 13.0, " was", 16.0), ((0.5, 11.5),))
    assert times(found) == [(0.3, 8.0), (8.0, 11.7)]


def test_a_sentence_said_again_in_the_silence_at_the_end_is_dropped(recogniser: Recogniser) -> None:
    twice = (0.0, " The green hammer", 5.0, 5.0, " The green hammer", 9.0)
    assert times(cut(recogniser, twice, ((0.5, 4.8),))) == [(0.3, 5.0)]
    assert times(cut(recogniser, twice, ((0.5, 4.8), (5.2, 8.8)))) == [(0.3, 5.0), (5.0, 9.0)]


def test_a_window_that_settles_nothing_is_taken_as_it_is(recogniser: Recogniser) -> None:
    found = cut(recogniser, (0.0, " The", 0.4, 0.4, " green hammer"), ((0.2, 11.5),))
    assert (times(found), found.settled) == ([(0.0, 0.4), (0.4, 11.7)], 12.0)


def test_a_segment_begins_and_ends_with_its_speech(recogniser: Recogniser) -> None:
    found = cut(recogniser, (0.0, " The green hammer", 5.0, 5.0, " was empty", 12.0), ((2.0, 4.0), (6.5, 9.0)))
    assert times(found) == [(1.8, 4.2), (6.3, 9.2)]


def test_a_rest_is_decoded_and_joined(recogniser: Recogniser, monkeypatch: pytest.MonkeyPatch) -> None:
    generate = recogniser._pipeline.generate_segment_batched
    lengths: list[int] = []

    def stop_after_the_first_sentence(features: Any, tokenizer: Any, options: Any) -> Any:
        encoded, outputs = generate(features, tokenizer, options)
        lengths.append(features.shape[2])
        if len(lengths) == 1:
            (output,) = outputs
            tokens = output["tokens"]
            ends = [at for at in range(2, len(tokens)) if min(tokens[at - 1 : at + 1]) >= tokenizer.timestamp_begin]
            outputs = [{**output, "tokens": tokens[: ends[0] + 2]}]
        return encoded, outputs

    monkeypatch.setattr(recogniser._pipeline, "generate_segment_batched", stop_after_the_first_sentence)
    audio = recording("short.flac")
    window = MelWindow(recogniser.features(audio), len(audio) / 16_000, ((0.3, 3.6), (4.6, 7.3)))
    (segments,) = decoded(recogniser, [window], ENGLISH)
    assert lengths[:2] == [1000, 1000]
    assert [segment.text.strip() for segment in segments] == SHORT
    assert segments[1].start == pytest.approx(4.2, abs=0.8)


def test_the_last_word_before_a_rest_does_not_take_its_sound(
    recogniser: Recogniser, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was aligned with the whole window, and lay over the words of the rest."""
    generate = recogniser._pipeline.generate_segment_batched
    calls: list[int] = []

    def stop_in_the_sentence(features: Any, tokenizer: Any, options: Any) -> Any:
        encoded, (output,) = generate(features, tokenizer, options)
        calls.append(len(output["tokens"]))
        if len(calls) == 1:
            begin, end = tokenizer.timestamp_begin, tokenizer.timestamp_begin + round(1.5 / 0.02)
            output = {**output, "tokens": [begin, *tokenizer.encode(" The green"), end, end]}
        return encoded, [output]

    monkeypatch.setattr(recogniser._pipeline, "generate_segment_batched", stop_in_the_sentence)
    audio = recording("short.flac")
    window = MelWindow(recogniser.features(audio), len(audio) / 16_000, ((0.3, 3.6), (4.6, 7.3)))
    (segments,) = decoded(recogniser, [window], DecodingOptions("en", word_timestamps=True))
    words = [word for segment in segments for word in segment.words or ()]
    assert len(segments) > 1
    assert all(earlier.end <= later.start for earlier, later in pairwise(words))


MOST_TOKENS = 40


@pytest.mark.parametrize("keep_rest", [False, True])
def test_speech_with_more_words_than_the_model_has_tokens_for_continues_in_a_rest(
    recogniser: Recogniser, monkeypatch: pytest.MonkeyPatch, keep_rest: bool
) -> None:
    """Of a window without a pair of timestamps, what came after the last token was lost."""
    generate = recogniser._pipeline.generate_segment_batched

    def stop_without_a_timestamp(features: Any, tokenizer: Any, options: Any) -> Any:
        encoded, (output,) = generate(features, tokenizer, options)
        said = [token for token in output["tokens"] if token < tokenizer.eot]
        return encoded, [{**output, "tokens": [tokenizer.timestamp_begin, *said][:MOST_TOKENS]}]

    monkeypatch.setattr(recogniser._whisper, "most_tokens", lambda prompt: MOST_TOKENS)
    audio = recording("minute.flac")[: 24 * 16_000]
    window = MelWindow(recogniser.features(audio), 24.0, ((0.3, 23.9),))
    (whole,) = decoded(recogniser, [window], ENGLISH)
    monkeypatch.setattr(recogniser._pipeline, "generate_segment_batched", stop_without_a_timestamp)
    (found,) = recogniser.decode([Call(window, ENGLISH, keep_rest)])
    words, said = ("".join(one.text for one in segments).split() for segments in (found.segments, whole))
    assert words == said[: len(words)]
    end = max(span.end for span in found.spans)
    assert 5 < end < 20
    assert found.settled == (24.0 if keep_rest else pytest.approx(end, abs=0.11))
    if not keep_rest:
        (continued,) = decoded(recogniser, [window], ENGLISH)
        assert words_wrong(" ".join(said), "".join(one.text for one in continued)) <= 0.05


def cut_off(words: Sequence[tuple[str, float, float]], speech: tuple[tuple[float, float], ...]) -> tuple[int, Cut]:
    """A window of 12 s that ends in these words of one token each: how many of them are kept, and its cut."""
    aligned = [
        {"word": word, "tokens": [100 + number], "start": start, "end": end}
        for number, (word, start, end) in enumerate(words)
    ]
    part = {"seek": 0, "start": 0.0, "end": 11.9, "tokens": [100 + number for number in range(len(words))]}
    window = MelWindow(np.zeros((80, 1500), np.float32), 12.0, speech)
    found = end_in_last_word(Cut([part], 12.0), aligned, window)
    return len(found.parts[0]["tokens"]), found


def test_pieces_of_a_letter_are_left_to_the_rest() -> None:
    words = [(word, 2.0 * number, 2.0 * number + 2) for number, word in enumerate("日本\ufffd\ufffd")]
    kept, found = cut_off(words, ((0.0, 12.0),))
    assert (kept, times(found), found.settled) == (2, [(0.0, 4.0)], 4.0 - OVERLAP_SECONDS)


def test_the_rest_begins_before_the_last_word_not_in_the_pause_after_it() -> None:
    kept, found = cut_off([(" in", 3.7, 4.0), (" Vermont", 4.0, 4.3)], ((0.0, 4.3), (5.0, 12.0)))
    assert (kept, found.settled) == (1, 4.0 - OVERLAP_SECONDS)


def test_what_was_said_after_the_last_token_is_left_to_the_rest_though_an_earlier_word_is_aligned_with_it() -> None:
    words = [(" us.", 6.9, 7.9), (" He", 7.9, 12.0), (" had", 12.0, 12.0), (" found", 12.0, 12.0)]
    kept, found = cut_off(words, ((0.0, 12.0),))
    assert (kept, times(found), found.settled) == (1, [(0.0, 7.9)], pytest.approx(7.9 - OVERLAP_SECONDS))


def outcome(recogniser: Recogniser, text: str, end: float, settled: float) -> Outcome:
    tokenizer = recogniser._tokenizers.get("en", "transcribe")
    tokens = tokenizer.encode(text)
    words = [Word(0.1 * number, 0.1 * number + 0.1, f" {word}", 0.9) for number, word in enumerate(text.split())]
    segment = DecodedSegment(
        id=0, seek=0, start=0.0, end=end, text=text, tokens=tokens, avg_logprob=-0.2, compression_ratio=1.0,
        no_speech_prob=0.0, words=words, temperature=0.0,
    )  # fmt: skip
    return Outcome([segment], [Span(0.0, end, len(tokens))], settled)


@pytest.mark.parametrize(
    ("settled", "rest", "expected"),
    [
        (4.9, " empty and expensive", [" The hammer was empty", " and expensive"]),
        (4.9, " was empty and expensive", [" The hammer was empty", " and expensive"]),
        (4.9, " Empty and expensive", [" The hammer was empty", " and expensive"]),
        (4.9, " empty", [" The hammer was empty"]),
        (4.9, " and expensive", [" The hammer was empty", " and expensive"]),
        (5.2, " empty and expensive", [" The hammer was empty", " empty and expensive"]),
    ],
)
def test_what_is_said_on_both_sides_of_a_seam_without_a_pause_is_kept_once(
    recogniser: Recogniser, settled: float, rest: str, expected: list[str]
) -> None:
    first, second = outcome(recogniser, " The hammer was empty", 5.0, settled), outcome(recogniser, rest, 3.0, 3.0)
    found = joined(first, second, recogniser._tokenizers.get("en", "transcribe"))
    assert [segment.text for segment in found.segments] == expected
    assert ["".join(word.word for word in segment.words or ()) for segment in found.segments] == expected
    assert found.settled == settled + 3.0


@pytest.mark.parametrize(
    ("said", "rest", "is_kept"),
    [
        (" The hammer was slowly.", " was slow.", False),
        (" The hammer was slowly.", " slow.", True),
        (" The hammer was slowly.", " was empty.", True),
        (" The hammer was slow.", " was slowly.", True),
        ("雨", "雪", True),  # its first bytes are the same
        ("雨", "雨", False),
    ],
)
def test_a_rest_that_is_only_the_end_of_the_last_words_is_dropped(
    recogniser: Recogniser, said: str, rest: str, is_kept: bool
) -> None:
    """The last timestamp was too early: a part of their sound was in the rest, too."""
    first, second = outcome(recogniser, said, 5.0, 4.9), outcome(recogniser, rest, 3.0, 3.0)
    found = joined(first, second, recogniser._tokenizers.get("en", "transcribe"))
    assert [segment.text for segment in found.segments] == ([said, rest] if is_kept else [said])


def test_segments_do_not_overlap_at_a_seam(recogniser: Recogniser) -> None:
    """With words, they end and begin with them."""
    first, second = outcome(recogniser, " The hammer was", 5.0, 4.9), outcome(recogniser, " empty", 3.0, 3.0)
    tokenizer = recogniser._tokenizers.get("en", "transcribe")
    assert times_of(joined(first, second, tokenizer).segments) == [(0.0, 4.9), (4.9, pytest.approx(7.9))]
    without = [replace(segment, words=None) for segment in second.segments]
    found = joined(first, second._replace(segments=without), tokenizer)
    assert times_of(found.segments) == [(0.0, 5.0), (5.0, pytest.approx(7.9))]


def test_words_before_a_seam_end_where_those_after_it_begin(recogniser: Recogniser) -> None:
    words = [Word(3.0, 4.7, " The", 0.9), Word(4.7, 5.8, " hammer", 0.9), Word(5.8, 5.9, " was", 0.9)]
    first, second = outcome(recogniser, " The hammer was", 5.0, 4.6), outcome(recogniser, " empty", 3.0, 3.0)
    second.segments[0].words = [Word(0.4, 0.8, " empty", 0.9)]
    first.segments[0].words = words
    found = joined(first, second, recogniser._tokenizers.get("en", "transcribe"))
    spans = [(word.start, word.end) for segment in found.segments for word in segment.words or ()]
    assert spans == [(3.0, 4.7), (4.7, 5.0), (5.0, 5.0), (5.0, pytest.approx(5.4))]


def times_of(segments: list[DecodedSegment]) -> list[tuple[float, float]]:
    return [(segment.start, segment.end) for segment in segments]


def test_words_are_the_same_with_and_without_their_times(recogniser: Recogniser) -> None:
    audio = recording("minute.flac")[: 24 * 16_000]
    window = MelWindow(recogniser.features(audio), 24.0, ((0.3, 23.9),))
    plain, aligned = (
        [segment.text for segment in decoded(recogniser, [window], DecodingOptions("en", word_timestamps=words))[0]]
        for words in (False, True)
    )
    assert plain == aligned
