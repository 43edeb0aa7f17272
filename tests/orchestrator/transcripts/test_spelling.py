"""How words are compared, and that each way to write something is found by the others."""

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.transcripts import spelling
from orchestrator.transcripts.words import marks, parse, read

SAME = [
    ["at 5 p.m. sharp", "at 5 pm sharp", "at 5pm sharp", "at 5 P.M. sharp", "at 5p.m. sharp"],
    ["it has 3,500 seats", "it has 3500 seats", "it has 3.500 seats", "it has 3\u202f500 seats", "it has 3'500 seats"],
    ["1,234,567.89", "1234567.89", "1.234.567,89"],
    ["the U.S. Senate", "the US Senate", "the U.S Senate"],
    ["an email arrived", "an e-mail arrived", "an e\u2011mail arrived", "an E-Mail arrived", "an e\u00admail arrived"],
    ["42 percent of it", "42 % of it", "42% of it", "42 per cent of it", "42\u202f% of it"],
    ["42 Prozent davon", "42 % davon"],
    ["42 pour cent ici", "42 % ici"],
    ["a café nearby", "a cafe nearby", "a cafe\u0301 nearby"],
    ["I don't know", "I don\u2019t know", "I dont know"],
    ["O'Neill said", "O\u2019Neill said", "ONeill said"],
    ["Peter's horse", "Peters horse"],
    ["J. R. R. Tolkien", "J.R.R. Tolkien", "JRR Tolkien"],
    ["her Ph.D. thesis", "her PhD thesis"],
    ["it costs $5 today", "it costs 5 dollars today", "it costs 5 $ today"],
    ["$3.5 million later", "3.5 million dollars later"],
    ["5 € bitte", "5 Euro bitte", "€5 bitte"],
    ["R&D is", "R & D is", "R and D is"],
    ["on May 1st", "on May first"],
    ["42 km away", "42km away"],
    ["covid-19 cases", "covid19 cases"],
    ["20 °C now", "20°C now"],
    ["OK then", "O.K. then", "okay then"],
    ["l'œuvre", "L\u2019OEUVRE", "l'oeuvre"],
    ["Straße und Ærø", "Strasse und Aero"],
    ["Łódź", "Lodz"],
    ["Ёлка", "елка"],
    ["Αθήνα", "αθηνα", "ΑΘΗΝΑ"],
    ["שָׁלוֹם", "שלום"],
    ["مُحَمَّد", "محمد"],
    ["٤٢ كتاب", "42 كتاب"],
    ["\u0645\u06cc\u200c\u062e\u0648\u0645", "\u0645\u06cc\u062e\u0648\u0645"],
    ["\uff21\uff22\uff23 \uff11\uff12", "abc 12"],
]


@pytest.mark.parametrize("ways", SAME, ids=lambda ways: ways[0])
def test_each_way_to_write_something_finds_the_others(ways):
    for searched, written in itertools.permutations(ways, 2):
        [phrase] = parse(f'"{searched}"')
        assert marks([phrase], f"So {written} .") == [(3, 3 + len(written))], (searched, written)


@pytest.mark.parametrize(
    ("searched", "text", "marked"),
    [
        ("école", "à l'école primaire", ["école"]),
        ("peter", "Peter's horse", ["Peter"]),
        ("schiff", "ein Donau-Schiff", ["Schiff"]),
        ("donauschiff", "ein Donau-Schiff", ["Donau-Schiff"]),
        ("mail", "an e-mail", ["mail"]),
        ("email", "an e-mail", ["e-mail"]),
        ("emai*", "an e-mail", ["e-mail"]),
        ("35*", "3,500 seats", ["3,500"]),
        ("dollars", "for $5.", ["$"]),
        ("5 dollars", "for $5.", ["$", "5"]),
        ('"5 dollars"', "for $5.", ["$5"]),
        ("dollar*", "some dollars", ["dollars"]),
        ("ok*", "okra", ["okra"]),
        ("1980s", "the 1980s.", ["1980s"]),
        ("percent", "42 %", ["%"]),
        ("3500", "about 3 500 seats", ["3 500"]),
        ("per cent", "42%", ["%"]),
        ("42 %", "42 percent", ["42", "percent"]),
        ("horse & cart", "the cart of a horse", ["cart", "horse"]),
        ("km", "42km", ["km"]),
        ("大きい", "東京は大きい街", ["大きい"]),
        ("i", "\u0130stanbul i", ["i"]),
    ],
)
def test_what_is_found_is_marked_in_the_text(searched, text, marked):
    assert [text[start:end] for start, end in marks(parse(searched), text) or ()] == marked


@pytest.mark.parametrize(
    ("searched", "text"),
    [
        ("3500", "3, 500"),
        ("500", "3,500"),
        ("20192020", "2019-2020"),
        ("0125", "0,125 l"),
        ("елка", "ёлки"),
        ("мои", "мой"),
        ("はか", "はが"),
        ('"5 dollars"', "$5 million"),
        ("21", "twenty-one"),
        ("email", "an e mail"),
        ("cab", "a c/a/b"),
    ],
)
def test_what_means_something_else_is_not_found(searched, text):
    assert marks(parse(searched), text) is None


@pytest.mark.parametrize(
    ("text", "apart"),
    [
        ("We repaired your horse.", ["we", "repaired", "your", "horse"]),
        ("and/or", ["and", "or"]),
        ("\ufb01re", ["fire"]),
        ("हिन्दी भाषा", ["हिन्दी", "भाषा"]),
        ("東京は大きい。", list("東京は大きい")),
        ("… --> !?", []),
        ("\u200f \u0301 \u00ad", []),
    ],
)
def test_words_are_runs_of_letters_and_digits(text, apart):
    assert [word.folded for word in read(text).apart] == apart


TEXTS = st.text(
    st.sampled_from("aÉß05 ,.'-%$&°。東が\u0301\u00ad\u200c\u00a0€iJR\ufdfa") | st.characters(), max_size=40
)


@given(TEXTS)
@settings(max_examples=300, deadline=None)
def test_every_word_is_in_the_text_and_no_two_readings_lose_one(text):
    for reading in read(text):
        for word in reading:
            assert 0 <= word.start < word.end <= len(text)
            assert word.folded and not word.folded.startswith("#")
    assert bool(read(text).apart) == bool(read(text).joined)


@given(TEXTS)
@settings(max_examples=200, deadline=None)
def test_any_text_is_found_by_itself(text):
    quoted = text.replace('"', " ").translate(dict.fromkeys(map(ord, "“”„«»*"), " "))
    if spelling.units(f'"{quoted}"'):
        assert marks(parse(f'"{quoted}"'), quoted)
