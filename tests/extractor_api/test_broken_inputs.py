"""Broken files: each gets a complete body with its receipt, a refusal that says why, or a cut stream."""

import asyncio
import gc
import hashlib
import itertools
import logging
import os
import random
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from tests.conftest import SPEECH, THOROUGH
from tests.extractor_api.conftest import Serve, running_ffmpeg

RECIPES = {
    "mp4": ("aac", "mpeg4", "-movflags", "+faststart"),
    "mkv": ("libopus", "mpeg4"),
    "webm": ("libopus", "libvpx"),
    "avi": ("libmp3lame", "mpeg4"),
    "ts": ("aac", "mpeg2video"),
    "flv": ("aac", "flv"),
    "ogg": ("libopus", None, "-page_duration", "100000"),
    "mp3": ("libmp3lame", None),
    "flac": ("flac", None),
    "wav": ("pcm_s16le", None),
}
GROUPS = (("mp4", "mkv", "webm"), ("avi", "ts", "flv"), ("ogg", "mp3", "flac", "wav"))
REQUESTS: tuple[dict[str, object], ...] = (
    {"audio_format": "wav"},
    {"audio_format": "flac", "delivery": "file"},
    {"audio_format": "mp3", "sample_rate": 16000},
    {"audio_format": "source"},
    {"audio_format": "wav", "allow_incomplete": True},
)
ALLOWED_REFUSALS = {"not_decodable", "no_audio_track", "incomplete_recording"}
CLIENTS = 2
SLOWEST_SECONDS = 100
"""Many times what any takes: none is left without an answer."""
GROWTH_BYTES = 24 << 20


@pytest.fixture(scope="module")
def sound_files(tmp_path_factory: pytest.TempPathFactory, run_ffmpeg: Callable[..., None]) -> dict[str, bytes]:
    """One second of speech in every container, with a picture where it can hold one."""
    folder = tmp_path_factory.mktemp("sound")
    picture = ("-f", "lavfi", "-i", "testsrc=size=64x36:rate=5:duration=1")
    for suffix, (sound, video, *options) in RECIPES.items():
        coding = ("-c:v", video, "-b:v", "50k") if video else ()
        start = picture if video else ()
        run_ffmpeg(
            *start, "-t", "1", "-i", SPEECH / "short.flac", *coding, "-c:a", sound, *options, folder / f"a.{suffix}"
        )
    return {suffix: (folder / f"a.{suffix}").read_bytes() for suffix in RECIPES}


def broken(files: dict[str, bytes], suffixes: tuple[str, ...]) -> Iterator[tuple[str, bytes]]:
    """Each way to break each of these files, by name; the same ones in every run."""
    chance = random.Random(20_240_229)
    for suffix in suffixes:
        data = files[suffix]
        tenths = range(1, 10) if THOROUGH else (2, 5, 9)
        for length in (0, 1, 7, 64, *(len(data) * tenth // 10 for tenth in tenths), len(data) - 1):
            yield f"cut at {length}.{suffix}", data[:length]
        for bits in (1, 4, 16, 64, 512):
            for _ in range(2 if THOROUGH else 1):
                flipped = bytearray(data)
                for _ in range(bits):
                    flipped[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
                yield f"{bits} bits flipped {chance.random():.4f}.{suffix}", bytes(flipped)
        for share in (0, 3, 6, 9) if THOROUGH else (0, 6):
            start = len(data) * share // 10
            hole = min(len(data) - start, len(data) // 10)
            yield f"zeros at {start}.{suffix}", data[:start] + bytes(hole) + data[start + hole :]
        for other in chance.sample([name for name in files if name != suffix], 4 if THOROUGH else 1):
            yield f"head of {other}.{suffix}", files[other][:512] + data[512:]


async def judge(client: httpx.AsyncClient, savepath: str, request: dict[str, object]) -> str:
    """How a request ended, in a word; asserts that it ended in one of the allowed ways."""
    try:
        response = await client.post("/extract-audio", json={"savepath": savepath, **request}, timeout=SLOWEST_SECONDS)
    except httpx.RemoteProtocolError:
        return "cut"
    if response.status_code != 200:
        error = response.json()["error"]
        assert (response.status_code, error["code"] in ALLOWED_REFUSALS) == (422, True), f"{savepath}: {error}"
        assert error["message"].startswith(savepath) and not error["retryable"]
        return str(error["code"])
    receipt = (await client.get(f"/extractions/{response.headers['X-Extraction-Id']}")).json()
    assert receipt["sha256"] == hashlib.sha256(response.content).hexdigest(), savepath
    assert receipt["bytes"] == len(response.content) and receipt["delivered_seconds"] > 0, savepath
    assert receipt["state"] == "complete" or "allow_incomplete" in request, savepath
    return str(receipt["state"])


def open_descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


@pytest.mark.timeout(900 if THOROUGH else 300)
@pytest.mark.parametrize("suffixes", GROUPS, ids=" ".join)
async def test_every_broken_file_is_answered_cleanly_and_nothing_is_left_over(
    serve: Serve,
    sound_files: dict[str, bytes],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    suffixes: tuple[str, ...],
) -> None:
    caplog.set_level(logging.INFO)
    temp_dir, videos = tmp_path / "temp", tmp_path / "minio" / "videos"
    temp_dir.mkdir()
    videos.mkdir(parents=True)
    inputs = dict(broken(sound_files, suffixes))
    for name, data in inputs.items():
        (videos / name).write_bytes(data)
    client: httpx.AsyncClient = await serve(
        data_path=videos.parent, temp_dir=temp_dir, start_timeout=SLOWEST_SECONDS / 2
    )
    work = iter(zip(inputs, itertools.cycle(REQUESTS)))
    endings: Counter[str] = Counter()

    async def judge_all() -> None:
        for savepath, request in work:
            endings[await judge(client, savepath, request)] += 1

    async def judge_some(count: int) -> None:
        for savepath, request in itertools.islice(work, count):
            endings[await judge(client, savepath, request)] += 1

    await judge_some(10)
    client.service.results.close()  # type: ignore[attr-defined]
    gc.collect()
    descriptors, memory = open_descriptors(), psutil.Process().memory_info().rss
    await asyncio.gather(*(judge_all() for _ in range(CLIENTS)))
    client.service.results.close()  # type: ignore[attr-defined]
    gc.collect()
    assert sum(endings.values()) == len(inputs)
    assert {"complete", "not_decodable", "incomplete_recording"} <= set(endings), endings
    assert endings["cut"] + endings["incomplete"], endings
    assert running_ffmpeg() == []
    assert open_descriptors() <= descriptors + CLIENTS, "at most the sockets of the second client"
    assert list(temp_dir.iterdir()) == []
    assert psutil.Process().memory_info().rss - memory < GROWTH_BYTES
    assert not [record.getMessage() for record in caplog.records if record.exc_info or record.levelno >= logging.ERROR]
    assert "Traceback" not in caplog.text
