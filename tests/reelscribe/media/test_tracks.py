"""The two questions that are still asked in the old way."""

from pathlib import Path

import pytest

from reelscribe.media.endings import ends_abruptly
from reelscribe.media.tracks import track_seconds
from tests.reelscribe.media.files import ask

CASES = Path(__file__).parents[2] / "cases"


def test_lengths_are_by_stream_index() -> None:
    assert ask(CASES / "12-6-channels-voice-on-4.wav", track_seconds) == {0: pytest.approx(2.0)}
    assert ask(CASES / "06-pt-BR-sound-shorter.mkv", track_seconds) == {}


def test_an_end_within_a_unit_is_abrupt(tmp_path: Path) -> None:
    intact = CASES / "05-comment-duration.opus"
    (tmp_path / "cut").write_bytes(intact.read_bytes()[:-1])
    assert (ask(intact, ends_abruptly), ask(tmp_path / "cut", ends_abruptly)) == (False, True)
