"""AMR has frames without sound in pauses: of noise (SID) or of nothing (NO_DATA). They are silence, and count."""

from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from reelscribe.media.ffmpeg import FFmpeg
from tests.extractor_api.conftest import Serve
from tests.extractor_api.test_cases import RECORDINGS
from tests.media_matrix.answers import ask

SPEECH_BYTES, NO_DATA, SID = 32, b"\x7c", b"\x44" + bytes(5)
"""The recording has 12.2 kbit/s; frame types 15 and 8 (RFC 4867, 5.3)."""

SECOND = 50
"""Frames of it."""


def speech() -> Iterator[bytes]:
    content = (RECORDINGS / "14-dtx.amr").read_bytes()
    at = 6
    while at < len(content):
        length = 1 if content[at : at + 1] == NO_DATA else SPEECH_BYTES
        if length > 1:
            yield content[at : at + length]
        at += length


@pytest.mark.parametrize("suffix", [".amr", ".3gp"])
async def test_pauses_with_and_without_noise_are_silence_at_the_end_too(
    serve: Serve, each_ffmpeg: FFmpeg, run_ffmpeg: Callable[..., None], tmp_path: Path, suffix: str
) -> None:
    (tmp_path / "videos").mkdir()
    words = list(speech())[:SECOND]
    noise = [SID, *[NO_DATA] * 9] * 10
    (tmp_path / "a.amr").write_bytes(
        b"#!AMR\n" + b"".join([*[NO_DATA] * SECOND, *words, *noise, *words, *noise[:SECOND]])
    )
    run_ffmpeg("-i", tmp_path / "a.amr", "-c", "copy", tmp_path / f"videos/a{suffix}")
    client: httpx.AsyncClient = await serve(each_ffmpeg, data_path=tmp_path)
    answer = await ask(client, f"a{suffix}")
    assert (answer.state, answer.seconds) == ("complete", pytest.approx(6, abs=0.05)), answer
    seconds = {int(beep.start) for beep in answer.beeps} | {int(beep.end - 0.02) for beep in answer.beeps}
    assert seconds == {1, 4}, "all that is loud is in the seconds that have speech"
