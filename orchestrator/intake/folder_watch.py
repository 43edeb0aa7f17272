"""A bucket's local folder, watched: for where MinIO sends no events."""

import asyncio
import logging
import os
import time
from collections.abc import AsyncGenerator, Iterable, Iterator, Mapping, Sequence
from contextlib import aclosing, suppress
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from prometheus_client import CollectorRegistry, Counter, Gauge
from watchfiles import Change, awatch
from watchfiles.main import FileChange

from orchestrator.database.pool import CONNECTION_ERRORS, one_line
from orchestrator.intake.event_intake import EventIntake
from orchestrator.intake.unfinished import XL_META, control_files
from orchestrator.jobs.object_changes import Identity
from reelscribe.errors import NotReadable, ServiceError, SettingsError

log = logging.getLogger(__name__)
logging.getLogger("watchfiles").setLevel(logging.WARNING)  # it logs the number of changes, which is of no use

LOOK_SECONDS = 1.0
LONG_SECONDS = 60.0
"""Between two looks at all folders, at most, where one has a name that ends each watch."""
LATE = (
    f"a folder has a name that is not UTF-8: what comes into any is found up to {LONG_SECONDS:g} s late; rename the "
    "folder that the log names"
)
SCANNED_TOGETHER = 1000
NO_UTF_8 = "Unable to decode path"
"""Of watchfiles' message about a name, which ends its watch."""


class Found(NamedTuple):
    """A file that is an object, or the xl.meta of one."""

    bucket: str
    savepath: str
    path: Path


class _FolderId(NamedTuple):
    """Distinguishes a folder from others that have had its name."""

    device: int
    inode: int


class _Shape(NamedTuple):
    """What changes while a file is written; ``modified`` in seconds, as the extractor has it."""

    size: int
    modified: float

    @classmethod
    def of(cls, path: Path) -> "_Shape | None":
        try:
            stat = path.stat()
        except OSError:
            return None  # gone, or not ours to read: then the extractor cannot read it either
        return cls(stat.st_size, stat.st_mtime)

    def identity(self, path: Path) -> Identity | None:
        """Of the object, of which an xl.meta has only the time."""
        try:
            size = None if path.name == XL_META else self.size
            return Identity(None, size, datetime.fromtimestamp(self.modified, UTC))
        except (ValueError, OverflowError, OSError):
            return None  # not a time of ours: the extractor is asked


