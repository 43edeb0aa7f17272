"""A part of a recording is the same part of its whole extraction, to the sample, in every container."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import httpx
import numpy as np
import numpy.typing as npt
import pytest

from reelscribe.media.ffmpeg import FFmpeg
from tests.extractor_api.conftest import Serve
from tests.media_matrix.answers import samples_of

SAMPLE_RATE = 48_000
SECONDS = 20
START, DURATION = 12.34, 0.5
LARGEST_SHIFT = 4800

Samples = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Source:
    """A recording of noise, made by ffmpeg.

    Attributes:
        name: of the file, with the container's suffix.
        options: of ffmpeg.
        picture: codec of its picture, if it has one.
        alike: least correlation of a part and the complete extraction.
    """

    name: str
    options: str
    picture: str | None = None
    alike: float = 0.9999

    def __str__(self) -> str:
        return self.name


NOISE_SUBSTITUTION = 0.95
"""AAC and AC-3 have the decoder make noise, from a random state that depends on all frames before."""

AAC = "-c:a aac -b:a 96k"
OPUS = "-c:a libopus -b:a 64k"
SOURCES = (
    Source("a.mp4", AAC, "mpeg4", alike=NOISE_SUBSTITUTION),
    Source("44100.mp4", f"{AAC} -ar 44100 -movflags +faststart", "mpeg4", alike=NOISE_SUBSTITUTION),
    Source("fragments.mp4", f"{AAC} -movflags frag_keyframe+empty_moov+default_base_moof", "mpeg4"),
    Source("opus.mp4", OPUS, "mpeg4"),
    Source("a.m4a", AAC, alike=NOISE_SUBSTITUTION),
    Source("alac.m4a", "-c:a alac"),
    Source("a.mov", "-c:a pcm_s16le", "mpeg4"),
    Source("cbr.mp3", "-c:a libmp3lame -b:a 64k"),
    Source("vbr.mp3", "-c:a libmp3lame -q:a 6"),
    Source("bare_cbr.mp3", "-c:a libmp3lame -b:a 64k -write_xing 0 -id3v2_version 0"),
    Source("bare_vbr.mp3", "-c:a libmp3lame -q:a 6 -write_xing 0 -id3v2_version 0"),
    Source("a.flac", "-c:a flac"),
    Source("opus.ogg", OPUS),
    Source("vorbis.ogg", "-c:a libvorbis -q:a 2"),
    Source("flac.ogg", "-c:a flac"),
    Source("speex.ogg", "-c:a libspeex -ar 16000"),
    Source("aac.mkv", AAC, "mpeg4", alike=NOISE_SUBSTITUTION),
    Source("opus.mkv", OPUS, "mpeg4"),
    Source("live.mkv", f"{OPUS} -live 1", "mpeg4"),
    Source("flac.mka", "-c:a flac"),
    Source("opus.webm", OPUS, "libvpx"),
    Source("vorbis.webm", "-c:a libvorbis -q:a 2", "libvpx"),
    Source("mp2.ts", "-c:a mp2 -b:a 96k", "mpeg2video"),
    Source("aac.ts", AAC, "mpeg2video"),
    Source("a.mpg", "-c:a mp2 -b:a 96k", "mpeg2video"),
    Source("mp3.avi", "-c:a libmp3lame -b:a 64k", "mpeg4"),
    Source("ac3.avi", "-c:a ac3 -b:a 96k", "mpeg4", alike=NOISE_SUBSTITUTION),
    Source("a.wmv", "-c:a wmav2 -b:a 64k", "wmv2"),
    Source("a.wma", "-c:a wmav2 -b:a 64k"),
    Source("a.wav", "-c:a pcm_s16le"),
    Source("adpcm.wav", "-c:a adpcm_ms"),
    Source("a.caf", "-c:a pcm_s16be"),
    Source("a.aac", AAC),
    Source("a.flv", AAC, "flv"),
)
OFTEN = (
    *("a.mp4", "fragments.mp4", "bare_vbr.mp3", "a.flac", "opus.ogg", "opus.mkv", "live.mkv"),
    *("mp2.ts", "a.mpg", "ac3.avi", "a.wmv", "a.wav", "a.flv"),
)
TESTED = [source for source in SOURCES if source.name in OFTEN or "ALL_MEDIA" in os.environ]
"""One of each way to keep time; all of them with ALL_MEDIA=1 make test."""

HOLE_AT, HOLE_SECONDS = 5, 3
WITH_HOLES = ("a.mp4", "opus.mkv", "opus.webm", "live.mkv", "mp2.ts", "a.mpg", "a.flv", "a.wmv")
REPEATED = ("cbr.mp3", "a.flac", "opus.ogg", "vorbis.ogg", "opus.mkv", "opus.webm", "mp2.ts", "a.mpg", "a.flv", "a.aac")
"""Recorded in two sessions, one after the other in one file."""

PACKET_SECONDS = 0.033
LONGER_PACKETS = {"a.flac": 0.1, "flac.ogg": 0.1, "flac.mka": 0.1, "alac.m4a": 0.1, "a.mov": 0.05, "a.wav": 0.1}

MILLISECOND = SAMPLE_RATE // 1000
"""What lies behind a hole is where the container's clock says, and that of Matroska and ASF is rounded."""

