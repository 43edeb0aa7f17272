"""The room on the disks of a service's folders."""

import shutil

import pytest
from prometheus_client import CollectorRegistry

from reelscribe import disk_room
from reelscribe.disk_room import DiskRoom, diagnose


def test_the_disk_of_a_folder_is_measured_and_of_one_that_is_not_made_yet_that_of_its_parent(tmp_path):
    usage = shutil.disk_usage(tmp_path)
    for folder in (tmp_path, tmp_path / "not" / "yet"):
        found = disk_room.room(folder)
        assert found and found.total == usage.total and 0 < found.free <= usage.total


@pytest.mark.parametrize(
    ("least", "little", "share", "level"),
    [(0, 0, 1, "ok"), (0, 1 << 60, 2, "warning"), (0, 1 << 60, 0, "ok"), (1 << 60, 1 << 60, 2, "fault")],
)
def test_little_room_is_a_warning_and_almost_none_a_fault(tmp_path, monkeypatch, least, little, share, level):
    monkeypatch.setattr(disk_room, "LEAST_BYTES", least)
    monkeypatch.setattr(disk_room, "LITTLE_BYTES", little)
    monkeypatch.setattr(disk_room, "LITTLE_SHARE", share)
    [found] = diagnose({"[paths] temp_dir": tmp_path})
    assert (found.subject, found.level, bool(found.fix)) == ("disk of [paths] temp_dir", level, level != "ok")
    assert str(tmp_path) not in found.message + found.fix


def test_each_folder_has_its_metrics_and_without_folders_there_are_none(tmp_path):
    registry, labels = CollectorRegistry(), {"setting": "[paths] temp_dir"}
    registry.register(DiskRoom(lambda: {"[paths] temp_dir": tmp_path}))
    free = registry.get_sample_value("reelscribe_disk_free_bytes", labels)
    size = registry.get_sample_value("reelscribe_disk_size_bytes", labels)
    assert free and size and 0 < free < size
    assert list(DiskRoom(lambda: {}).collect()) == []
