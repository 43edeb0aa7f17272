"""The bench of subtitles: what it counts, and how few could end in mid-sentence."""

from pathlib import Path

import pytest

from bench import subtitles
from reelscribe.contracts.events import Segment


def segment(start: float, end: float, text: str) -> Segment:
    return Segment(
        index=0, start=start, end=end, text=text, tokens=[], avg_logprob=0, no_speech_prob=0, compression_ratio=1
    )


LONG = segment(
    0, 6, "The cat that lived in the house at the end of the road did not care for the dog that lived there too."
)
SHORT = segment(6, 8, "It slept all day.")
UNMARKED = segment(0, 4, "it slept all day")


def test_a_sentence_needs_as_many_subtitles_as_its_letters_do() -> None:
    (long, short) = subtitles.sentences([LONG, SHORT])
    assert [subtitles.fewest(sentence) for sentence in (long, short)] == [2, 1]
    assert subtitles.fewest(long, lines=3) == 1


def test_a_sentence_needs_as_many_subtitles_as_its_seconds_do() -> None:
    (slow,) = subtitles.sentences([SHORT.model_copy(update={"end": 20.0})])
    assert [subtitles.fewest(slow, seconds=seconds) for seconds in (7, 14, 100)] == [3, 1, 1]


def test_the_smallest_share_is_what_such_sentences_leave() -> None:
    found = subtitles.sentences([LONG, SHORT])
    assert subtitles.least(found) == pytest.approx(1 / 3)
    assert subtitles.least(found, lines=3) == 0


def test_a_pause_that_no_subtitle_contains_ends_a_sentence_without_a_mark() -> None:
    parts = subtitles.sentences([UNMARKED, segment(6, 8, "and then it left.")])
    assert len(parts) == 2
    assert subtitles.least(parts) == 0.5


def test_where_subtitles_end_is_counted() -> None:
    found = subtitles.measure([[LONG, SHORT]])
    assert {key: found[key] for key in ("sentences", "too_long", "cues", "mid_sentence", "unmarked", "torn")} == {
        "sentences": 2, "too_long": 1, "cues": 3, "mid_sentence": 1, "unmarked": 1, "torn": 0,
    }  # fmt: skip


def test_recordings_without_the_end_of_a_sentence_are_left_out() -> None:
    found = subtitles.measure([[SHORT], [UNMARKED], []])
    assert (found["recordings"], found["left_out"], found["cues"]) == (1, 2, 1)


@pytest.mark.parametrize(("text", "torn"), [("in the", True), ("the house", False), ("and,", False)])
def test_a_torn_phrase_ends_with_a_word_that_begins_one(text: str, torn: bool) -> None:
    assert subtitles.is_torn(text) is torn


def test_transcripts_that_were_kept_are_not_made_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    kept = tmp_path / "kept.json"
    made = subtitles.Transcripts(model="some model", kinds={kind: [[LONG, SHORT]] for kind in subtitles.KINDS})
    kept.write_text(made.model_dump_json())
    subtitles.main(speech=tmp_path / "nowhere", transcripts=kept, quick=True)
    shown = capsys.readouterr().out
    assert "some model" in shown and "1 of 3 (33.3%)" in shown
