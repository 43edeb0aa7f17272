"""How much room the disks of a service's folders have: for ``orchestrator doctor``, and for Prometheus."""

import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from reelscribe.contracts.diagnosis import Finding

Folders = Mapping[str, Path]
"""By the setting that names each."""
NO_FOLDERS: Folders = MappingProxyType({})

LITTLE_BYTES, LITTLE_SHARE = 10 << 30, 0.1
"""Less than both is little: a warning."""
LEAST_BYTES = 1 << 30
"""Less than this is a fault: work fails soon."""


class Room(NamedTuple):
    """Bytes of the disk that a folder is on."""

    free: int
    total: int


def room(folder: Path) -> Room | None:
    """That of a folder, or of what it will be made in; None: it cannot be read."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    try:
        usage = shutil.disk_usage(folder)
    except OSError:
        return None
    return Room(usage.free, usage.total)


def diagnose(folders: Folders) -> list[Finding]:
    """A finding for each folder.

    Args:
        folders: by their setting, which is what is named: paths are not for everyone.
    """
    return [_finding(setting, room(folder)) for setting, folder in folders.items()]


def _finding(setting: str, found: Room | None) -> Finding:
    subject = f"disk of {setting}"
    if found is None:
        return Finding.fault(subject, "the folder cannot be read", f"check the path in {setting}, and who owns it")
    share = found.free / max(1, found.total)
    message = f"{found.free / 1e9:,.1f} GB free of {found.total / 1e9:,.1f} GB ({share:.0%})"
    fix = f"make room on that disk, or name a folder of another disk in {setting}"
    if found.free < LEAST_BYTES:
        return Finding.fault(subject, message, fix)
    if found.free < LITTLE_BYTES and share < LITTLE_SHARE:
        return Finding.warning(subject, message, fix)
    return Finding.ok(subject, message)


class DiskRoom(Collector):
    """The room for the folders of a service, read whenever metrics are collected; without folders, nothing is."""

    def __init__(self, folders: Callable[[], Folders]) -> None:
        self._folders = folders

    def collect(self) -> Iterator[Metric]:
        free, size = (
            GaugeMetricFamily(f"reelscribe_disk_{name}_bytes", text, labels=["setting"])
            for name, text in (
                ("free", "Free bytes of the disk that a folder is on"),
                ("size", "Bytes of the disk that a folder is on"),
            )
        )
        for setting, folder in self._folders().items():
            if found := room(folder):
                free.add_metric([setting], found.free)
                size.add_metric([setting], found.total)
        yield from (metric for metric in (free, size) if metric.samples)
