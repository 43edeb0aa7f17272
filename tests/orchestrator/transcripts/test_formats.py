"""Transcripts as text and subtitles."""

from orchestrator.transcripts import formats
from reelscribe.contracts.events import Segment


def segment(start: float, end: float, text: str) -> Segment:
    return Segment(
        index=0, start=start, end=end, text=text, tokens=[], avg_logprob=0, no_speech_prob=0, compression_ratio=1
    )


LINES = [segment(0.0, 1.5, "Hello."), segment(3661.2345, 3662.9996, "Good bye.")]


def test_text_is_one_segment_a_line():
    assert formats.text(LINES) == "Hello.\nGood bye.\n"


def test_text_with_timestamps():
    assert formats.text(LINES, timestamps=True) == (
        "[00:00:00.000 --> 00:00:01.500] Hello.\n[01:01:01.234 --> 01:01:03.000] Good bye.\n"
    )
