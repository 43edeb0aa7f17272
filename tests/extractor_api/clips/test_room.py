"""What clips and previews write to the disk of temp_dir: no more than they reserved, and a full disk is named."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import httpx
import pytest

from reelscribe.contracts.clips import PreviewRequest
from reelscribe.errors import NoRoom, TooLarge
from reelscribe.media.clips.preview import OVERSHOOT, PreviewExtraction, Reserve
from reelscribe.media.ffmpeg import FFmpeg
from reelscribe.media.stored_object import open_file
from reelscribe.settings.extractor import ExtractionSection
from reelscribe.temporary_files import TemporaryFolder

FULL = Path("/dev/full")


def preview(ffmpeg: FFmpeg, file: BinaryIO, reserve: Reserve, **fields: object) -> PreviewExtraction:
    request = PreviewRequest.model_validate({"savepath": "clock.mp4", **fields})
    return PreviewExtraction(ffmpeg, open_file(file.fileno(), "clock.mp4"), request, "id", ExtractionSection(), reserve)


@pytest.mark.parametrize("kind", ["gif", "mp4"])
async def test_no_attempt_at_a_preview_writes_more_than_was_reserved(
    kind: str, clock_bucket: Path, local_ffmpeg: FFmpeg, tmp_path: Path
) -> None:
    reserved: list[tuple[int, int]] = []
    files: list[BinaryIO] = []
    folder = TemporaryFolder(tmp_path)

    def reserve(wanted: int) -> BinaryIO:
        files.append(folder.create(wanted, ""))
        reserved.append((wanted, os.dup(files[-1].fileno())))
        return files[-1]

    with (clock_bucket / "clock.mp4").open("rb") as file:
        made = preview(local_ffmpeg, file, reserve, format=kind, count=2, seconds=1.0, fps=8, max_bytes=1000)
        with pytest.raises(TooLarge) as refused:
            await made.make()
    assert refused.value.details["smallest"] > 1000
    sizes = [os.fstat(kept).st_size for _, kept in reserved]
    for one, (_, kept) in zip(files, reserved, strict=True):
        one.close()
        os.close(kept)
    assert len(sizes) > 2 and all(size <= wanted for size, (wanted, _) in zip(sizes, reserved, strict=True))
    assert {wanted for wanted, _ in reserved[1:]} == {OVERSHOOT * 1000} and max(sizes[1:]) > 1000


async def test_a_full_disk_is_named_by_previews(clock_bucket: Path, local_ffmpeg: FFmpeg) -> None:
    with (clock_bucket / "clock.mp4").open("rb") as file, FULL.open("r+b", buffering=0) as full:
        made = preview(local_ffmpeg, file, lambda wanted: full, moments=[1.0])
        with pytest.raises(NoRoom, match="smaller preview"):
            await made.make()


async def test_a_full_disk_is_named_by_clips(clips: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    @contextmanager
    def reserve(wanted: int, otherwise: str) -> Iterator[BinaryIO]:
        with FULL.open("r+b", buffering=0) as file:
            yield file

    monkeypatch.setattr(clips.service.results, "reserve", reserve)  # type: ignore[attr-defined]
    answer = await clips.post("/extract-clip", json={"savepath": "clock.mp4", "duration": 1.0, "audio": "wav"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (507, "no_room")
