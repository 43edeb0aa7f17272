"""delivery = file: a finished result with exact headers, a length and byte ranges, and nothing left over."""

import asyncio
import hashlib
import io
import os
import struct
import subprocess
import wave
from pathlib import Path

import httpx
import pytest

from extractor_api.results import Results, expected_bytes
from reelscribe.contracts.extractor import ExtractAudioRequest, ProbedStream, ProbeResult
from reelscribe.errors import NoRoom
from reelscribe.media.commands import Encoding
from tests.extractor_api.conftest import Serve, running_ffmpeg
from tests.waiting import eventually


async def result(client: httpx.AsyncClient, savepath: str = "short.mp4", **fields: object) -> httpx.Response:
    return await client.post("/extract-audio", json={"savepath": savepath, "delivery": "file", **fields})


async def test_a_wav_has_its_true_sizes(extractor: httpx.AsyncClient) -> None:
    response = await result(extractor, audio_format="wav", sample_rate=16000)
    assert response.status_code == 200
    assert int(response.headers["Content-Length"]) == len(response.content)
    assert struct.unpack("<I", response.content[4:8])[0] == len(response.content) - 8
    with wave.open(io.BytesIO(response.content)) as wav:
        assert wav.getnframes() / wav.getframerate() == pytest.approx(7.5, abs=0.2)


async def test_a_flac_has_its_samples_and_md5(extractor: httpx.AsyncClient) -> None:
    response = await result(extractor, audio_format="flac", sample_rate=16000, channels=1)
    wav = await result(extractor, audio_format="wav", sample_rate=16000, channels=1)
    with wave.open(io.BytesIO(wav.content)) as opened:
        pcm = opened.readframes(opened.getnframes())
    streaminfo = response.content[8:42]
    samples = int.from_bytes(streaminfo[13:18], "big") & 0xFFFFFFFFF
    assert samples == len(pcm) // 2
    assert streaminfo[18:34] == hashlib.md5(pcm).digest()


async def test_an_mp3_has_its_xing_frame(extractor: httpx.AsyncClient) -> None:
    response = await result(extractor)
    assert b"Info" in response.content[:500] or b"Xing" in response.content[:500]
    streamed = await extractor.post("/extract-audio", json={"savepath": "short.mp4"})
    assert b"Info" not in streamed.content[:500], "whose length is not known when it begins"


async def test_ranges_join_to_the_entire_result_and_the_etag_guards_them(extractor: httpx.AsyncClient) -> None:
    complete = await result(extractor)
    url, etag = complete.headers["Content-Location"], complete.headers["ETag"]
    assert etag == f'"{hashlib.sha256(complete.content).hexdigest()}"' and complete.headers["Accept-Ranges"] == "bytes"
    size = len(complete.content)
    first = await extractor.get(url, headers={"Range": "bytes=0-999"})
    rest = await extractor.get(url, headers={"Range": "bytes=1000-", "If-Range": etag})
    tail = await extractor.get(url, headers={"Range": "bytes=-10"})
    assert [first.status_code, rest.status_code, tail.status_code] == [206, 206, 206]
    assert first.headers["Content-Range"] == f"bytes 0-999/{size}"
    assert first.content + rest.content == complete.content and tail.content == complete.content[-10:]
    changed = await extractor.get(url, headers={"Range": "bytes=0-9", "If-Range": '"another"'})
    assert (changed.status_code, changed.content) == (200, complete.content)
    outside = await extractor.get(url, headers={"Range": f"bytes={size}-"})
    assert (outside.status_code, outside.json()["error"]["code"]) == (416, "range_not_satisfiable")
    head = await extractor.head(url)
    assert (head.status_code, head.headers["Content-Length"], head.content) == (200, str(size), b"")
    assert head.headers["ETag"] == etag


async def test_the_receipt_has_the_results_hash(extractor: httpx.AsyncClient) -> None:
    response = await result(extractor, audio_format="wav")
    receipt = (await extractor.get(f"/extractions/{response.headers['X-Extraction-Id']}")).json()
    assert receipt["sha256"] == hashlib.sha256(response.content).hexdigest()
    assert (receipt["bytes"], receipt["state"]) == (len(response.content), "complete")


async def test_a_kept_result_is_answered_by_its_receipt(extractor: httpx.AsyncClient) -> None:
    kept = await extractor.post("/extract-audio", json={"savepath": "short.mp4", "delivery": "kept"})
    receipt, audio = kept.json(), await extractor.get(kept.headers["Content-Location"])
    assert (receipt["state"], receipt["bytes"]) == ("complete", len(audio.content))
    assert (audio.headers["ETag"], audio.headers["Content-Type"]) == (f'"{receipt["sha256"]}"', "audio/mpeg")
    cut = await extractor.post("/extract-audio", json={"savepath": "half.mp4", "delivery": "kept"})
    assert (cut.status_code, cut.json()["error"]["code"]) == (422, "incomplete_recording")


