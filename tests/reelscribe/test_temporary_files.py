"""Disk space is kept for files that still grow, and for nothing else."""

import os
from pathlib import Path

import pytest

from reelscribe.errors import NoRoom
from reelscribe.temporary_files import SPARE_BYTES, TemporaryFolder

MIB = 1 << 20
OTHERWISE = "try again later"


class Disk:
    """A disk of 1000 MiB with the files of one folder only."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.f_frsize = 1

    @property
    def f_bavail(self) -> int:
        links = [entry for entry in Path("/proc/self/fd").iterdir() if entry.is_symlink()]
        ours = [link for link in links if os.readlink(link).startswith(str(self.folder))]
        return 1000 * MIB - sum(os.stat(link).st_size for link in ours)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TemporaryFolder:
    monkeypatch.setattr(os, "statvfs", lambda _: Disk(tmp_path))
    return TemporaryFolder(tmp_path)


def space(folder: TemporaryFolder) -> int:
    """MiB that a new file could have."""
    with pytest.raises(NoRoom) as refused:
        folder.create(1 << 60, OTHERWISE)
    assert refused.value.message.endswith(f"MiB free; {OTHERWISE}")
    return int(refused.value.message.partition("has ")[2].split()[0])


def test_some_space_is_always_left(folder: TemporaryFolder):
    assert space(folder) == 1000 - (SPARE_BYTES >> 20)


def test_a_files_space_is_kept_before_it_is_written_and_counted_once_then(folder: TemporaryFolder):
    available = space(folder)
    with folder.create(400 * MIB, OTHERWISE) as file:
        assert space(folder) == available - 400
        file.truncate(100 * MIB)
        assert space(folder) == available - 400
        file.truncate(400 * MIB)
        assert space(folder) == available - 400
    assert space(folder) == available


def test_a_finished_file_keeps_only_the_space_that_it_fills(folder: TemporaryFolder):
    available = space(folder)
    with folder.create(400 * MIB, OTHERWISE) as file:
        file.truncate(100 * MIB)
        folder.settle(file)
        assert space(folder) == available - 100


def test_a_file_that_grows_larger_than_expected_is_counted_once(folder: TemporaryFolder):
    available = space(folder)
    with folder.create(0, OTHERWISE) as one, folder.create(100 * MIB, OTHERWISE):
        one.truncate(300 * MIB)
        assert space(folder) == available - 400


def test_a_folder_that_is_missing_is_named_by_its_setting_and_not_by_its_path(tmp_path: Path):
    with pytest.raises(NoRoom, match=r"temp_dir cannot be used \(No such file or directory\)") as refused:
        TemporaryFolder(tmp_path / "missing").create(1, "otherwise")
    assert str(tmp_path) not in refused.value.message
