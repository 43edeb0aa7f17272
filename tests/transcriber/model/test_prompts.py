"""Hints and previous text share the room for a prompt, and half of the tokens stays for the answer."""

import numpy as np
import pytest

from transcriber.decoding.tokenizers import Tokenizers
from transcriber.model.loading import LoadedModel

ROOM = 448 // 2 - 1


@pytest.mark.parametrize("hints", [0, 1, 20, ROOM])
def test_a_prompt_takes_no_more_than_half_of_the_tokens(mini: LoadedModel, hints: int) -> None:
    whisper, tokenizer = mini.whisper, Tokenizers(mini.whisper).get("en", "transcribe")
    hotwords = tokenizer.decode(tokenizer.encode(" green" * hints)[:hints]).strip() or None
    length = len(tokenizer.encode(f" {hotwords}")) if hotwords else 0
    before = tokenizer.encode(" the empty hammer" * ROOM)[-ROOM:]
    prompt = whisper.get_prompt(tokenizer, before, hotwords=hotwords)
    past = prompt[1 : prompt.index(tokenizer.sot)]
    words = [token for token in past if token < tokenizer.eot]
    assert words[length:] == (before[-(ROOM - length) :] if length < ROOM else [])
    assert len(words) <= ROOM


def test_what_comes_before_a_window_is_written_as_segments_with_times(mini: LoadedModel) -> None:
    """After text without timestamps Whisper writes none: a window becomes one segment, and words are lost."""
    whisper, tokenizer = mini.whisper, Tokenizers(mini.whisper).get("en", "transcribe")
    hints, before, first = tokenizer.encode(" green"), tokenizer.encode(" hammer"), tokenizer.timestamp_begin
    segments = [first, *hints, first + 12 * len(hints), first, *before, first + 12 * len(before)]
    assert whisper.get_prompt(tokenizer, before, hotwords="green") == [tokenizer.sot_prev, *segments, tokenizer.sot]
    assert whisper.get_prompt(tokenizer, []) == [tokenizer.sot]


def test_sentences_of_a_prompt_have_their_times(mini: LoadedModel) -> None:
    whisper, tokenizer = mini.whisper, Tokenizers(mini.whisper).get("en", "transcribe")
    said = tokenizer.encode(" The garden is green. The hammer is empty. " + "the green garden, " * 60)
    prompt = whisper.get_prompt(tokenizer, said)
    times = [token - tokenizer.timestamp_begin for token in prompt if token >= tokenizer.timestamp_begin]
    assert len(times) >= 12
    assert times == sorted(times)
    assert times[-1] <= 1500
    assert [token for token in prompt[1:] if token < tokenizer.eot] == said[-ROOM:]


@pytest.mark.parametrize("hints", ["?" * 220, "U.S.A. F.B.I. " * 20, "Yes. No. " * 40, "a,b;" * 60])
def test_sentences_of_a_single_word_leave_room_for_the_answer(mini: LoadedModel, hints: str) -> None:
    """Each has a pair of timestamps: they took all 448 tokens, and the model failed."""
    whisper, tokenizer = mini.whisper, Tokenizers(mini.whisper).get("en", "transcribe")
    hints = mini.end_of_prompt(hints, mini.max_hint_tokens)
    assert mini.hint_tokens(hints) > ROOM - 10
    before = whisper.get_prompt(tokenizer, [], hotwords=hints)
    assert len(before) <= ROOM + 2 * (ROOM // 12 + 1) + 2
    assert len(whisper.get_prompt(tokenizer, tokenizer.encode(f" {hints}"))) == len(before)


@pytest.mark.parametrize("hints", [0, 220])
def test_the_model_stops_after_so_many_tokens_wherever_the_text_is(mini: LoadedModel, hints: int) -> None:
    whisper, tokenizer = mini.whisper, Tokenizers(mini.whisper).get("en", "transcribe")
    prompt = whisper.get_prompt(tokenizer, tokenizer.encode(" lemon" * hints))
    encoded = whisper.encode(np.zeros((whisper.model.n_mels, 1000), np.float32))
    endless = [tokenizer.eot, *tokenizer.non_speech_tokens]
    (answer,) = whisper.model.generate(encoded, [prompt], max_length=whisper.max_length, suppress_tokens=endless)
    assert len(answer.sequences_ids[0]) == whisper.most_tokens(prompt)
