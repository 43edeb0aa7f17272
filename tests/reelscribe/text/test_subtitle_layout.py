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

from reelscribe.contracts.events import Segment, Word
from reelscribe.text.spoken_words import LINE_WIDTH
from reelscribe.text.srt_vtt import srt as as_srt
from reelscribe.text.srt_vtt import vtt as as_vtt
from reelscribe.text.subtitle_layout import (
    MAX_SECONDS,
    MIN_SECONDS,
    READING_SPEED,
    CueStream,
    cues,
    ends_clause,
    ends_sentence,
)

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


def lines(text: str, start: float = 0, end: float = 20, language: str = "") -> list[list[str]]:
    return [cue.text.split("\n") for cue in cues([segment(start, end, text)], language)]


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
    first, second = cues([spoken(text, 10, 0.5, pause_before="word10")])
    assert (first.start, first.end) == (10, pytest.approx(15))
    assert (second.start, second.end) == (pytest.approx(17), pytest.approx(22))


def test_without_times_of_words_it_is_split_in_proportion():
    first, second = cues([segment(0, 10, " ".join(["abcde"] * 20))])
    assert (first.end, second.start, second.end) == (pytest.approx(5, abs=0.5), first.end, 10)


def test_words_that_are_not_the_text_are_not_shown():
    [cue] = cues([segment(0, 2, "Hello.", [Word(start=0, end=1, word=" Bye.", probability=1)])])
    assert cue.text == "Hello."


def test_no_cue_stays_longer_than_7_seconds():
    assert [cue.end - cue.start for cue in cues([segment(0, 30, "Hello.")])] == [MAX_SECONDS]


def test_a_short_cue_stays_a_second_if_there_is_room():
    first, second, third = cues([segment(0, 0.2, "Yes."), segment(0.8, 1.0, "No."), segment(5, 5.1, "Yes.")])
    assert (first.end, second.end, third.end) == (0.8, 1.8, 6)


def test_what_is_said_too_fast_to_be_read_stays_until_it_can_be_if_there_is_room():
    text = "He has not been at home since the third."
    first, second = cues([segment(0, 1.5, text), segment(9, 10.5, text)])
    assert (first.end, second.end) == (len(text) / READING_SPEED, 9 + len(text) / READING_SPEED)
    first, _ = cues([segment(0, 1.5, text), segment(2, 4, text)])
    assert first.end == 2


def test_cues_of_overlapping_segments_follow_each_other():
    first, second = cues([segment(0, 5, "Yes."), segment(3, 6, "No.")])
    assert (first.end, second.start) == (3, 3)


def test_segments_at_one_time_are_shown_one_after_the_other():
    first, second = LONG[:88], LONG[91:180]
    shown = cues([segment(5, 5, first), segment(5, 5, second)])
    assert [cue.start for cue in shown] == [5 + number for number in range(len(shown))]
    assert [cue.end for cue in shown[:-1]] == [cue.start for cue in shown[1:]]
    assert len(shown) > 2


SENTENCE = "The quick brown fox jumps over the lazy dog, which does not care at all."


@pytest.mark.parametrize("timed", [False, True], ids=["without times of words", "with them"])
@pytest.mark.parametrize("border", [2, 5, 9, 12])
def test_a_sentence_is_one_cue_whatever_segments_it_is_in(border, timed):
    words = SENTENCE.split()
    segments, end = [], 0.0
    for text in (f"Look. {' '.join(words[:border])}", f"{' '.join(words[border:])} And then it was over."):
        segments.append(spoken(text, end, 0.4))
        end = segments[-1].end
    shown = cues([one if timed else one.model_copy(update={"words": None}) for one in segments])
    assert [cue.text.replace("\n", " ") for cue in shown][-1] == "And then it was over."
    assert SENTENCE in [cue.text.replace("\n", " ").removeprefix("Look. ") for cue in shown]


def test_a_cue_ends_when_the_speaker_pauses_for_long():
    shown = cues([segment(0, 2, "and then he"), segment(4.5, 6, "left the house.")])
    assert [(cue.start, cue.end) for cue in shown] == [(0, 2), (4.5, 6)]


def test_a_sentence_too_short_to_be_read_shares_the_cue_of_the_next_one():
    [cue] = cues([segment(0, 0.4, "Yes."), segment(0.5, 3, "He has left.")])
    assert cue.text == "Yes. He has left."