async def test_a_result_is_gone_after_its_time(serve: Serve, tmp_path: Path) -> None:
    extractor = await serve(result_ttl=0.3)
    url = (await result(extractor)).headers["Content-Location"]
    await asyncio.sleep(0.5)
    assert (await extractor.get(url)).status_code == 404


async def test_a_result_is_kept_while_it_is_requested(serve: Serve) -> None:
    extractor = await serve(result_ttl=1.5)
    url = (await result(extractor)).headers["Content-Location"]
    for _ in range(5):
        await asyncio.sleep(0.5)
        assert (await extractor.get(url, headers={"Range": "bytes=0-9"})).status_code == 206
    await asyncio.sleep(2)
    assert (await extractor.get(url)).status_code == 404


async def test_a_cut_file_is_refused_and_leaves_nothing(extractor: httpx.AsyncClient) -> None:
    before = open_files()
    response = await result(extractor, "half.mp4")
    assert (response.status_code, response.json()["error"]["code"]) == (422, "incomplete_recording")
    assert open_files() == before


async def test_a_client_that_leaves_ends_ffmpeg_and_frees_the_disk(extractor: httpx.AsyncClient) -> None:
    before = open_files()
    with pytest.raises(httpx.ReadTimeout):
        await extractor.post(
            "/extract-audio", json={"savepath": "long.mp4", "delivery": "file"}, timeout=httpx.Timeout(20, read=0.4)
        )
    await eventually(lambda: not running_ffmpeg() and open_files() == before)


def open_files() -> int:
    """Files of this process that no longer have a name."""
    links = [os.readlink(f"/proc/self/fd/{name}") for name in os.listdir("/proc/self/fd") if name_exists(name)]
    return sum("(deleted)" in link and "/tmp" in link for link in links)


def name_exists(name: str) -> bool:
    return os.path.lexists(f"/proc/self/fd/{name}")


async def test_a_full_disk_is_507_before_ffmpeg_starts(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    extractor = await serve()
    real = os.statvfs("/")
    few = os.statvfs_result((real[0], real[1], real[2], 0, 0, *real[5:10]))
    monkeypatch.setattr(os, "statvfs", lambda path: few)
    response = await result(extractor)
    assert (response.status_code, response.json()["error"]["code"]) == (507, "no_room")
    assert "delivery = stream" in response.json()["error"]["message"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a small disk")
async def test_a_disk_that_fills_up_on_the_way_is_507_too(
    serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = tmp_path / "small"
    small.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=300k", "none", small], capture_output=True).returncode:
        pytest.skip("this host does not allow mounts")
    try:
        extractor = await serve(temp_dir=small)
        monkeypatch.setattr("reelscribe.temporary_files.SPARE_BYTES", -1 << 40)
        response = await result(extractor, "minute.mp4", audio_format="wav")
        assert (response.status_code, response.json()["error"]["code"]) == (507, "no_room")
        assert os.statvfs(small).f_bfree == os.statvfs(small).f_blocks, "the partial file is gone"
    finally:
        subprocess.run(["umount", "-l", small], check=True)


def test_space_is_reserved_for_results_that_are_still_being_made(tmp_path: Path) -> None:
    free = os.statvfs(tmp_path).f_bavail * os.statvfs(tmp_path).f_frsize
    results = Results(tmp_path, ttl=1)
    with results.reserve(free * 3 // 4), pytest.raises(NoRoom), results.reserve(free * 3 // 4):
        pass
    with results.reserve(free * 3 // 4):
        pass
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("encoding", "fields", "expected"),
    [
        ("wav", {}, 100 * 44100 * 2 * 2),
        ("wav", {"sample_rate": 16000, "channels": 1}, 100 * 16000 * 2),
        ("flac", {"start": 90.0}, 10 * 44100 * 2 * 2),
        ("mp3", {"duration": 5.0}, 5 * 40_000),
        ("matroska", {}, 9_000_000),
    ],
)
def test_the_space_that_is_reserved_is_what_the_result_needs(
    encoding: Encoding, fields: dict[str, object], expected: int
) -> None:
    sound = ProbedStream(
        index=1, kind="audio", codec="aac", decodable=True, language=None, title=None, default=True,
        duration=100, sample_rate=44100, channels=2, layout="stereo",
    )  # fmt: skip
    probed = ProbeResult.model_validate(
        {
            "savepath": "a", "bucket_name": "b", "size": 9_000_000, "last_modified": "2026-01-01T00:00:00Z",
            "etag": "e", "container": "mp4", "duration": 100.0, "streams": [sound],
            "chosen_track": 0, "chosen_stream": 1, "chosen_because": "the only audio track",
        },
        strict=False,
    )  # fmt: skip
    request = ExtractAudioRequest.model_validate({"savepath": "a", **fields})
    assert expected_bytes(request, encoding, probed) == pytest.approx(expected, abs=1 << 17)
