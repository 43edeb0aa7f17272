"""Hints and previous text share the room for a prompt, and half of the tokens stays for the answer."""

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
    start = prompt.index(tokenizer.sot)
    assert start - 1 <= ROOM
    kept = prompt[1 + length : start]
    assert kept == (before[-(ROOM - length) :] if length < ROOM else [])
