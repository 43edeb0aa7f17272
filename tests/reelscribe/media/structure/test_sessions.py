"""Several recordings in one file, one after the other: there is no clock from start to end, and no length."""

from pathlib import Path

import pytest

from tests.reelscribe.media.structure.conftest import Make, Read
from tests.reelscribe.media.structure.test_table import CASES


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("a.mka", ("-c:a", "libopus")),
        ("a.webm", ("-c:a", "libopus", "-live", "1")),
        ("a.opus", ("-c:a", "libopus")),
        ("a.ogg", ("-c:a", "libvorbis")),
        ("a.flac", ("-c:a", "flac")),
        ("a.tta", ("-c:a", "tta")),
        ("a.mp3", ("-c:a", "libmp3lame")),
        ("a.flv", ("-c:a", "aac")),
    ],
)
@pytest.mark.parametrize("order", ["12", "21", "11", "112"])
def test_appended_recordings_declare_no_length(
    name: str, options: tuple[str, ...], order: str, make: Make, structure: Read
) -> None:
    parts = {"1": make(name, *options), "2": make(name, "-t", "2", *options)}
    found = structure(b"".join(parts[number].read_bytes() for number in order))
    assert (found.seconds, found.cut, found.seekable) == (None, None, False)
    assert [track.seconds for track in found.audio or ()] == [None]


@pytest.mark.parametrize(("shape", "said"), [(("-ar", "48000"), "48000 Hz"), (("-ac", "2"), "2 channels")])
def test_flac_of_another_shape_behind_the_first_is_known(
    shape: tuple[str, str], said: str, make: Make, structure: Read
) -> None:
    found = structure(make("a.flac").read_bytes() + make("a.flac", *shape).read_bytes())
    assert found.unplayed and said in found.unplayed
    assert (found.seconds, found.seekable) == (None, False)


@pytest.mark.parametrize("milliseconds", ["2.5", "20", "60", "120"])
def test_packets_of_opus_may_have_any_length(milliseconds: str, make: Make, structure: Read) -> None:
    [track] = structure(make("a.opus", "-c:a", "libopus", "-frame_duration", milliseconds)).audio or ()
    assert track.seconds == pytest.approx(3.0, abs=0.02)


def test_two_wavpack_recordings_declare_their_sum_as_ffmpeg_stops_at_the_tag_between_them(
    make: Make, structure: Read
) -> None:
    first, second = (make("a.wv", *options, "-c:a", "wavpack") for options in ((), ("-t", "2")))
    alone = [structure(part.read_bytes()).seconds for part in (first, second)]
    found = structure(first.read_bytes() + second.read_bytes())
    assert (found.seconds, found.joined, found.seekable) == (sum(filter(None, alone)), True, False)


def test_two_sessions_of_a_browser(structure: Read) -> None:
    found = structure(CASES / "02-two-mediarecorder-sessions.webm")
    assert (found.seconds, found.seekable, found.cut) == (None, False, None)
    assert [track.seconds for track in found.audio or ()] == [None]


def test_the_second_of_two_may_be_cut(make: Make, structure: Read) -> None:
    content = make("a.mka", "-c:a", "libopus").read_bytes()
    assert structure(content + content[:-1]).cut


def test_spliced_mp3_has_a_stale_first_frame(structure: Read) -> None:
    [track] = structure(CASES / "01-mono-then-stereo.mp3").audio or ()
    assert track.seconds is None


def test_a_transport_stream_whose_program_map_changes_lists_nothing(structure: Read) -> None:
    assert structure(CASES / "07-hole-15s.ts").audio is not None
    assert structure(CASES / "08-audio-pid-changes.ts").audio is None
    assert structure(CASES / "10-sound-appears-after-12s.ts").audio is None


def test_a_transport_stream_whose_sound_changes_its_codec_breaks_off_there(make: Make, structure: Read) -> None:
    first, second = (make("a.ts", "-c:a", codec).read_bytes() for codec in ("aac", "mp2"))
    assert structure(first + first).cut is None
    assert structure(first + second).cut == "its sound continues in another codec (stream type 0x3 instead of 0xf)"


def test_bytes_between_packets_are_no_cut(make: Make, structure: Read) -> None:
    content = make("a.ts", "-c:a", "aac").read_bytes()
    middle = len(content) // 2
    moved = content[:middle] + bytes(1000) + content[middle:]
    assert structure(moved).cut is None
    assert structure(moved[:-50]).cut == "its last packet has 138 of 188 bytes"


def pages(content: bytes) -> list[bytes]:
    return [b"OggS" + page for page in content.split(b"OggS")[1:]]


@pytest.mark.parametrize(("name", "codec"), [("a.opus", "libopus"), ("a.ogg", "libvorbis"), ("a.oga", "flac")])
def test_a_capture_of_an_ongoing_stream_is_counted_from_its_first_page(
    name: str, codec: str, make: Make, structure: Read, tmp_path: Path
) -> None:
    every = pages(make(name, "-c:a", codec, "-page_duration", "200000").read_bytes())
    headers = sum(page[6:14] in (bytes(8), b"\xff" * 8) for page in every)
    later = every[:headers] + every[headers + (len(every) - headers) // 2 :]
    [track] = structure(b"".join(later)).audio or ()
    assert track.seconds == pytest.approx(1.5, abs=0.25)
