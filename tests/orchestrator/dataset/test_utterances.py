"""Where a transcript is cut into utterances."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from orchestrator.exports.dataset.plan import SpeechSettings
from orchestrator.exports.dataset.utterances import cut
from tests.orchestrator.dataset.conftest import said
from tests.orchestrator.scripted import segment

SETTINGS = SpeechSettings()


def times(found) -> list[tuple[float, float]]:
    return [(utterance.start, utterance.end) for utterance in found.utterances]


def test_a_pause_ends_an_utterance_and_a_segment_does_not():
    found = cut([said((1, 2), (2.1, 3)), said((3.2, 4)), said((4.5, 6))], "en", SETTINGS)
    assert [utterance.text for utterance in found.utterances] == ["w0 w1 w0", "w0"]
    assert times(found) == [(0.9, 4.1), (4.4, 6.1)]


def test_the_margin_takes_half_of_a_pause_at_most():
    found = cut([said((0.02, 2), (2.12, 3))], "en", SpeechSettings(pause=0.1))
    assert times(found) == [(0.01, 2.06), (2.06, 3.1)]


def test_one_that_is_too_long_is_cut_at_its_longest_pause():
    words = [(n + 0.0, n + 0.9) for n in range(40)]
    words[17] = (17.0, 17.7)
    found = cut([said(*words)], "en", SETTINGS)
    assert times(found) == [(0.0, 17.8), (17.9, 40.0)]


def test_without_times_of_words_segments_are_kept_in_one_piece():
    segments = [
        segment(1, 4, " one, two"),
        segment(4, 40, " too long"),
        segment(41, 41.2, "Hm"),
        segment(50, 53, "你好"),
    ]
    found = cut(segments, "en", SETTINGS)
    assert [utterance.text for utterance in found.utterances] == ["one, two", "你好"]
    assert found.left_out == {"too_long": 1, "too_short": 1}


def test_what_is_not_sure_is_left_out():
    found = cut([said((1, 2)), said((4, 5), probability=0.3)], "en", SpeechSettings(min_confidence=0.5))
    assert ([utterance.confidence for utterance in found.utterances], found.left_out) == ([0.9], {"not_confident": 1})


def test_of_a_part_only_what_overlaps_it_counts():
    segments = [said((1, 1.1)), said((4, 6)), said((8, 9)), said((11, 11.1)), said((13, 15)), said((18, 18.1))]
    found = cut(segments, "en", SETTINGS, 5, 14)
    assert times(found) == [(7.9, 9.1)]
    assert found.left_out == {"across_an_edge": 2, "too_short": 1}
    assert cut(segments, "en", SETTINGS, 6.5, 7.5) == ([], {})


def test_another_language_begins_another_utterance():
    found = cut([said((1, 2)), said((2.1, 3)).model_copy(update={"language": "cy"})], "en", SETTINGS)
    assert [utterance.language for utterance in found.utterances] == ["en", "cy"]


@given(st.lists(st.tuples(st.floats(0, 2), st.floats(0.01, 12)), min_size=1, max_size=60), st.floats(0, 1))
def test_utterances_never_overlap_and_have_a_length_that_is_wanted(gaps, margin):
    words, now = [], 0.0
    for pause, length in gaps:
        words.append((now + pause, now + pause + length))
        now = words[-1][1]
    settings = SpeechSettings(margin=margin)
    found = cut([said(*words)], "en", settings)
    spans = times(found)
    assert all(settings.min_seconds <= end - start <= settings.max_seconds for start, end in spans)
    assert all(before[1] <= after[0] + 1e-6 for before, after in pairwise(spans))
    assert sum(len(u.text.split()) for u in found.utterances) <= len(words)
