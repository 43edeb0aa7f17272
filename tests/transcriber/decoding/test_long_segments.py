"""A segment is at most as long as requested, and splitting it loses nothing."""

from typing import Any

import pytest

from tests.transcriber.conftest import Transcriber, decoded, segments, text, truth
from tests.transcriber.peer import recording
from transcriber.audio.mel import MelWindow
from transcriber.decoding.options import DecodingOptions
from transcriber.decoding.recogniser import Recogniser
from transcriber.decoding.segments import DecodedSegment
from transcriber.decoding.word_times import grouped
from transcriber.model.loading import LoadedModel


def said(*words: tuple[str, float]) -> list[dict[str, Any]]:
    """Words with their lengths in seconds, one after the other."""
    found, time = [], 0.0
    for word, seconds in words:
        found.append({"word": word, "start": time, "end": time + seconds})
        time += seconds
    return found


def split(words: list[dict[str, Any]], seconds: float) -> list[str]:
    return ["".join(word["word"] for word in group).strip() for group in grouped(words, seconds)]


@pytest.fixture
def one_paragraph(mini: LoadedModel, monkeypatch: pytest.MonkeyPatch) -> Recogniser:
    """A model that writes no timestamp but the first one: each window is one segment."""
    recogniser = Recogniser(mini)
    generate = recogniser._pipeline.generate_segment_batched

    def without_timestamps(features: Any, tokenizer: Any, options: Any) -> Any:
        encoded, outputs = generate(features, tokenizer, options)
        for output in outputs:
            first, *rest = output["tokens"]
            output["tokens"] = [first, *(token for token in rest if token < tokenizer.eot)]
        return encoded, outputs

    monkeypatch.setattr(recogniser._pipeline, "generate_segment_batched", without_timestamps)
    return recogniser


def decode(recogniser: Recogniser, **options: Any) -> list[DecodedSegment]:
    audio = recording("minute.flac")[: 30 * 16_000]
    (found,) = decoded(recogniser, [MelWindow(recogniser.features(audio), 30.0)], DecodingOptions("en", **options))
    return found


def test_ends_of_sentences_are_better_cuts_than_ends_of_clauses() -> None:
    words = said((" One", 2), (" two,", 2), (" three", 2), (" four.", 2), (" five", 2), (" six", 2))
    assert split(words, 10) == ["One two, three four.", "five six"]
    assert split(said((" One", 2), (" two,", 2), (" three", 2), (" four", 2)), 5) == ["One two,", "three four"]


def test_words_without_punctuation_are_cut_in_the_longest_pause() -> None:
    words = said((" one", 1), (" two", 1), (" three", 1), (" four", 1), (" five", 1), (" six", 1))
    for word in words[2:]:
        word["start"], word["end"] = word["start"] + 1, word["end"] + 1
    assert split(words, 6) == ["one two", "three four five six"]


def test_a_longer_word_is_not_cut() -> None:
    assert split(said((" a", 1), (" loooong", 9), (" b", 1)), 3) == ["a", "loooong", "b"]


def test_a_paragraph_is_split_at_its_sentences_and_keeps_every_token(one_paragraph: Recogniser) -> None:
    (paragraph,) = decode(one_paragraph)
    assert (paragraph.start, paragraph.end) == (pytest.approx(0.5, abs=0.1), 30.0)
    pieces = decode(one_paragraph, max_segment_seconds=8)
    assert [token for piece in pieces for token in piece.tokens] == paragraph.tokens
    assert "".join(piece.text for piece in pieces) == paragraph.text
    assert all(piece.end - piece.start <= 8 for piece in pieces)
    assert all(piece.text.endswith((".", "?")) for piece in pieces)


def test_times_of_the_pieces_are_those_of_the_sentences(one_paragraph: Recogniser) -> None:
    starts = [sentence["start"] for sentence in truth("minute.flac")["segments"]]
    for piece in decode(one_paragraph, max_segment_seconds=8):
        assert min(abs(piece.start - start) for start in starts) < 0.6


def test_each_word_is_in_one_piece_and_only_if_words_were_requested(one_paragraph: Recogniser) -> None:
    pieces = decode(one_paragraph, max_segment_seconds=5, word_timestamps=True)
    assert len(pieces) > 5
    for piece in pieces:
        assert "".join(word.word for word in piece.words or ()) == piece.text
    assert all(piece.words is None for piece in decode(one_paragraph, max_segment_seconds=5))


@pytest.mark.parametrize("mode", ["batched", "sequential"])
async def test_the_cap_holds_over_http(transcriber: Transcriber, mode: str) -> None:
    options = {"mode": mode, "condition_on_previous_text": False}
    capped = await transcriber.events("short.flac", max_segment_seconds=1.5, word_timestamps=True, **options)
    assert text(capped) == text(await transcriber.events("short.flac", **options))
    assert len(segments(capped)) > 2
    for segment in segments(capped):
        assert "".join(word.word for word in segment.words or ()).strip() == segment.text
        assert segment.end - segment.start <= 1.7


@pytest.mark.parametrize("words", [False, True])
@pytest.mark.parametrize("mode", ["batched", "sequential"])
async def test_no_piece_is_without_length_however_short_they_are_to_be(
    transcriber: Transcriber, mode: str, words: bool
) -> None:
    options = {"mode": mode, "word_timestamps": words, "condition_on_previous_text": False}
    capped = await transcriber.events("minute.flac", max_segment_seconds=1, **options)
    assert text(capped) == text(await transcriber.events("minute.flac", **options))
    assert [segment for segment in segments(capped) if segment.end <= segment.start] == []
    assert max(segment.end - segment.start for segment in segments(capped)) <= 1.7