JOINT_SECONDS = 0.25
"""ffmpeg 5.1 loses the last frames of a FLAC before the next header; mp3 and AAC begin with a silent frame."""

FLV_HEADER_BYTES = 13


def of(name: str) -> Source:
    return next(source for source in SOURCES if source.name == name)


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("ranges") / "videos"
    folder.mkdir()
    return folder


@pytest.fixture
def make(recordings: Path, run_ffmpeg: Callable[..., None]) -> Callable[..., str]:
    """Make a source, with options before those of its codec; returns its name."""
    noise = f"anoisesrc=color=pink:seed=1:amplitude=0.5:sample_rate={SAMPLE_RATE}:duration={SECONDS}"
    picture = f"testsrc=size=64x36:rate=25:duration={SECONDS + HOLE_SECONDS}"

    def make(source: Source, *options: str, prefix: str = "", picture_seconds: float = SECONDS) -> str:
        path = recordings / f"{prefix}{source.name}"
        if path.exists():
            return path.name
        pictures = ("-f", "lavfi", "-t", str(picture_seconds), "-i", picture) if source.picture else ()
        codec = ("-c:v", source.picture, "-g", "50") if source.picture else ()
        run_ffmpeg(*pictures, "-f", "lavfi", "-i", noise, *codec, *options, *source.options.split(), path)
        return path.name

    return make


@pytest.fixture
async def extractor(serve: Serve, recordings: Path) -> httpx.AsyncClient:
    return await serve(data_path=recordings.parent)


@pytest.mark.parametrize("source", TESTED, ids=str)
async def test_a_part_is_cut_to_the_sample(
    extractor: httpx.AsyncClient, make: Callable[..., str], source: Source
) -> None:
    savepath = make(source)
    complete = await extracted(extractor, savepath)
    part = await extracted(extractor, savepath, start=START, duration=DURATION)
    assert len(part) == 24_000
    assert_same(source, part, complete, 592_320)
    for start in (SECONDS - 0.9, SECONDS - 0.2):
        rest = await extracted(extractor, savepath, start=start)
        assert len(rest) == pytest.approx(round(len(complete) - start * SAMPLE_RATE), abs=1)
        assert_same(source, rest, complete, round(start * SAMPLE_RATE))


@pytest.mark.parametrize("source", [of(name) for name in WITH_HOLES], ids=str)
async def test_a_start_behind_a_hole_counts_the_hole(
    extractor: httpx.AsyncClient, make: Callable[..., str], source: Source
) -> None:
    jump = f"asetpts=PTS+gte(T\\,{HOLE_AT})*{HOLE_SECONDS}/TB"
    savepath = make(source, "-af", jump, prefix="hole_", picture_seconds=SECONDS + HOLE_SECONDS)
    complete = await extracted(extractor, savepath)
    assert len(complete) / SAMPLE_RATE == pytest.approx(SECONDS + HOLE_SECONDS, abs=0.1)
    assert np.abs(complete[round(5.2 * SAMPLE_RATE) : round(7.9 * SAMPLE_RATE)]).max() < 10
    part = await extracted(extractor, savepath, start=START, duration=DURATION)
    assert len(part) == 24_000
    assert_same(source, part, complete, 592_320, within=MILLISECOND)
    across = await extracted(extractor, savepath, start=7.5, duration=1)
    assert np.abs(across[: round(0.4 * SAMPLE_RATE)]).max() < 10
    assert_same(source, across, complete, round(7.5 * SAMPLE_RATE), within=MILLISECOND)


