"""Whatever a file's tags say, its audio is complete; whatever its header says, there is an answer, and soon."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.conftest import SPEECH, THOROUGH
from tests.extractor_api.conftest import Serve

SECONDS = 2.0
MOST_CHARACTERS = 16_000
"""Of up to four bytes each: an argument of ffmpeg's command line may have 128 KiB."""
MUTATED_BYTES = 4096
SLOWEST_SECONDS = 60

TAGGED = {
    "mkv": "-c:a libopus",
    "mp4": "-c:a aac -movflags +use_metadata_tags",
    "ogg": "-c:a libvorbis",
    "mp3": "-c:a libmp3lame",
    "flac": "-c:a flac",
    "wav": "-c:a pcm_s16le",
}
MUTATED = {
    **TAGGED,
    "ts": "-c:a aac",
    "avi": "-c:a libmp3lame",
    "flv": "-c:a aac -ar 44100",
    "wma": "-c:a wmav2",
    "aiff": "-c:a pcm_s16be",
    "caf": "-c:a pcm_s16be",
    "mpg": "-c:a mp2",
    "aac": "-c:a aac",
}
LIKE_THE_LOG = (
    "Duration: 00:12:30...",
    "  Duration: 01:02:03.00, start: 0.000000, bitrate: 8 kb/s",
    "duration: 1:02:03",
    "Input #0, wav, from 'x':",
    "  Stream #0:0: Audio: pcm_s16le, 8000 Hz, mono, s16, 128 kb/s",
    "  Stream #0:0(por): Audio: opus, 48000 Hz, stereo (default)",
    "    DURATION        : 00:59:59.000000000",
    "Output #0, wav, to 'pipe:1':",
    "[error] x",
    "[mp3 @ 0x55d0] [warning] Estimating duration from bitrate, this may be inaccurate",
    "[info] size=       1kB time=00:00:01.00 bitrate=   1.0kbits/s speed=1x",
    "[verbose] 99 packets read (1 bytes); 99 frames decoded (4800 samples);",
    "Conversion failed!",
)
characters = st.characters(codec="utf-8", exclude_characters="\0")
lines = st.lists(st.one_of(st.sampled_from(LIKE_THE_LOG), st.text(characters, max_size=40)), max_size=6)
texts = st.builds(
    lambda among, separator, times: (separator.join(among) * times)[:MOST_CHARACTERS],
    lines,
    st.sampled_from(["\n", "\r\n", "\r", " ", "\x1b[0m", "\x08", "\u2028"]),
    st.sampled_from([1, 1, 1, 2, 5_000]),
)
languages = st.one_of(st.sampled_from(["pt-BR", "por", "zh-Hant-TW", "", "(", "eng): Audio: x"]), st.text(max_size=8))
tags = st.fixed_dictionaries({"title": texts, "comment": texts}, optional={"artist": texts, "DURATION": texts})

repeatable = settings(
    deadline=None,
    derandomize=True,
    phases=[Phase.explicit, Phase.generate],  # to shrink an example takes hundreds of runs of ffmpeg
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, run_ffmpeg: Callable[..., None]) -> Path:
    """``a.*``: two seconds of speech in each container."""
    folder = tmp_path_factory.mktemp("fuzzed") / "videos"
    folder.mkdir()
    for suffix, options in MUTATED.items():
        run_ffmpeg("-t", str(SECONDS), "-i", SPEECH / "short.flac", *options.split(), folder / f"a.{suffix}")
    return folder


@pytest.fixture
async def extractor(serve: Serve, folder: Path) -> httpx.AsyncClient:
    return await serve(data_path=folder.parent)


@pytest.mark.parametrize("suffix", TAGGED)
@settings(repeatable, max_examples=20 if THOROUGH else 3)
@given(tags=tags, language=languages)
async def test_no_tag_changes_the_audio(
    extractor: httpx.AsyncClient,
    folder: Path,
    run_ffmpeg: Callable[..., None],
    suffix: str,
    tags: dict[str, str],
    language: str,
) -> None:
    pairs = [word for name, text in tags.items() for word in ("-metadata", f"{name}={text}")]
    language = language.replace("\0", "")
    marks = ("-metadata:s:a:0", f"language={language}", "-movflags", "+use_metadata_tags")
    run_ffmpeg("-i", folder / f"a.{suffix}", "-c", "copy", *pairs, *marks, folder / f"tagged.{suffix}")
    response = await extractor.post("/extract-audio", json={"savepath": f"tagged.{suffix}", "audio_format": "wav"})
    assert response.status_code == 200, response.text
    receipt = (await extractor.get(f"/extractions/{response.headers['X-Extraction-Id']}")).json()
    assert (receipt["state"], receipt["reason"]) == ("complete", None)
    assert receipt["delivered_seconds"] == pytest.approx(SECONDS, abs=0.1)
    assert receipt["declared_seconds"] in (None, pytest.approx(SECONDS, abs=0.1))
    probed = await extractor.get("/probe", params={"savepath": f"tagged.{suffix}"})
    assert probed.status_code == 200
    assert [stream["kind"] for stream in probed.json()["streams"]] == ["audio"]


changes = st.lists(st.tuples(st.integers(0, MUTATED_BYTES - 1), st.integers(0, 255)), min_size=1, max_size=64)


@settings(repeatable, max_examples=400 if THOROUGH else 28)
@given(suffix=st.sampled_from(sorted(MUTATED)), first=changes, last=changes, allow_incomplete=st.booleans())
async def test_no_changed_byte_of_a_header_or_an_index_goes_without_an_answer(
    extractor: httpx.AsyncClient,
    folder: Path,
    suffix: str,
    first: list[tuple[int, int]],
    last: list[tuple[int, int]],
    allow_incomplete: bool,
) -> None:
    data = bytearray((folder / f"a.{suffix}").read_bytes())
    for at, value in first:
        data[at % len(data)] = value
    for at, value in last:
        data[-1 - at % len(data)] = value
    (folder / f"changed.{suffix}").write_bytes(data)
    body = {"savepath": f"changed.{suffix}", "audio_format": "wav", "allow_incomplete": allow_incomplete}
    try:
        response = await extractor.post("/extract-audio", json=body)
        assert response.status_code in (200, 422)
    except (httpx.RemoteProtocolError, httpx.ReadError):
        pass  # the stream was cut
    probed = await extractor.get("/probe", params={"savepath": f"changed.{suffix}"})
    assert probed.status_code in (200, 422)
    async with asyncio.timeout(SLOWEST_SECONDS):
        while (await extractor.get("/healthz")).json()["ffmpeg_running"]:
            await asyncio.sleep(0.01)
