"""SubRip and WebVTT."""

import pytest

from reelscribe.contracts.events import Segment
from reelscribe.text import srt_vtt


def segment(start: float, end: float, text: str) -> Segment:
    return Segment(
        index=0, start=start, end=end, text=text, tokens=[], avg_logprob=0, no_speech_prob=0, compression_ratio=1
    )


LINES = [segment(0.0, 1.5, "Hello."), segment(3661.2345, 3662.9996, "Good bye.")]


def test_srt():
    assert srt_vtt.srt(LINES) == (
        "1\n00:00:00,000 --> 00:00:01,500\nHello.\n\n2\n01:01:01,234 --> 01:01:03,000\nGood bye.\n\n"
    )


def test_vtt():
    assert srt_vtt.vtt(LINES) == (
        "WEBVTT\n\n00:00:00.000 --> 00:00:01.500\nHello.\n\n01:01:01.234 --> 01:01:03.000\nGood bye.\n\n"
    )


def test_vtt_escapes_what_it_would_take_for_markup():
    assert "a &lt;b&gt; &amp; c --&gt; d\n" in srt_vtt.vtt([segment(0, 1, "a <b> & c --> d")])


def test_srt_holds_no_second_arrow():
    assert srt_vtt.srt([segment(0, 1, "a --> b")]).count("-->") == 1


def test_an_empty_line_does_not_end_a_subtitle():
    assert srt_vtt.srt([segment(0, 1, " a\n\nb ")]).splitlines()[2:] == ["a", "b", ""]


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0.0004, "00:00:00.000"), (0.9996, "00:00:01.000"), (59.9999, "00:01:00.000"), (359999.999, "99:59:59.999")],
)
def test_clock_rounds_to_the_millisecond(seconds, shown):
    assert srt_vtt.clock(seconds) == shown


def test_no_subtitles_are_still_a_vtt_file():
    assert srt_vtt.vtt([]) == "WEBVTT\n\n"
