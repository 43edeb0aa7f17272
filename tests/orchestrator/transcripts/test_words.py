"""The index entries of segments."""

import random
import re

import pytest

from orchestrator.transcripts import words
from orchestrator.transcripts.words import parse


def single_words(entry: str) -> str:
    """Without pairs."""
    return re.sub(r" ?'#...'", "", entry)


def test_what_is_joined_is_in_the_entry_after_what_is_taken_apart():
    [entry] = words.vectors(["an e-mail"])
    assert single_words(entry) == "'an':1A 'e':2A 'mail':3A 'an':5A 'email':6A"


def test_an_entry_has_the_pairs_that_a_phrase_is_looked_for_by():
    _, entry = words.vectors(["of the", "in an e-mail"])
    for phrase in ("the in", "of the in an e", "an email"):
        [term] = parse(f'"{phrase}"')
        pairs = re.findall("'#...'", term.as_tsquery())
        assert len(pairs) == len(phrase.split()) - 1 and all(pair in entry for pair in pairs), phrase
        assert "#" not in term.as_tsquery(pairs=False)
    assert re.findall("'#...'", parse('"of the in*"')[0].as_tsquery()) == re.findall(
        "'#...'", parse('"of the"')[0].as_tsquery()
    )


def test_an_entry_knows_its_own_words_and_those_that_lead_to_it():
    assert list(map(single_words, words.vectors(["a b", "c"]))) == ["'a':1A 'b':2A", "'a':1 'b':2 'c':3A"]


def test_words_lead_from_before_the_first_and_across_short_segments():
    *_, last = words.vectors(["eight", "nine"], ["one two", "three four five six seven"])
    assert single_words(last) == "'two':1 'three':2 'four':3 'five':4 'six':5 'seven':6 'eight':7 'nine':8A"


async def test_postgresql_finds_exactly_the_phrases_that_are_marked(sql):
    chosen = random.Random(1)
    said = [
        "e-mail",
        "email",
        "5 p.m.",
        "don't",
        "dont",
        "a",
        "b",
        "3,500",
        "café",
        "R & D",
        "$5 million",
        "42 %",
        "大き",
    ]
    cases = []
    for _ in range(500):
        lead, own = (" ".join(chosen.choices(said, k=2)) for _ in range(2))
        written = f"{lead} {own}".split() if chosen.random() < 0.7 else chosen.choices(said, k=3)
        first = chosen.randrange(len(written))
        query = f'"{" ".join(written[first : first + chosen.randint(1, 4)])}{chosen.choice(("", "", "*"))}"'
        try:
            terms = parse(query)
        except ValueError:
            continue
        [entry] = words.vectors([own], [lead])
        marked = words.marks(terms, f"{lead} {own}") or []
        expected = any(end > len(lead) + 1 for _, end in marked)
        cases += [(query, lead, own, entry, terms[0].as_tsquery(), expected)]
    found = await sql(
        """
        select entry::tsvector @@ query::tsquery
        from unnest(%s::text[], %s::text[]) with ordinality as cases (entry, query, number) order by number
        """,
        [case[3] for case in cases],
        [case[4] for case in cases],
    )
    different = [case[:3] for case, (is_found,) in zip(cases, found, strict=True) if is_found is not case[5]]
    assert not different and 50 < sum(case[5] for case in cases) < len(cases) - 50


@pytest.mark.parametrize("text", ["x" * 100_000, "ab " * 100_000, "' \\ \" \ufdfa 東" * 5_000])
async def test_postgresql_takes_the_words_of_any_text(text, sql):
    [entry] = words.vectors([text])
    assert await sql("select length(%s::tsvector) > 0", entry) == [(True,)]


def test_what_is_asked_for_twice_is_looked_for_once():
    assert parse("the " * 100 + '"of the" "of the"') == parse('the "of the"')
