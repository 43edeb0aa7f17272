"""What FFmpeg does not play as an edit list says is not delivered as if it were complete."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from reelscribe.media.ffmpeg import FFmpeg
from tests.extractor_api.conftest import Serve
from tests.reelscribe.media.structure.test_mp4 import with_edits


async def test_silence_between_edits_and_sound_that_is_left_out_of_a_copy_are_named(
    serve: Serve, each_ffmpeg: FFmpeg, run_ffmpeg: Callable[..., None], tmp_path: Path
) -> None:
    (tmp_path / "videos").mkdir()
    run_ffmpeg("-f", "lavfi", "-i", "sine=duration=6", "-c:a", "aac", tmp_path / "a.mp4")
    content = (tmp_path / "a.mp4").read_bytes()
    (tmp_path / "videos/silence.mp4").write_bytes(with_edits(content, (2, 0), (1, -1), (2, 2)))
    (tmp_path / "videos/skip.mp4").write_bytes(with_edits(content, (2, 0), (2, 4)))
    client = await serve(each_ffmpeg, data_path=tmp_path)

    async def asked(savepath: str, audio_format: str) -> tuple[int, str]:
        body = {"savepath": savepath, "audio_format": audio_format, "delivery": "file"}
        answer = await client.post("/extract-audio", json=body)
        return answer.status_code, "" if answer.is_success else answer.text

    status, reason = await asked("silence.mp4", "wav")
    assert status == 422
    assert "silence at 2.0 s, where ffmpeg plays other sound" in reason
    assert await asked("skip.mp4", "wav") == (200, "")
    status, reason = await asked("skip.mp4", "source")
    assert status == 422
    assert "leaves out some of the stored sound" in reason


async def test_another_speed_is_named(
    serve: Serve, each_ffmpeg: FFmpeg, run_ffmpeg: Callable[..., None], tmp_path: Path
) -> None:
    (tmp_path / "videos").mkdir()
    run_ffmpeg("-f", "lavfi", "-i", "sine=duration=6", "-c:a", "aac", tmp_path / "a.mp4")
    content = bytearray(with_edits((tmp_path / "a.mp4").read_bytes(), (2, 0), (1, 2)))
    content[content.index(b"elst") + 33] = 2
    (tmp_path / "videos/fast.mp4").write_bytes(content)
    client = await serve(each_ffmpeg, data_path=tmp_path)
    for part, status in (({}, 422), ({"duration": 1.5}, 200)):
        body = {"savepath": "fast.mp4", "audio_format": "wav", "delivery": "file", **part}
        answer = await client.post("/extract-audio", json=body)
        assert answer.status_code == status
        assert ("plays sound at another speed from 2.0 s on" in answer.text) == (status == 422)


async def test_a_start_behind_a_cut_is_the_slice_of_the_complete_extraction(
    serve: Serve, each_ffmpeg: FFmpeg, run_ffmpeg: Callable[..., None], tmp_path: Path
) -> None:
    (tmp_path / "videos").mkdir()
    run_ffmpeg("-f", "lavfi", "-i", "anoisesrc=duration=10:sample_rate=48000:seed=1", "-c:a", "aac", tmp_path / "a.mp4")
    content = with_edits((tmp_path / "a.mp4").read_bytes(), (2.005, 0), (2, 5.003))
    (tmp_path / "videos/a.mp4").write_bytes(content)
    client = await serve(each_ffmpeg, data_path=tmp_path)

    async def samples(**part: float) -> "np.ndarray[tuple[int], np.dtype[np.int16]]":
        body = {"savepath": "a.mp4", "audio_format": "wav", **part}
        return np.frombuffer((await client.post("/extract-audio", json=body)).content[44:], np.int16)

    complete, part = await samples(), await samples(start=3.0, duration=0.5)
    assert np.array_equal(part, complete[144_000:168_000])
