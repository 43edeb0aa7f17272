"""One start of a program fails, whichever it is: the answer is the usual one, or says that it was not the recording."""

import dataclasses
import shutil
from pathlib import Path
from typing import Any

import httpx
import pytest

from reelscribe.media.ffmpeg import FFmpeg
from tests.extractor_api.conftest import Serve

NO_SANDBOX = "echo 'bwrap: Creating new namespace failed: Resource temporarily unavailable' >&2; exit 1"
NO_PROGRAM = 'for one; do shift; set -- "$@" "$one"; [ "$one" != -- ] || set -- "$@" /bin/false; done'
"""As if ffmpeg had found no room for its threads."""

RECORDINGS: dict[str, tuple[str, dict[str, Any]]] = {
    "copied, from a time on": ("late.mp4", {"audio_format": "source", "start": 3.0}),
    "damaged, decoded and encoded": ("damaged.mp4", {"audio_format": "flac"}),
}


class Starts:
    """Of bubblewrap, one of which fails. They are counted in names of folders, for it may write to no file."""

    def __init__(self, folder: Path, bwrap: str, failure: str) -> None:
        self._counted, self.script = folder / "starts", folder / "bwrap"
        self.script.write_text(
            f"#!/bin/sh\nn=1\nuntil mkdir {self._counted}/$n 2>/dev/null; do n=$((n + 1)); done\n"
            f'if [ -e {self._counted}/fail-$n ]; then\n{failure}\nfi\nexec {bwrap} "$@"\n'
        )
        self.script.chmod(0o755)

    def fail(self, number: int) -> None:
        """Count from one on, and have that start fail."""
        shutil.rmtree(self._counted, ignore_errors=True)
        (self._counted / f"fail-{number}").mkdir(parents=True)

    @property
    def number(self) -> int:
        return len(list(self._counted.iterdir())) - 1


async def outcome(client: httpx.AsyncClient, savepath: str, fields: dict[str, Any]) -> tuple[Any, ...]:
    response = await client.post("/extract-audio", json={"savepath": savepath, "delivery": "file", **fields})
    if response.status_code == 200:
        return 200, len(response.content)
    error = response.json()["error"]
    return response.status_code, error["code"], error["retryable"], error["message"]


@pytest.mark.parametrize("failure", [NO_SANDBOX, NO_PROGRAM], ids=["the sandbox", "ffmpeg"])
@pytest.mark.parametrize("recording", RECORDINGS)
async def test_it_is_never_taken_for_a_fault_of_the_recording(
    serve: Serve, local_ffmpeg: FFmpeg, tmp_path: Path, recording: str, failure: str
) -> None:
    if not local_ffmpeg.sandbox.bwrap:
        pytest.skip("needs bubblewrap")
    real, *arguments = local_ffmpeg.sandbox.bwrap
    starts = Starts(tmp_path, real, failure)
    bwrap = (str(starts.script), *arguments)
    client = await serve(
        dataclasses.replace(local_ffmpeg, sandbox=dataclasses.replace(local_ffmpeg.sandbox, bwrap=bwrap))
    )
    savepath, fields = RECORDINGS[recording]
    starts.fail(0)
    usual = await outcome(client, savepath, fields)
    assert usual[0] == (422 if savepath == "damaged.mp4" else 200) and starts.number >= 3
    for number in range(1, starts.number + 1):
        starts.fail(number)
        found = await outcome(client, savepath, fields)
        assert found == usual or found[:3] == (500, "internal_error", True)
