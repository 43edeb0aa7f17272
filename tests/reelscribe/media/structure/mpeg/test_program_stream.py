"""Which tracks the first packets of a program stream show."""

import pytest

from tests.reelscribe.media.structure.conftest import Make, Read


@pytest.mark.parametrize(("name", "codec"), [("a.mpg", "mp2"), ("a.vob", "ac3"), ("a.vob", "mp2"), ("a.vob", "dts")])
def test_one_track_needs_no_closer_look(name: str, codec: str, make: Make, structure: Read) -> None:
    options = ("-c:a", codec, "-strict", "-2", "-ar", "48000")
    for index, picture in enumerate((False, True)):
        found = structure(make(name, *options, picture=picture))
        assert [track.index for track in found.audio or ()] == [index]


def test_what_may_be_sound_or_not_is_left_open(make: Make, structure: Read) -> None:
    assert structure(make("a.mpg", "-c:a", "ac3", "-ar", "48000")).audio is None