@pytest.mark.parametrize(
    ("text", "following", "ends"),
    [
        ("left.", " The", True),
        ("left.\u201d", " The", True),
        ("left!", " 12", True),
        ("left。", "彼", True),
        ("本.", "彼", True),
        ("left", " The", False),
        ("left,", " The", False),
        ("Mr.", " Smith", False),
        ("(Dr.", " Smith", False),
        ("J.", " Smith", False),
        ("U.S.", " Army", False),
        ("left.", " and", False),
        ("\u201cWho?\u201d", " he", False),
    ],
)
def test_what_ends_a_sentence(text, following, ends):
    assert ends_sentence(text, following) is ends


def test_a_long_sentence_is_split_after_a_comma():
    text = "When the rain had stopped at last, the children ran out into the garden to look for the cat they had lost."
    assert [cue[-1][-1] for cue in lines(text, 0, 8)] == [",", "."]


@pytest.mark.parametrize(
    ("language", "first", "second"),
    [
        ("en", "I could not help watching his face with some anxiety", "when he made confession of having been a boy"),
        ("de", "Die Kinder liefen gestern Abend noch einmal hinaus in den Garten", "weil sie die Katze suchten"),
        ("fr", "Les enfants sont encore sortis dans le jardin hier soir", "parce que le petit chat avait disparu"),
    ],
)
def test_a_long_sentence_without_a_comma_is_split_before_a_word_that_begins_a_clause(language, first, second):
    assert [" ".join(cue) for cue in lines(f"{first} {second}", 0, 8, language)] == [first, second]


@pytest.mark.parametrize("language", ["", "zu"], ids=["unknown", "one whose words are not known"])
def test_in_other_languages_it_is_split_into_equal_parts(language):
    [first, second] = lines(" ".join(["and of the"] * 10), 0, 8, language)
    assert abs(len(" ".join(first)) - len(" ".join(second))) < 10


def test_a_line_ends_before_a_phrase():
    assert lines("For what is called a lobster in San Francisco is none", 0, 4, "en") == [
        ["For what is called a lobster", "in San Francisco is none"]
    ]


@pytest.mark.parametrize("name", ["Mr. Thornton", "San Francisco"])
def test_a_name_is_not_torn(name):
    for before in range(40, 90):
        text = f"{'x' * (before // 3)} {'x' * (before // 3)} {'x' * (before // 3)} {name} {'x' * 20} {'x' * 30}"
        assert sum(name in line for cue in lines(text, 0, 9) for line in cue) == 1


def test_a_full_stop_before_a_small_letter_is_a_better_end_than_none():
    text = "I could do so much for all of you at home how I should enjoy that. what has happened to me now"
    assert [cue[-1].split()[-1] for cue in lines(text, 0, 9)] == ["that.", "now"]


@pytest.mark.parametrize(
    ("text", "ends"),
    [("left,", True), ("left.", True), ("left:\u201d", True), ("left", False), ("Mr.", False), ('"', False)],
)
def test_what_ends_a_clause(text, ends):
    assert ends_clause(text) is ends


def test_segments_that_come_one_by_one_make_the_same_cues(anything):
    stream = CueStream()
    assert [cue for one in anything for cue in stream.add([one])] + stream.end() == cues(anything)


def test_a_text_without_an_end_is_not_kept_in_memory():
    stream = CueStream()
    words = " ".join(["word"] * 10)
    made = [cue for number in range(200) for cue in stream.add([segment(5 * number, 5 * number + 5, words)])]
    assert len(made) > 100
    shown = " ".join(cue.text.replace("\n", " ") for cue in made + stream.end())
    assert shown == " ".join([words] * 200)


def test_japanese_segments_are_joined_without_a_space():
    [cue] = cues([segment(0, 1, "今日は"), segment(1, 2, "「いい」天気です。")])
    assert cue.text == "今日は「いい」天気です。"


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
    shown = cues([segment(0, 2, "a <b> & c --> d"), segment(3661.5, 3666, LONG[:70])])
    read = webvtt.from_buffer(StringIO(as_vtt(shown)))
    assert [(cue.start, cue.end) for cue in read] == [  # type: ignore[attr-defined]
        ("00:00:00.000", "00:00:02.000"), ("01:01:01.500", "01:01:06.000"),
    ]  # fmt: skip
    assert read[1].text == shown[1].text