class FolderWatch:
    """Submits objects of the local folder once they are settled.

    Args:
        data_path: MinIO's data folder; the buckets lie in it.
        settle_seconds: how long size and time of a file must not have changed.
        registry: of the metrics; without one they are not shown.

    Raises:
        SettingsError: the folder of a bucket is not there.
    """

    def __init__(
        self,
        data_path: Path,
        intake: EventIntake,
        settle_seconds: float,
        registry: CollectorRegistry | None = None,
    ) -> None:
        self._outcomes = Counter(
            "reelscribe_watched_objects", "Settled objects by what became of them", ["outcome"], registry=registry
        )
        unsettled = Gauge("reelscribe_unsettled_objects", "Objects that may still change", registry=registry)
        unsettled.set_function(lambda: len(self._unsettled))
        self._intake = intake
        self._settle_seconds = settle_seconds
        self.buckets = intake.selection.buckets
        self._folders = {bucket: data_path / bucket for bucket in intake.selection.buckets}
        self._unsettled: dict[Found, tuple[_Shape, float]] = {}
        self._removed: dict[str, set[str]] = {}
        self._there: dict[str, _FolderId] = {}
        self._logged = self._refused = ""
        self._rest_seconds = 0.0
        self._rests = False
        for folder in self._folders.values():
            if not folder.is_dir():
                raise SettingsError([f"[paths] minio_data_path: there is no folder {folder} to watch"])

    async def run(self, stopping: asyncio.Event) -> None:
        """Take what is there, then what comes, until ``stopping`` is set.

        Raises:
            NotReadable: the system does not let us watch so many folders.
        """
        self._there = await asyncio.to_thread(self._find_folders)
        to_scan = list(self._there)
        while not stopping.is_set():
            async with aclosing(self._changes(stopping)) as watched:
                async for changes in watched:
                    # Only now are the folders watched: nothing falls between the two.
                    await self._scan(self._folders[bucket] for bucket in to_scan)
                    await self._scan({Path(path) for change, path in changes if change is not Change.deleted})
                    await self._take_settled()
                    self._note_removed(Path(path) for change, path in changes if change is Change.deleted)
                    await self._take_removed()
                    before, self._there = self._there, await asyncio.to_thread(self._find_folders)
                    to_scan = self._log_differences(before)
                    if before != self._there:
                        break
                else:
                    to_scan = list(self._there)

    def problems(self) -> list[str]:
        """What is missing now, for monitors."""
        missing = [_missing(bucket) for bucket in self.buckets if bucket not in self._there]
        return [*missing, LATE] if self._rests else missing

    def _find_folders(self) -> dict[str, "_FolderId"]:
        """The folders that are there: after a mount, or when it was made again, a folder of that name is another one,
        and none of its changes would be seen.
        """
        found = {}
        for bucket, folder in self._folders.items():
            try:
                stat = os.stat(f"{folder}/.")
            except OSError:
                continue
            found[bucket] = _FolderId(stat.st_dev, stat.st_ino)
        return found

    def _log_differences(self, before: Mapping[str, "_FolderId"]) -> list[str]:
        """The buckets that have another folder now."""
        others = [bucket for bucket, folder in self._there.items() if before.get(bucket) != folder]
        for bucket in before.keys() - self._there.keys():
            log.warning("watch: %s", _missing(bucket))
        for bucket in others:
            how = "another one now" if bucket in before else "there again"
            log.info("watch: the folder of bucket %s is %s; all that is in it is looked at", bucket, how)
        return others

    async def _changes(self, stopping: asyncio.Event) -> AsyncGenerator[set[FileChange], None]:
        """What has changed, at least every ``LOOK_SECONDS``."""
        if not self._there:
            await _wait(stopping, LOOK_SECONDS)
            yield set()
            return
        began = time.monotonic()
        try:
            seen = awatch(
                *(self._folders[bucket] for bucket in self._there),
                watch_filter=None,
                stop_event=stopping,
                rust_timeout=int(LOOK_SECONDS * 1000),
                yield_on_timeout=True,
                ignore_permission_denied=True,
            )
            async with aclosing(seen):
                async for changes in seen:
                    self._rests = False
                    yield changes
        except (OSError, RuntimeError, ExceptionGroup) as raised:
            refused = raised.exceptions[0] if isinstance(raised, ExceptionGroup) else raised
            if NO_UTF_8 in str(refused):
                await self._rest(str(refused), time.monotonic() - began, stopping)
            elif not isinstance(refused, FileNotFoundError):  # a folder that is just gone
                raise NotReadable(
                    f"the folders of the bucket cannot be watched: {refused}; where they are too many, raise "
                    "fs.inotify.max_user_watches, or use [events] reconcile_every instead"
                ) from refused
            yield set()

    async def _rest(self, refused: str, watched_seconds: float, stopping: asyncio.Event) -> None:
        """Longer each time: a folder of such a name ends each watch as it begins."""
        if refused != self._refused:
            self._refused = refused
            log.warning("watch: %s: not UTF-8, so it is no object; all folders are looked at again", refused)
        before = self._rest_seconds if watched_seconds < LONG_SECONDS else 0.0
        self._rests = True
        self._rest_seconds = min(max(LOOK_SECONDS, 2 * before), LONG_SECONDS)
        await _wait(stopping, self._rest_seconds)

    async def _scan(self, roots: Iterable[Path]) -> None:
        for root in roots:
            files = self._objects(root)
            try:
                while found := await asyncio.to_thread(_next_of, files):
                    await self._note(found)
            except OSError as failure:
                log.warning("watch: %s cannot be looked at: %s", root, failure.strerror)

    def _objects(self, root: Path) -> Iterator[Found]:
        """The objects at or below a path."""
        bucket = next(bucket for bucket, folder in self._folders.items() if root.is_relative_to(folder))
        folder = self._folders[bucket]
        if any(part.startswith(".") for part in root.relative_to(folder).parts):
            return
        if not os.path.isdir(root):
            within = root.name != XL_META and any(os.path.exists(parent / XL_META) for parent in root.parents)
            if not within:
                yield _found(bucket, folder, root)
            return
        for name, below, files in os.walk(root):
            below[:] = [each for each in below if not each.startswith(".") and _is_utf_8(each)]
            for file in [XL_META] if XL_META in files else filter(_is_utf_8, files):
                yield _found(bucket, folder, Path(name, file))

    async def _note(self, found: Sequence[Found]) -> None:
        """Take what is settled already, and remember the rest."""
        settled = []
        for file in found:
            shape = _Shape.of(file.path) if self._intake.selection.takes(file.bucket, file.savepath) else None
            old = shape and time.time() - shape.modified > self._settle_seconds
            if shape and old and file not in self._unsettled and not _is_continued(file):
                settled.append((file, shape))
            elif shape:
                self._unsettled.setdefault(file, (shape, time.monotonic()))
        await self._take(settled)

    async def _take_settled(self) -> None:
        settled, now = [], time.monotonic()
        for file, (known, since) in list(self._unsettled.items()):
            if now < since + self._settle_seconds:
                continue
            shape = _Shape.of(file.path)
            if shape == known and _is_continued(file):
                continue
            if shape == known:
                settled.append((file, shape))
            if shape in (known, None):
                del self._unsettled[file]
            elif shape:
                self._unsettled[file] = shape, now
        await self._take(settled)

    async def _take(self, settled: Sequence[tuple[Found, _Shape]]) -> None:
        by_bucket: dict[str, dict[str, Identity | None]] = {}
        for file, shape in settled:
            by_bucket.setdefault(file.bucket, {})[file.savepath] = shape.identity(file.path)
        try:
            for bucket, found in by_bucket.items():
                outcomes = await self._intake.take(bucket, found)
                for outcome, count in outcomes.items():
                    self._outcomes.labels(outcome).inc(count)
                if outcomes["new"] or outcomes["changed"]:
                    log.info("watch: bucket %s: %d new, %d changed", bucket, outcomes["new"], outcomes["changed"])
        except (ServiceError, *CONNECTION_ERRORS) as failed:
            log.warning("watch: %s; tried again in %g s", one_line(failed), self._settle_seconds)
            self._look_again_at(settled)
        except Exception:  # what one object can cause must not end the watch of all others
            log.exception("watch: tried again in %g s", self._settle_seconds)
            self._look_again_at(settled)

    def _note_removed(self, paths: Iterable[Path]) -> None:
        """A file, or a folder that was removed or moved with all that is in it; hidden ones are none of ours."""
        for path in paths:
            bucket = next(bucket for bucket, folder in self._folders.items() if path.is_relative_to(folder))
            named = (path.parent if path.name == XL_META else path).relative_to(self._folders[bucket])
            if named.parts and not any(part.startswith(".") for part in named.parts):
                self._removed.setdefault(bucket, set()).add(named.as_posix())

    async def _take_removed(self) -> None:
        try:
            for bucket, paths in list(self._removed.items()):
                if removed := await self._intake.removed.check(bucket, list(paths)):
                    log.info("watch: bucket %s: %d removed", bucket, removed)
                del self._removed[bucket]
            self._logged = ""
        except (ServiceError, *CONNECTION_ERRORS) as failed:
            if one_line(failed) != self._logged:
                self._logged = one_line(failed)
                log.warning("watch: %s; tried again until it succeeds", self._logged)
        except Exception:
            log.exception("watch: tried again in %g s", LOOK_SECONDS)

    def _look_again_at(self, settled: Sequence[tuple[Found, _Shape]]) -> None:
        self._unsettled.update({file: (shape, time.monotonic()) for file, shape in settled})


async def _wait(stopping: asyncio.Event, seconds: float) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await stopping.wait()


def _is_utf_8(name: str) -> bool:
    """No name of an object is anything else, and watchfiles ends for a folder of that name that is looked into."""
    return not any("\ud800" <= character <= "\udfff" for character in name)


def _is_continued(file: Found) -> bool:
    return any(os.path.exists(name) for name in control_files(str(file.path)))  # one too long is not there either


def _missing(bucket: str) -> str:
    return f"the folder of bucket {bucket} is not there; is its disk mounted?"


def _next_of(files: Iterator[Found]) -> list[Found]:
    return list(islice(files, SCANNED_TOGETHER))


def _found(bucket: str, folder: Path, path: Path) -> Found:
    named = path.parent if path.name == XL_META else path
    return Found(bucket, named.relative_to(folder).as_posix(), path)
