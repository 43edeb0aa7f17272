"""Segments to paragraphs."""

from typing import NamedTuple

from reelscribe.text.paragraphs import LONG_PARAGRAPH, LONGEST_PARAGRAPH, ParagraphStream


class Said(NamedTuple):
    start: float
    end: float
    text: str


def paragraphs(*segments: Said) -> list[tuple[float, str]]:
    stream = ParagraphStream()
    return [*stream.add(segments), *stream.end()]


def test_a_pause_after_a_sentence_begins_a_paragraph_and_one_in_mid_sentence_does_not():
    said = (Said(0, 2, "One two"), Said(4, 5, "three."), Said(5.2, 6, "Four."), Said(8, 9, "Five."))
    assert paragraphs(*said) == [(0, "One two three. Four."), (8, "Five.")]


def test_a_long_pause_begins_one_wherever_it_is():
    assert paragraphs(Said(0, 1, "One"), Said(6, 7, "two")) == [(0, "One"), (6, "two")]


def test_a_long_paragraph_ends_with_its_sentence():
    long = "word " * (LONG_PARAGRAPH // 5)
    found = paragraphs(Said(0, 1, long), Said(1, 2, "and the end."), Said(2, 3, "Next."), Said(3, 4, "Last."))
    assert [text for _, text in found] == [f"{long}and the end.", "Next. Last."]


def test_text_without_punctuation_is_split_too():
    said = [Said(n, n + 1, "word " * 100) for n in range(20)]
    assert all(len(text) < LONGEST_PARAGRAPH + 600 for _, text in paragraphs(*said))
    assert len(paragraphs(*said)) == 3


def test_parts_make_no_difference_and_empty_segments_none():
    said = [Said(0, 1, "One."), Said(1, 2, " "), Said(4, 5, "Two."), Said(5, 6, "三。"), Said(6, 7, "四。")]
    stream = ParagraphStream()
    part_by_part = [paragraph for segment in said for paragraph in stream.add([segment])]
    assert [*part_by_part, *stream.end()] == paragraphs(*said) == [(0, "One."), (4, "Two. 三。四。")]
