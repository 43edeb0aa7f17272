"""Sound that begins after the picture, where ffmpeg would have to decode the picture to know that."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import httpx
import numpy as np
import pytest

from reelscribe.media.ffmpeg import FFmpeg
from tests.extractor_api.conftest import Serve
from tests.extractor_api.sound.test_channels import extract

RATE = 16_000
LATE_SECONDS = 2.0
BEEP_SECONDS = LATE_SECONDS + 5
SECONDS = LATE_SECONDS + 8
H264 = ("-c:v", "libx264", "-preset", "veryfast", "-bf", "2")
FLAC = ("-c:a", "flac")
KINDS: dict[str, tuple[str, ...]] = {
    "a.mkv": (*H264, "-c:a", "aac"),
    "not_reordered.mkv": (*H264, "-bf", "0", *FLAC),
    "opus.mkv": (*H264, "-c:a", "libopus"),
    "live.mkv": (*H264, *FLAC, "-live", "1"),
    "later_clock.mkv": (*H264, *FLAC, "-output_ts_offset", "100"),
    "later_clock_live.mkv": (*H264, *FLAC, "-live", "1", "-output_ts_offset", "100"),
    "hevc.mkv": ("-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "log-level=none", *FLAC),
    "vp8.webm": ("-c:v", "libvpx", "-deadline", "realtime", "-c:a", "libopus"),
    "a.nut": (*H264, "-c:a", "aac"),
    "later_clock.nut": (*H264, "-c:a", "aac", "-output_ts_offset", "100"),
    "a.wtv": (*H264, "-bsf:v", "h264_mp4toannexb", "-c:a", "mp2"),
    "a.mp4": (*H264, "-c:a", "aac"),
}


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory, run_ffmpeg: Callable[..., None]) -> Path:
    folder = tmp_path_factory.mktemp("late") / "videos"
    folder.mkdir()
    picture = ("-f", "lavfi", "-i", f"testsrc=s=128x96:r=25:d={SECONDS}")
    beep = ("-f", "lavfi", "-i", "aevalsrc=if(between(t\\,5\\,6)\\,0.5*sin(2*PI*440*t)):d=8:s=48000")
    for name, options in KINDS.items():
        run_ffmpeg(*picture, "-itsoffset", str(LATE_SECONDS), *beep, "-map", "0", "-map", "1", *options, folder / name)
    later = ("-itsoffset", str(LATE_SECONDS + 1), *beep)
    maps = ("-map", "0", "-map", "2", "-map", "1")
    run_ffmpeg(*picture, "-itsoffset", str(LATE_SECONDS), *beep, *later, *maps, *H264, *FLAC, folder / "two_tracks.mkv")
    run_ffmpeg("-itsoffset", "1", *picture, *beep, "-map", "0", "-map", "1", *H264, *FLAC, folder / "early.mkv")
    run_ffmpeg("-itsoffset", "1", *picture, *beep, "-map", "0", "-map", "1", *H264, *FLAC, folder / "early.nut")
    return folder


@pytest.fixture
async def extractor(serve: Serve, each_ffmpeg: FFmpeg, videos: Path) -> httpx.AsyncClient:
    return await serve(ffmpeg=each_ffmpeg, data_path=videos.parent)


@pytest.fixture
def beep_at(local_ffmpeg: FFmpeg) -> Callable[[bytes], float]:
    """When the beep begins in an audio, in seconds."""

    def decoded(audio: bytes) -> float:
        command: list[str | Path] = [
            local_ffmpeg.path,
            "-v",
            "error",
            "-i",
            "pipe:0",
            "-ac",
            "1",
            "-ar",
            str(RATE),
            "-f",
            "s16le",
            "-",
        ]
        samples = np.frombuffer(subprocess.run(command, input=audio, capture_output=True, check=True).stdout, np.int16)
        return float(np.argmax(np.abs(samples.astype(int)) > 3000)) / RATE

    return decoded


@pytest.mark.parametrize("name", KINDS)
async def test_it_is_late_in_every_format_and_part(
    extractor: httpx.AsyncClient, beep_at: Callable[[bytes], float], name: str
) -> None:
    for audio_format, delay in (("wav", 0.005), ("flac", 0.005), ("mp3", 0.03)):  # a streamed mp3 does not state it
        audio = (await extract(extractor, name, audio_format=audio_format)).content
        assert beep_at(audio) == pytest.approx(BEEP_SECONDS, abs=delay)
    for start in (1.0, 4.5, 6.0):
        part = await extract(extractor, name, start=start, duration=7.0)
        assert beep_at(part.content) == pytest.approx(BEEP_SECONDS - start, abs=0.005)


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("start", [0.0, 1.0, 4.5])
async def test_a_copy_says_how_late(
    extractor: httpx.AsyncClient, beep_at: Callable[[bytes], float], name: str, start: float
) -> None:
    copy = await extract(extractor, name, audio_format="source", start=start)
    begins = float(copy.headers["X-Begins-Seconds"])
    assert begins + beep_at(copy.content) == pytest.approx(BEEP_SECONDS, abs=0.03)  # frames that only start a codec
    assert begins == pytest.approx(max(LATE_SECONDS, start), abs=0.1)


async def test_of_several_tracks_each_has_its_own_time(
    extractor: httpx.AsyncClient, beep_at: Callable[[bytes], float]
) -> None:
    for track, begins in ((0, LATE_SECONDS + 1), (1, LATE_SECONDS)):
        wav = await extract(extractor, "two_tracks.mkv", track=track)
        assert beep_at(wav.content) == pytest.approx(begins + 5, abs=0.005)
        copy = await extract(extractor, "two_tracks.mkv", track=track, audio_format="source")
        assert float(copy.headers["X-Begins-Seconds"]) == pytest.approx(begins, abs=0.005)


@pytest.mark.parametrize("name", ["early.mkv", "early.nut"])
async def test_sound_that_begins_before_the_picture_is_not_late(
    extractor: httpx.AsyncClient, beep_at: Callable[[bytes], float], name: str
) -> None:
    assert beep_at((await extract(extractor, name)).content) == pytest.approx(5, abs=0.005)


@pytest.mark.parametrize("name", ["a.mkv", "later_clock.mkv", "a.nut", "later_clock.nut"])
async def test_peaks_and_clips_agree(
    extractor: httpx.AsyncClient, beep_at: Callable[[bytes], float], name: str
) -> None:
    peaks = (await extractor.post("/peaks", json={"savepath": name, "per_second": 100})).json()
    assert np.argmax(np.array(peaks["max"]) > 3000) / 100 == pytest.approx(BEEP_SECONDS, abs=0.02)
    clip = await extractor.post("/extract-clip", json={"savepath": name, "start": 6.0, "duration": 2.0})
    assert clip.status_code == 200, clip.text
    assert beep_at(clip.content) == pytest.approx(BEEP_SECONDS - 6, abs=0.03)
    assert json.loads((await extractor.get(f"/extractions/{clip.headers['X-Extraction-Id']}")).text)["begins"] == 6.0
