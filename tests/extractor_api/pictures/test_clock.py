"""Each pair holds the picture that is shown then and the sound of that time, to the sample, whatever the container."""

from collections.abc import Sequence
from fractions import Fraction
from typing import NamedTuple

import numpy as np
import pytest

from tests.extractor_api.conftest import Serve
from tests.extractor_api.pictures.clock import FPS, RATE, Studio, number_in, place_of
from tests.extractor_api.pictures.conftest import ask

H264 = ("-c:v", "libx264", "-preset", "veryfast", "-x264-params", "bframes=3:b-adapt=0:keyint=50")
AAC = ("-c:a", "aac", "-b:a", "128k")
PCM = ("-c:a", "pcm_s16le")
VP9 = ("-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8")
LATE = ("-vf", "setpts=PTS+0.4/TB", "-fps_mode", "passthrough")
VARIABLE = ("-vf", "select='not(mod(n,7))+not(mod(n,5))+lt(n,10)'", "-fps_mode", "vfr")
SHOWN_BY_VARIABLE = [number for number in range(150) if not number % 7 or not number % 5 or number < 10]


class Kind(NamedTuple):
    """A recording of the clock.

    Attributes:
        off: how many samples its own timestamps put the sound before the picture, if not none.
        coarse: its timestamps are in milliseconds.
        shown: numbers of its pictures, if not all.
    """

    name: str
    options: Sequence[str]
    off: int = 0
    coarse: bool = False
    shown: Sequence[int] = range(150)


