"""What counts as a word."""

import pytest

from orchestrator.transcripts import words


@pytest.mark.parametrize(
    ("text", "folded"),
    [
        ("We repaired your horse.", ["we", "repaired", "your", "horse"]),
        ("ÄPFEL, “naïve” Straße", ["äpfel", "naïve", "strasse"]),
        ("and/or e-mail don't", ["and", "or", "e", "mail", "don", "t"]),
        ("3.5 % of 1,000", ["3", "5", "of", "1", "000"]),
        ("\uff21\uff22\uff23 \ufb01re", ["abc", "fire"]),
        ("東京は大きい。", list("東京は大きい")),
        ("हिन्दी भाषा", ["हिन्दी", "भाषा"]),
        ("cafe\u0301", ["café"]),
        ("… --> !?", []),
    ],
)
def test_words_are_runs_of_letters_and_digits_without_case(text, folded):
    assert [word.folded for word in words.split(text)] == folded


def test_a_word_knows_where_it_is():
    text = "Über “Ä” x"
    assert [text[word.start : word.end] for word in words.split(text)] == ["Über", "Ä", "x"]


def test_an_entry_knows_its_own_words_and_those_that_lead_to_it():
    assert words.vectors(["a b", "c"]) == ["'a':1A 'b':2A", "'a':1 'b':2 'c':3A"]


def test_words_lead_from_before_the_first_and_across_short_segments():
    *_, last = words.vectors(["eight", "nine"], ["one two", "three four five six seven"])
    assert last == "'two':1 'three':2 'four':3 'five':4 'six':5 'seven':6 'eight':7 'nine':8A"


@pytest.mark.parametrize("text", ["x" * 100_000, "ab " * 100_000, "' \\ \" \ufdfa 東" * 5_000])
async def test_postgresql_takes_the_words_of_any_text(text, sql):
    [entry] = words.vectors([text])
    assert await sql("select length(%s::tsvector) > 0", entry) == [(True,)]
