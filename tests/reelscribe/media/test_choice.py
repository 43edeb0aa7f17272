"""Which audio track is extracted, and the reason that is given for it."""

from typing import Any

import pytest

from reelscribe.errors import NoAudioTrack
from reelscribe.media.choice import choose_track
from reelscribe.media.inspection import InspectedStream


def stream(index: int, kind: str = "audio", **fields: object) -> InspectedStream:
    """A stereo track that can be decoded, unless ``fields`` say otherwise."""
    usual = {
        **{"index": index, "kind": kind, "codec": "aac", "decodable": True, "language": None, "title": None},
        **{"default": False, "forced": False, "dispositions": (), "start": 0.0, "duration": None},
        **{"sample_rate": 48_000, "channels": 2, "layout": "stereo"},
    }
    return InspectedStream.model_validate({**usual, **fields})


PICTURE = stream(0, "video", codec="h264", decodable=None)
UNDECODABLE: dict[str, Any] = {"codec": "ac4", "decodable": False}


def test_the_only_audio_track_is_taken_whatever_it_is() -> None:
    for fields in ({}, UNDECODABLE, {"dispositions": ("comment",)}):
        choice = choose_track([PICTURE, stream(1, **fields)], None)
        assert (choice.index, choice.track, choice.why) == (1, 0, "the only audio track")


def test_a_requested_track_is_taken_whatever_it_is() -> None:
    streams = [PICTURE, stream(1, default=True), stream(2, **UNDECODABLE)]
    choice = choose_track(streams, 1)
    assert (choice.index, choice.track, choice.why) == (2, 1, "track 1, as requested")


def test_the_default_track_comes_first() -> None:
    choice = choose_track([PICTURE, stream(1, channels=6), stream(2, default=True)], None)
    assert (choice.index, choice.track, choice.why) == (2, 1, "the default track")


def test_without_a_default_track_it_is_the_one_with_the_most_channels_as_in_ffmpeg() -> None:
    choice = choose_track([stream(0), stream(1, channels=6), stream(2, channels=6)], None)
    assert (choice.index, choice.why) == (1, "the first track")
    choice = choose_track([stream(0), stream(1, channels=6)], None)
    assert (choice.index, choice.why) == (1, "the track with the most channels (6)")


def test_of_several_default_tracks_too() -> None:
    defaults = [stream(0, default=True), stream(1, default=True, channels=6), stream(2, channels=8)]
    choice = choose_track(defaults, None)
    assert (choice.index, choice.why) == (1, "the default track with the most channels (6)")


def test_of_equal_tracks_it_is_the_first() -> None:
    choice = choose_track([stream(0), stream(1)], None)
    assert (choice.index, choice.why) == (0, "the first track")
    choice = choose_track([stream(0), stream(1, default=True), stream(2, default=True)], None)
    assert (choice.index, choice.why) == (1, "the first default track")


def test_a_track_that_cannot_be_decoded_is_skipped_even_if_it_is_the_default() -> None:
    choice = choose_track([PICTURE, stream(1, default=True, **UNDECODABLE), stream(2)], None)
    assert (choice.index, choice.track) == (2, 1)
    assert choice.why == "the only remaining track; skipped: track 0 (ac4, which ffmpeg cannot decode)"


@pytest.mark.parametrize(
    ("disposition", "meaning"),
    [
        ("visual_impaired", "audio description"),
        ("descriptions", "audio description"),
        ("comment", "commentary"),
        ("clean_effects", "music and effects without speech"),
    ],
)
def test_what_is_not_the_recordings_own_speech_is_skipped(disposition: str, meaning: str) -> None:
    other = stream(0, default=True, dispositions=(disposition,))
    choice = choose_track([other, stream(1), stream(2)], None)
    assert (choice.index, choice.why) == (1, f"the first remaining track; skipped: track 0 ({meaning})")


def test_a_track_without_any_sound_is_skipped() -> None:
    choice = choose_track([stream(0, default=True, channels=None, sample_rate=None), stream(1)], None)
    assert (choice.index, choice.why) == (1, "the only remaining track; skipped: track 0 (no sound of it was found)")


def test_a_commentary_is_better_than_what_cannot_be_decoded() -> None:
    assert choose_track([stream(0, **UNDECODABLE), stream(1, dispositions=("comment",))], None).index == 1


def test_a_track_that_would_not_have_been_taken_anyway_is_not_named() -> None:
    choice = choose_track([stream(0), stream(1, dispositions=("comment",))], None)
    assert (choice.index, choice.why) == (0, "the first track")


@pytest.mark.parametrize("track", [None, 0])
def test_a_recording_without_sound_has_no_track_to_choose(track: int | None) -> None:
    with pytest.raises(NoAudioTrack, match=r"a\.mp4 has no audio track$"):
        choose_track([PICTURE], track, "a.mp4")


def test_a_track_too_many_is_refused_with_those_that_are_there() -> None:
    with pytest.raises(NoAudioTrack, match=r"a\.mp4 has no audio track 2; its tracks are 0 to 1$"):
        choose_track([PICTURE, stream(1), stream(2)], 2, "a.mp4")