LATE_SAMPLES = 19_200
KINDS = [
    Kind("b-frames.mp4", (*H264, *AAC)),
    Kind("b-frames.mkv", (*H264, "-c:a", "flac"), coarse=True),
    Kind("vp9.webm", (*VP9, "-c:a", "libopus"), coarse=True),
    Kind("b-frames.ts", (*H264, *AAC)),
    Kind("plain.avi", ("-c:v", "mpeg4", "-bf", "0", "-q:v", "3", *PCM)),
    Kind("b-frames.avi", (*H264, *PCM), off=2 * RATE // FPS),
    Kind("pcm.mov", (*H264, *PCM)),
    Kind("dvd.mpg", ("-c:v", "mpeg2video", "-bf", "2", "-q:v", "3", "-c:a", "mp2")),
    Kind("variable.mp4", (*H264, *AAC, *VARIABLE), shown=SHOWN_BY_VARIABLE),
    Kind("late.mp4", (*H264, *AAC, *LATE), off=LATE_SAMPLES),
    Kind("late.mkv", (*H264, *AAC, *LATE), off=LATE_SAMPLES, coarse=True),
    Kind("late.ts", (*H264, *AAC, *LATE), off=LATE_SAMPLES),
]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
async def test_each_pair_holds_the_right_picture_and_the_sound_of_its_time(
    kind: Kind, serve: Serve, studio: Studio
) -> None:
    path = studio.make(kind.name, *kind.options)
    client = await serve(data_path=studio.folder.parent)
    await check(client, studio, kind, path.name, fps=3.0)


async def check(client, studio, kind, name, **moments):
    truth = studio.truth(studio.folder / name)
    samples, receipt = await ask(client, name, window="after", audio_seconds=0.25, **moments)
    assert receipt["state"] == "complete" and not receipt["decode_warnings"]
    assert len(samples) >= 14
    for sample in samples.values():
        record = sample.record
        place = truth.picture_at(Fraction(record.asked_seconds))
        assert place is not None
        number = kind.shown[place]
        assert (number_in(sample.files["jpg"]), record.video_pts) == (number, truth.pts[place]), record
        assert record.video_seconds == pytest.approx(float(truth.times[place]), abs=1e-6)
        assert record.audio_start_sample == int(truth.times[place] * RATE + Fraction(1, 2))
        deviation = place_of(sample.sound) - (number * RATE // FPS + kind.off)
        assert abs(deviation) <= (25 if kind.coarse else 1), (record, deviation)
    missing = [moment for moment in range(18) if truth.picture_at(Fraction(moment, 3)) is None]
    assert receipt["without_picture"] == len(missing)


async def test_a_trimmed_mov_begins_where_its_edit_list_says(serve: Serve, studio: Studio) -> None:
    source = studio.make("whole.mov", *H264, *PCM)
    studio.run("-ss", "0.72", "-i", str(source), "-c", "copy", str(studio.folder / "trimmed.mov"))
    client = await serve(data_path=studio.folder.parent)
    trimmed = Kind("trimmed.mov", (), shown=range(18, 150))
    samples, _ = await ask(client, "trimmed.mov", window="after", audio_seconds=0.25, timestamps=[0.0, 0.41, 2.0])
    for sample, number in zip(samples.values(), (18, 28, 68), strict=True):
        assert number_in(sample.files["jpg"]) == number == trimmed.shown[number - 18]
        assert abs(place_of(sample.sound) - number * RATE // FPS) <= 1


async def test_timestamps_that_begin_again_at_their_limit_are_one_clock(serve: Serve, studio: Studio) -> None:
    source = studio.make("to_wrap.ts", *H264, *AAC)
    studio.run("-i", str(source), "-c", "copy", "-output_ts_offset", "95440", str(studio.folder / "wraps.ts"))
    client = await serve(data_path=studio.folder.parent)
    samples, _ = await ask(client, "wraps.ts", window="after", audio_seconds=0.25, timestamps=[1.0, 5.0])
    for sample, number in zip(samples.values(), (24, 124), strict=True):  # the sound begins 21 ms before the picture
        assert number_in(sample.files["jpg"]) == number
        assert abs(place_of(sample.sound) - number * RATE // FPS) <= 1


@pytest.mark.parametrize(("window", "lead"), [("after", 0), ("centred", 6000), ("before", 12_000)])
async def test_the_window_lies_where_it_was_asked_for(serve: Serve, studio: Studio, window: str, lead: int) -> None:
    studio.make("windows.mov", *H264, *PCM)
    client = await serve(data_path=studio.folder.parent)
    samples, receipt = await ask(client, "windows.mov", window=window, audio_seconds=0.25, timestamps=[0.1, 3.0, 5.9])
    assert receipt["dropped_edges"] == {"after": 1, "centred": 2, "before": 1}[window]
    sample = samples["windows_000003000"]
    assert place_of(sample.sound) == sample.record.audio_start_sample == 75 * RATE // FPS - lead
    padded, receipt = await ask(
        client, "windows.mov", window=window, audio_seconds=0.25, timestamps=[5.9, 0.1, 3.0], edges="pad"
    )
    assert [sample.record.index for sample in padded.values()] == [1, 2, 0]
    for sample in padded.values():
        record = sample.record
        assert (record.audio_samples, record.audio_seconds, len(sample.sound)) == (12_000, 0.25, 12_000)
        before, after = record.padded_before or 0, record.padded_after or 0
        assert not sample.sound[:before].any() and not sample.sound[12_000 - after :].any()
        kept = sample.sound[before : 12_000 - after]
        assert place_of(kept) == (record.audio_start_sample or 0) + before
    assert receipt["dropped_edges"] == 0
    assert np.count_nonzero([sample.record.padded_before or sample.record.padded_after for sample in padded.values()])


async def test_frames_and_parts_are_the_same_as_in_the_pairs_of_all(serve: Serve, studio: Studio) -> None:
    studio.make("parts.mp4", *H264, *AAC)
    client = await serve(data_path=studio.folder.parent)
    everything, _ = await ask(client, "parts.mp4", fps=4.0)
    again, _ = await ask(client, "parts.mp4", fps=4.0)
    part, _ = await ask(client, "parts.mp4", fps=4.0, start=2.5, duration=2.0)
    frames, receipt = await ask(client, "parts.mp4", "/extract-frames", timestamps=[3.25, 100.0])
    assert again == everything
    assert [*part] == [f"parts_{2500 + 250 * number:09d}" for number in range(8)]
    for key, sample in part.items():
        assert (sample.files["jpg"], sample.files["wav"]) == (
            everything[key].files["jpg"],
            everything[key].files["wav"],
        )
    assert frames["parts_000003250"].files["jpg"] == everything["parts_000003250"].files["jpg"]
    assert set(frames["parts_000003250"].files) == {"jpg", "json"}
    assert (receipt["kind"], receipt["without_picture"], receipt["track"]) == ("frames", 1, None)
