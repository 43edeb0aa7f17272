"""The layer of edits as such: what it hides, and that any sequence of edits and undos is what a simple model says."""

import time
from itertools import pairwise
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.intake.corrections import MOST_CHARACTERS
from orchestrator.transcripts.edits.alignment import Written, timed
from orchestrator.transcripts.edits.layer import EditedSegment, Patch, joined, overlay, replaced_within, within
from reelscribe.contracts.events import Segment, Word
from tests.orchestrator.scripted import segment

TEXTS = st.text("abc", min_size=1, max_size=3)


def shown(transcribed, patches):
    return [(one.segment.start, one.segment.end, one.segment.text) for one in overlay(transcribed, patches)]


def patch(start: float, end: float, *texts: str, revision: int = 1) -> Patch:
    long = (end - start) / max(1, len(texts))
    segments = [
        EditedSegment(start=start + long * number, end=start + long * (number + 1), text=text)
        for number, text in enumerate(texts)
    ]
    return Patch(start=start, end=end, revision=revision, segments=tuple(segments))


@st.composite
def transcripts(draw) -> list[Segment]:
    """Segments in order, some of them next to each other, some with a pause between them."""
    found, reached = [], 0.0
    for number in range(draw(st.integers(1, 6))):
        start = reached + draw(st.sampled_from((0.0, 0.0, 0.5, 3.0)))
        reached = start + draw(st.sampled_from((0.5, 1.0, 4.0)))
        found.append(segment(start, reached, draw(TEXTS), index=number))
    return found


@settings(deadline=None)
@given(transcripts(), st.data())
def test_any_sequence_of_edits_and_undos_is_what_a_list_of_segments_would_be(transcribed, data):
    model = [(one.start, one.end, one.text) for one in transcribed]
    patches: list[Patch] = []
    undoing: list[Any] = []
    for revision in range(1, data.draw(st.integers(1, 8)) + 1):
        if undoing and data.draw(st.booleans()):
            start, end, before, model = undoing.pop()
            patches = replaced_within(patches, start, end, before)
        elif model:
            first = data.draw(st.integers(0, len(model) - 1))
            last = data.draw(st.integers(first, min(first + 2, len(model) - 1)))
            start, end = model[first][0], model[last][1]
            new = patch(start, end, *data.draw(st.lists(TEXTS, max_size=3)), revision=revision)
            undoing.append((start, end, within(patches, start, end), model))
            patches = replaced_within(patches, start, end, [new])
            written = [(one.start, one.end, one.text) for one in new.segments]
            model = [*model[:first], *written, *model[last + 1 :]]
        assert shown(transcribed, patches) == model
        assert all(before.end <= after.start for before, after in pairwise(patches))
        assert joined(patches) == patches


@settings(deadline=None)
@given(transcripts(), transcripts(), st.data())
def test_over_another_transcript_times_never_overlap_and_all_that_was_edited_is_there(old, new, data):
    patches: list[Patch] = []
    for number in data.draw(st.sets(st.sampled_from(old).map(lambda one: one.index), min_size=1)):
        one = old[number]
        patches = replaced_within(patches, one.start, one.end, [patch(one.start, one.end, "edited", revision=number)])
    found = overlay(new, patches)
    assert all(before.segment.end <= after.segment.start for before, after in pairwise(found))
    assert all(one.segment.start < one.segment.end for one in found)
    edited = [(one.segment.start, one.segment.end, one.revision) for one in found if one.revision is not None]
    assert edited == [(old[number].start, old[number].end, number) for number in sorted(one[2] for one in edited)]
    assert len(edited) == sum(len(one.segments) for one in patches)


def words(*timed_words: tuple[float, float, str]) -> list[Word]:
    return [Word(start=start, end=end, word=word, probability=0.5) for start, end, word in timed_words]


def test_of_a_segment_with_times_of_words_those_outside_an_edit_are_left():
    spoken = words((0, 1, " one"), (1, 2, " two"), (2, 3.2, " three"), (3.2, 4, " four"))
    transcribed = [segment(0, 4, "one two three four", spoken)]
    assert shown(transcribed, [patch(1, 3, "2, 3")]) == [(0, 1, "one"), (1, 3, "2, 3"), (3, 4, "four")]
    [one, _, four] = overlay(transcribed, [patch(1, 3, "2, 3")])
    assert [(word.start, word.end) for word in four.segment.words or ()] == [(3.2, 4)]
    assert (one.altered, one.segment.tokens, one.transcribed_index) == (True, [], 0)


