"""Subtitles that can be read, read back with libraries that did not write them."""

import random
from datetime import timedelta
from io import StringIO
from itertools import pairwise

import pysubs2
import pytest
import srt
import webvtt
from rich.cells import cell_len

from orchestrator.transcripts.subtitle_layout import LINE_WIDTH, MAX_SECONDS, MIN_SECONDS, cues
from reelscribe.contracts.events import Segment, Word
from reelscribe.text.srt_vtt import srt as as_srt
from reelscribe.text.srt_vtt import vtt as as_vtt

LONG = (
    "We repaired your very happy horse on Friday night, and David borrowed the very slow chair. "
    "Alice and Peter repaired your very big apple on Thursday, when David said hello and everybody was welcome today."
)


def segment(start: float, end: float, text: str, words: list[Word] | None = None) -> Segment:
    return Segment(
        index=0, start=start, end=end, text=text, words=words,
        tokens=[], avg_logprob=0, no_speech_prob=0, compression_ratio=1,
    )  # fmt: skip


def spoken(text: str, start: float, seconds_a_word: float, pause_before: str = "") -> Segment:
    """A segment with the times of its words, and a pause of 2 s before one of them."""
    words = []
    for word in text.split():
        start += 2 if word == pause_before else 0
        words.append(Word(start=start, end=start + seconds_a_word, word=f" {word}", probability=1))
        start += seconds_a_word
    return segment(words[0].start, words[-1].end, text, words)


def lines(text: str, start: float = 0, end: float = 20) -> list[list[str]]:
    return [cue.text.split("\n") for cue in cues([segment(start, end, text)])]


def test_a_short_segment_is_one_cue_with_its_own_times():
    assert [(cue.start, cue.end, cue.text) for cue in cues([segment(1, 4, " Hello  there. ")])] == [
        (1, 4, "Hello there.")
    ]


def test_a_cue_has_at_most_two_lines_of_42_characters_and_loses_no_word():
    shown = lines(LONG)
    assert all(len(cue) <= 2 and all(len(line) <= LINE_WIDTH for line in cue) for cue in shown)
    assert " ".join(" ".join(cue) for cue in shown) == LONG


def test_a_long_segment_is_split_where_a_sentence_ends():
    assert any(cue[-1].endswith("chair.") for cue in lines(LONG))


def test_two_lines_are_about_equally_long():
    [[first, second]] = lines("We repaired your very happy horse on Friday night", 0, 5)
    assert abs(len(first) - len(second)) < 10


def test_a_word_longer_than_a_line_is_broken():
    assert [len(line) for cue in lines("x" * 100) for line in cue] == [42, 42, 16]


def test_wide_letters_count_twice_and_need_no_spaces():
    text = "我們在星期五晚上修好了你那匹非常快樂的馬、沒有人借走那把很慢的椅子。" * 2
    shown = lines(text)
    assert "".join("".join(cue) for cue in shown) == text
    assert all(cell_len(line) <= LINE_WIDTH for cue in shown for line in cue)
    assert not any(line[0] in "、。" for cue in shown for line in cue)


def test_a_long_segment_is_split_at_the_times_of_its_words():
    text = " ".join(f"word{number}" for number in range(20))
    first, second = cues([spoken(text, 10, 0.3, pause_before="word10")])
    assert (first.start, first.end) == (10, pytest.approx(13))
    assert (second.start, second.end) == (pytest.approx(15), pytest.approx(18))


def test_without_times_of_words_it_is_split_in_proportion():
    first, second = cues([segment(0, 10, " ".join(["abcde"] * 20))])
    assert (first.end, second.start, second.end) == (pytest.approx(5, abs=0.5), first.end, 10)


def test_words_that_are_not_the_text_are_not_shown():
    [cue] = cues([segment(0, 2, "Hello.", [Word(start=0, end=1, word=" Bye.", probability=1)])])
    assert cue.text == "Hello."


def test_no_cue_stays_longer_than_7_seconds():
    assert [cue.end - cue.start for cue in cues([segment(0, 30, "Hello.")])] == [MAX_SECONDS]


def test_a_short_cue_stays_a_second_if_there_is_room():
    first, second, third = cues([segment(0, 0.2, "a"), segment(0.5, 0.7, "b"), segment(5, 5.1, "c")])
    assert (first.end, second.end, third.end) == (0.5, 1.5, 6)


def test_cues_of_overlapping_segments_follow_each_other():
    first, second = cues([segment(0, 5, "a"), segment(3, 6, "b")])
    assert (first.end, second.start) == (3, 3)


def test_segments_at_one_time_are_shown_one_after_the_other():
    shown = cues([segment(5, 5, "a"), segment(5, 5, "b")])
    assert [(cue.start, cue.end) for cue in shown] == [(5, 6), (6, 7)]


def test_an_empty_segment_is_no_cue():
    assert cues([segment(0, 1, "  ")]) == []


@pytest.fixture
def anything() -> list[Segment]:
    """A hundred segments as no model should send them."""
    choose = random.Random(7)
    made, time = [], 0.0
    for _ in range(100):
        time = max(0.0, time + choose.uniform(-1, 8))
        text = " ".join("w" * choose.randint(1, 15) for _ in range(choose.randint(0, 50)))
        made.append(segment(time, time + choose.choice([0, 0.001, 0.3, 3, 30]), text))
    return made


def test_whatever_the_segments_are_the_rules_hold(anything):
    shown = cues(anything)
    assert all(0 < cue.end - cue.start <= MAX_SECONDS + 1e-9 for cue in shown)
    assert all(before.end <= after.start for before, after in pairwise(shown))
    assert all(max(map(len, cue.text.split("\n"))) <= LINE_WIDTH and cue.text.count("\n") <= 1 for cue in shown)
    assert all(cue.end - cue.start >= MIN_SECONDS - 1e-9 for cue, after in pairwise(shown) if after.start > cue.end)


def test_srt_is_read_back_by_two_libraries(anything):
    shown = cues(anything)
    written = as_srt(shown)
    by_srt, by_pysubs2 = list(srt.parse(written)), pysubs2.SSAFile.from_string(written, format_="srt")
    assert [cue.content for cue in by_srt] == [cue.text for cue in shown]
    assert [cue.plaintext for cue in by_pysubs2] == [cue.text for cue in shown]
    assert [cue.index for cue in by_srt] == list(range(1, len(shown) + 1))
    assert all(before.end <= after.start for before, after in pairwise(by_srt))
    assert all(cue.end > cue.start for cue in by_srt)
    assert all(
        abs(read.start - timedelta(seconds=cue.start)) <= timedelta(milliseconds=1)
        for read, cue in zip(by_srt, shown, strict=True)
    )


def test_vtt_is_read_back_by_a_library():
    shown = cues([segment(0, 2, "a <b> & c --> d"), segment(3661.5, 3664, LONG[:70])])
    read = webvtt.from_buffer(StringIO(as_vtt(shown)))
    assert [(cue.start, cue.end) for cue in read] == [
        ("00:00:00.000", "00:00:02.000"), ("01:01:01.500", "01:01:04.000"),
    ]  # fmt: skip
    assert read[1].text == shown[1].text
