"""Local files into a bucket that is a plain folder."""

import asyncio
import io
import os
import threading
import time

import pytest

from orchestrator.intake.upload import remove_leftovers, upload
from reelscribe.settings.extractor import PathsSection
from reelscribe.settings.loading import Settings


class Slow(io.BytesIO):
    """A file whose end comes once it is released."""

    def __init__(self, content):
        super().__init__(content)
        self.released = threading.Event()

    def read(self, size=-1):
        block = super().read(size)
        if not block:
            self.released.wait(60)
        return block


@pytest.fixture
def settings(tmp_path):
    (tmp_path / "videos").mkdir()
    return Settings(paths=PathsSection(minio_data_path=tmp_path))


async def test_two_uploads_into_a_folder_by_processes_of_the_same_id_do_not_mix(settings, tmp_path):
    """Their hosts, or containers, share the folder."""
    slow, read = Slow(b"slow" * 1000), asyncio.Event()
    first = asyncio.create_task(upload(settings, "videos", slow, "a.mp4", False, lambda size: read.set()))
    await read.wait()
    await upload(settings, "videos", io.BytesIO(b"fast"), "b.mp4", False, lambda size: None)
    slow.released.set()
    await first
    stored = {path.name: path.read_bytes() for path in (tmp_path / "videos").iterdir()}
    assert stored == {"a.mp4": b"slow" * 1000, "b.mp4": b"fast"}


async def test_what_a_killed_upload_has_left_is_removed_once_it_is_old(settings, tmp_path):
    folder = tmp_path / "videos" / "talks"
    folder.mkdir()
    for name in (".reelscribe-1.part", ".reelscribe-2.part", "old.part", "old.mp4"):
        (folder / name).write_bytes(b"x")
    day_before = time.time() - settings.uploads.keep_seconds - 1
    for name in (".reelscribe-1.part", "old.part", "old.mp4"):
        os.utime(folder / name, (day_before, day_before))
    await remove_leftovers(settings, "videos", "talks/new.mp4")
    assert sorted(path.name for path in folder.iterdir()) == [".reelscribe-2.part", "old.mp4", "old.part"]
    await remove_leftovers(settings, "videos", "no/such/folder.mp4")
