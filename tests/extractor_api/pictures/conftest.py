"""Recordings with a clock, made once, and what the extractor makes of them."""

import io
import tarfile
from dataclasses import dataclass
from typing import Any

import httpx
import numpy as np
import pytest
from numpy.typing import NDArray

from reelscribe.contracts.pictures import PairRecord
from reelscribe.media.ffmpeg import FFmpeg
from tests.extractor_api.pictures.clock import Studio


@pytest.fixture(scope="package")
def studio(tmp_path_factory: pytest.TempPathFactory, making_ffmpeg: FFmpeg) -> Studio:
    return Studio(making_ffmpeg, tmp_path_factory.mktemp("clock") / "videos")


@dataclass(frozen=True)
class Sample:
    """What a tar holds under one key."""

    files: dict[str, bytes]

    @property
    def record(self) -> PairRecord:
        return PairRecord.model_validate_json(self.files["json"])

    @property
    def sound(self) -> NDArray[np.int16]:
        return np.frombuffer(self.files["wav"][44:], np.int16)


def samples_of(tar: bytes) -> dict[str, Sample]:
    """The samples of a complete tar, by key, in its order."""
    assert tar.endswith(bytes(1024)) and len(tar) % 512 == 0
    found: dict[str, dict[str, bytes]] = {}
    with tarfile.open(fileobj=io.BytesIO(tar)) as opened:
        for member in opened:
            assert (member.mtime, member.uid, member.gid, member.mode) == (0, 0, 0, 0o644)
            key, _, suffix = member.name.partition(".")
            content = opened.extractfile(member)
            assert content
            found.setdefault(key, {})[suffix] = content.read()
    return {key: Sample(files) for key, files in found.items()}


async def ask(
    client: httpx.AsyncClient, savepath: str, route: str = "/extract-pairs", **body: Any
) -> tuple[dict[str, Sample], dict[str, Any]]:
    """The samples and the receipt of a request that succeeds."""
    answer = await client.post(route, json={"savepath": savepath, **body})
    assert answer.status_code == 200, answer.text
    assert answer.headers["Content-Type"] == "application/x-tar"
    receipt = (await client.get(f"/extractions/{answer.headers['X-Extraction-Id']}")).json()
    samples = samples_of(answer.content)
    assert receipt["samples"] == len(samples) and receipt["bytes"] == len(answer.content)
    return samples, receipt