@pytest.mark.parametrize("source", [of("a.mp4"), of("aac.mkv")], ids=str)
async def test_a_start_counts_samples_where_the_clock_is_slower(
    extractor: httpx.AsyncClient, make: Callable[..., str], source: Source
) -> None:
    savepath = make(source, "-bsf:a", "setts=ts=TS*0.99", prefix="slow_")
    complete = await extracted(extractor, savepath)
    assert len(complete) / SAMPLE_RATE == pytest.approx(SECONDS, abs=0.05)
    part = await extracted(extractor, savepath, start=START, duration=DURATION)
    assert_same(source, part, complete, 592_320)


async def test_a_part_of_frames_of_many_sizes_is_cut_to_the_sample(
    serve: Serve, make: Callable[..., str], recordings: Path, each_ffmpeg: FFmpeg
) -> None:
    """FFmpeg 9 smooths their rounded timestamps, so that all of a part are as wrong as its first."""
    pcm = Source("pcm.mkv", "-c:a pcm_s16le -ar 44100")
    savepath = make(pcm)
    extractor = await serve(each_ffmpeg, data_path=recordings.parent)
    complete = await extracted(extractor, savepath, sample_rate=44_100)
    for start in (4, 12.001, 17.5):
        part = await extracted(extractor, savepath, start=start, duration=DURATION, sample_rate=44_100)
        assert_same(pcm, part, complete, round(start * 44_100))


@pytest.mark.parametrize("source", [of(name) for name in REPEATED], ids=str)
async def test_a_start_in_a_second_session_counts_the_first(
    extractor: httpx.AsyncClient, make: Callable[..., str], recordings: Path, source: Source
) -> None:
    session = (recordings / make(source)).read_bytes()
    savepath = f"repeated_{source.name}"
    (recordings / savepath).write_bytes(session + session[FLV_HEADER_BYTES if savepath.endswith("flv") else 0 :])
    complete = await extracted(extractor, savepath)
    assert len(complete) / SAMPLE_RATE == pytest.approx(2 * SECONDS, abs=JOINT_SECONDS)
    part = await extracted(extractor, savepath, start=SECONDS + START, duration=DURATION)
    assert len(part) == 24_000
    assert_same(source, part, complete, SECONDS * SAMPLE_RATE + 592_320)


@pytest.mark.parametrize("source", TESTED, ids=str)
async def test_a_track_as_stored_begins_within_two_packets_of_the_start(
    extractor: httpx.AsyncClient,
    make: Callable[..., str],
    source: Source,
) -> None:
    body = {"savepath": make(source), "audio_format": "source", "start": START, "duration": 2}
    response = await extractor.post("/extract-audio", json=body)
    assert response.status_code == 200, response.text
    receipt = (await extractor.get(f"/extractions/{response.headers['X-Extraction-Id']}")).json()
    packet = 2 * LONGER_PACKETS.get(source.name, PACKET_SECONDS)
    assert START - packet <= receipt["begins"] <= START + packet
    assert receipt["delivered_seconds"] == pytest.approx(2, abs=2 * packet)


async def extracted(extractor: httpx.AsyncClient, savepath: str, **part: float) -> Samples:
    body = {"savepath": savepath, "audio_format": "wav", "sample_rate": SAMPLE_RATE, "channels": 1}
    response = await extractor.post("/extract-audio", json={**body, **part})
    assert response.status_code == 200, response.text
    return np.frombuffer(samples_of(response.content), np.int16).astype(np.float64)


def assert_same(source: Source, part: Samples, complete: Samples, at: int, *, within: int = 0) -> None:
    """``part`` is what ``complete`` has from the sample ``at`` on, or from one at most ``within`` samples away."""
    shift, alike = compare(part[: len(complete) - at - within], complete, at)
    assert abs(shift) <= within, f"{shift} samples too early"
    assert alike >= source.alike, f"correlation {alike:.5f}"


def compare(part: Samples, complete: Samples, at: int) -> tuple[int, float]:
    """The shift in samples at which they are most alike, and their correlation then."""
    window = complete[max(0, at - LARGEST_SHIFT) : at + len(part) + LARGEST_SHIFT]
    size = 1 << (len(window) + len(part)).bit_length()
    product = np.fft.irfft(np.fft.rfft(window, size) * np.conj(np.fft.rfft(part, size)), size)
    best = int(np.argmax(product[: len(window) - len(part) + 1]))
    found = window[best : best + len(part)]
    return best - min(at, LARGEST_SHIFT), float(part @ found / np.sqrt((part @ part) * (found @ found)))