def test_a_segment_without_times_of_words_is_left_or_hidden_by_its_middle():
    transcribed = [segment(0, 4, "all of it")]
    assert shown(transcribed, [patch(0, 1, "x")]) == [(0, 1, "x"), (1, 4, "all of it")]
    assert shown(transcribed, [patch(0, 3, "x")]) == [(0, 3, "x")]
    assert shown(transcribed, [patch(3, 9)]) == [(0, 3, "all of it")]


def test_words_that_stay_keep_their_times_and_others_share_the_gap():
    spoken = words((0, 1, " We"), (1, 2, " meat"), (2, 3, " Peter"), (3, 4, " now."))
    [edited] = timed([Written("We meet, Mr. Peter now!")], 0, 4, [segment(0, 4, "We meat Peter now.", spoken)])
    assert edited.words is not None
    assert [(word.word, word.start, word.end, word.probability) for word in edited.words] == [
        (" We", 0, 1, 0.5), (" meet,", 1, 1.6, 1.0), (" Mr.", 1.6, 2, 1.0), (" Peter", 2, 3, 0.5),
        (" now!", 3, 4, 0.5),
    ]  # fmt: skip


def test_a_split_without_times_is_between_its_words():
    spoken = words((0, 1, " Good"), (1, 1.5, " day."), (3, 3.5, " We"), (3.5, 4, " go."))
    [first, second] = timed(
        [Written("Good day."), Written("We go.")], 0, 4, [segment(0, 4, "Good day. We go.", spoken)]
    )
    assert (first.start, first.end, second.start, second.end) == (0, 2.25, 2.25, 4)
    assert second.words is not None and [word.word for word in second.words] == [" We", " go."]


@given(st.lists(TEXTS, min_size=1, max_size=4), st.lists(TEXTS, min_size=1, max_size=6))
def test_times_of_words_are_in_order_and_within_their_segments(texts, before):
    spoken = words(*((float(number), number + 0.5, f" {text}") for number, text in enumerate(before)))
    end = len(before) - 0.5
    found = timed([Written(text) for text in texts], 0, end, [segment(0, end, "".join(before), spoken)])
    assert (found[0].start, found[-1].end) == (0, end)
    assert all(one.start < one.end for one in found)
    assert all(one.end <= other.start for one, other in pairwise(found))
    times = [time for one in found for word in one.words or () for time in (word.start, word.end)]
    assert times == sorted(times)


def test_scripts_without_spaces_have_a_word_for_each_letter():
    spoken = words((0, 1, "東"), (1, 2, "京"), (2, 3, "は"))
    [edited] = timed([Written("東京に")], 0, 3, [segment(0, 3, "東京は", spoken)])
    assert edited.words is not None
    assert [(word.word.strip(), word.start, word.end) for word in edited.words] == [
        ("東", 0, 1), ("京", 1, 2), ("に", 2, 3),
    ]  # fmt: skip


def test_the_longest_edit_of_a_long_text_of_equal_letters_takes_seconds():
    letters = words(*((float(number), number + 1.0, "好") for number in range(40_000)))
    long = segment(0, 40_000, "好" * 40_000, letters)
    began = time.monotonic()
    [edited] = timed([Written("好" * MOST_CHARACTERS)], 0, 40_000, [long])
    assert time.monotonic() - began < 30  # not minutes, as with each letter compared with each
    assert edited.words is not None
    assert (len(edited.words), edited.words[-1].end) == (MOST_CHARACTERS, MOST_CHARACTERS)


def test_in_a_long_text_the_words_before_and_after_a_change_keep_their_times():
    said = [f"{number % 7}" for number in range(4000)]
    spoken = words(*((float(number), number + 1.0, word) for number, word in enumerate(said)))
    written = [*said[:1000], "new", "er", *said[1001:]]
    [edited] = timed([Written(" ".join(written))], 0, 4000, [segment(0, 4000, " ".join(said), spoken)])
    assert edited.words is not None
    times = [word.start for word in edited.words]
    assert (times[:1001], times[1002:]) == ([float(n) for n in range(1001)], [float(n) for n in range(1001, 4000)])
