"""A run of ingest: each recording is found, downloaded, stored and submitted, or skipped for a reason that is kept."""

import asyncio
import fcntl
import os
import random
import shutil
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Literal, NamedTuple, Protocol, TextIO, TypeVar
from urllib.parse import urlsplit

from pydantic import BaseModel

from orchestrator.database.pool import Pool
from orchestrator.errors import NotWritten, ObjectExists
from orchestrator.ingest.downloader import Downloader, Found, Progress
from orchestrator.ingest.failures import DownloadFailed, FailureKind
from orchestrator.ingest.names import (
    NAMELESS,
    folder_name,
    mistake_in_address,
    savepath_of,
    source_of,
    unknown_key,
    video_key,
)
from orchestrator.intake.submission import Submission
from orchestrator.intake.upload import exists, folder_target, move
from orchestrator.jobs import ingested
from orchestrator.jobs.ingested import VideoKey
from reelscribe.settings.loading import Settings
from reelscribe.text.urls import without_password

UNFINISHED = ".reelscribe-ingest"
"""The folder in the bucket's own that downloads are made in: hidden, so that nothing takes them for recordings."""
THERE = "the bucket had an object of this savepath already, which was kept"
MOST_TITLE = 500
MOST_KNOWN = 20
"""Results of earlier runs that are shown one by one; all are counted."""
MOST_DEPTH = 4
"""Lists of lists, such as the tabs of a channel."""

Outcome = Literal["stored", "there", "gone", "failed", "later"]
"""``there``: by an earlier run; ``later``: its source is left alone now, or another process is at work on it."""

OUTCOMES: Mapping[FailureKind, Outcome] = {
    FailureKind.GONE: "gone",
    FailureKind.BLOCKED: "later",
    FailureKind.NETWORK: "later",
    FailureKind.OUTDATED: "failed",
    FailureKind.REFUSED: "failed",
}
Value = TypeVar("Value")


class Request(NamedTuple):
    """An address; of one that is of a recording in a list, the list is meant if ``is_list``."""

    url: str
    is_list: bool = False


class Result(BaseModel):
    """What became of a recording, or of an address; ``known`` is the reason that an earlier run has kept."""

    url: str
    outcome: Outcome
    title: str | None = None
    savepath: str | None = None
    bytes: int | None = None
    reason: FailureKind | None = None
    message: str | None = None
    known: bool = False


class View(Protocol):
    """Shows a run."""

    def begin(self, title: str) -> None:
        """A download begins, or another attempt at it."""

    def progress(self, progress: Progress) -> None:
        """Of the download."""

    def note(self, text: str) -> None:
        """Something else that takes time."""

    def end(self, result: Result) -> None:
        """It is over."""


class Ingestion:
    """A run.

    Attributes:
        results: so far.

    Args:
        folder: begin of all savepaths; empty or with a / at its end.
        limit: of recordings that are downloaded.
        again: try what is gone, and download what is there no more.
    """

    def __init__(
        self,
        settings: Settings,
        pool: Pool,
        submission: Submission,
        downloader: Downloader,
        view: View,
        folder: str,
        limit: int | None,
        again: bool,
    ) -> None:
        self.results: list[Result] = []
        self._settings = settings
        self._pool = pool
        self._submission = submission
        self._bucket = submission.bucket
        self._downloader = downloader
        self._view = view
        self._folder = folder
        self._limit = limit
        self._again = again
        self._known = 0
        self._used: set[str] = set()
        self._looked_at: Request | None = None
        self._named_host: str | None = None
        self._counts: Counter[Outcome] = Counter()

    @property
    def _is_full(self) -> bool:
        return self._limit is not None and self._counts["stored"] >= self._limit

    async def take(self, request: Request) -> None:
        """All that is at an address.

        Raises:
            ServiceError: nothing more can be stored, submitted or asked.
        """
        if not self._settings.minio.endpoint:
            folder_target(self._settings.paths.minio_data_path, self._bucket, UNFINISHED)  # before anything is asked
        self._named_host = urlsplit(request.url).hostname
        await self._take(request, None, depth=0)
        await self._submission.finish()

    async def _take(self, request: Request, key: VideoKey | None, depth: int) -> None:
        shown = without_password(request.url)
        if self._is_full:
            return
        if mistake := mistake_in_address(request.url):
            message = f"{shown} {mistake}"
            self._end(Result(url=shown, outcome="failed", reason=FailureKind.REFUSED, message=message))
            return
        if await self._is_settled(key, shown) or await self._is_left_alone(request.url, shown):
            return
        if not depth:
            self._view.note(f"looking at {shown}")
        try:
            found = await self._with_retries(lambda: self._look(request, depth))
        except DownloadFailed as failed:
            await self._note_failure(key or unknown_key(shown), shown, shown, request, failed)
            return
        for each, its_key in zip(found, _keys(found, request), strict=True):
            if each.number is not None:  # a list may grow: what it holds now is no complete answer
                await self._video(request, depth, its_key, each, None if each.in_list else shown)
        for each in found:
            if each.number is None and each.url and depth < MOST_DEPTH:
                await self._take(Request(each.url, request.is_list), _key_of_link(each), depth + 1)

    async def _look(self, request: Request, depth: int) -> list[Found]:
        self._looked_at = None
        found = await self._downloader.look(request.url, request.is_list or depth > 0, self._named_host)
        self._looked_at = request
        return found

    async def _video(self, request: Request, depth: int, key: VideoKey, found: Found, asked: str | None) -> None:
        """Fetch, store and submit one recording, unless that has been done."""
        url = found.url or request.url
        shown = without_password(url)
        if self._is_full or await self._is_settled(key, None) or await self._is_left_alone(request.url, shown):
            return
        if found.live:
            live = DownloadFailed(FailureKind.REFUSED, "it is live, or has not begun; it can be had when it is over")
            await self._note_failure(key, asked, shown, request, live)
            return
        title = found.title[:MOST_TITLE] or None
        expected = savepath_of(key, found.extension, self._folder)
        if await exists(self._settings, self._bucket, expected):
            async with self._pool.connection() as connection:
                await ingested.note_attempt(connection, key, asked, shown, title, self._bucket)
                await ingested.note_storing(connection, key, expected, None)
            await self._submit(key, expected, THERE)
            self._remove_download(key)
            self._end(Result(url=shown, outcome="there", title=title, savepath=expected, message=THERE))
            return
        with self._folder_of(key) as folder:
            if folder is None:
                self._end(Result(url=shown, outcome="later", message="another process is downloading it"))
                return
            async with self._pool.connection() as connection:
                await ingested.note_attempt(connection, key, asked, shown, title, self._bucket)
            await self._rest(source_of(request.url))
            self._view.begin(title or shown)
            try:
                path = await self._with_retries(lambda: self._fetch(request, depth, key, found, folder))
            except DownloadFailed as failed:
                if failed.kind in (FailureKind.GONE, FailureKind.REFUSED):
                    shutil.rmtree(folder, ignore_errors=True)
                await self._note_failure(key, asked, shown, request, failed)
                return
            savepath = savepath_of(key, path.suffix.removeprefix("."), self._folder)
            size, message = path.stat().st_size, None
            async with self._pool.connection() as connection:
                await ingested.note_storing(connection, key, savepath, size)
            self._view.note(f"storing {savepath}")
            try:
                await move(self._settings, self._bucket, path, savepath, lambda read: None)
            except ObjectExists:
                message = THERE
            shutil.rmtree(folder, ignore_errors=True)
            await self._submit(key, savepath, message)
        result = Result(url=shown, outcome="stored", title=title, savepath=savepath, bytes=size, message=message)
        self._end(result)

    async def _fetch(self, request: Request, depth: int, key: VideoKey, found: Found, folder: Path) -> Path:
        """One attempt; after a failed one, what yt-dlp knows of the recording is looked for again."""
        if self._looked_at != request:
            there = await self._look(request, depth)
            same = (each for each, its_key in zip(there, _keys(there, request), strict=True) if its_key == key)
            if (again := next(same, None)) is None or again.number is None:
                raise DownloadFailed(FailureKind.GONE, "it is no longer at this address")
            found = again
        try:
            return await self._downloader.fetch(found, folder, self._view.progress)
        except DownloadFailed:
            self._looked_at = None
            raise

    async def _with_retries(self, action: Callable[[], Awaitable[Value]]) -> Value:
        """What an action returns, after as many attempts as are worth it."""
        section, attempt = self._settings.ingest, 1
        while True:
            try:
                return await action()
            except DownloadFailed as failed:
                if failed.kind is not FailureKind.NETWORK or attempt == section.attempts:
                    raise
                seconds = section.retry_seconds * 2 ** (attempt - 1)
                attempt += 1
                self._view.note(f"{failed.message}; attempt {attempt} of {section.attempts} in {seconds:g} s")
                await asyncio.sleep(seconds)

    async def _rest(self, source: str) -> None:
        """Between two downloads from the same source."""
        least = self._settings.ingest.sleep
        if source in self._used and least:
            seconds = random.uniform(least, 2 * least)
            self._view.note(f"{seconds:.0f} s until the next download from {source}")
            await asyncio.sleep(seconds)
        self._used.add(source)

    async def _is_settled(self, key: VideoKey | None, asked: str | None) -> bool:
        """Whether nothing is left to do for a recording; then that is a result."""
        async with self._pool.connection() as connection:
            known = await ingested.by_key(connection, key) if key else None
            known = known or (await ingested.by_address(connection, asked) if asked else None)
        if known is None or known.state in ("unfinished", "failed") or (known.state == "gone" and self._again):
            return False
        if known.state == "gone":
            reason = FailureKind(known.reason) if known.reason else None
            self._end(
                Result(
                    url=known.url, outcome="gone", title=known.title, reason=reason, message=known.message, known=True
                )
            )
            return True
        assert known.savepath
        if known.state == "storing" and known.bucket != self._bucket:
            return False  # to be submitted by a run for that bucket
        if (self._again or known.state == "storing") and not await exists(self._settings, known.bucket, known.savepath):
            return False
        if known.state == "storing":
            await self._submit(known.key, known.savepath, known.message)
            self._remove_download(known.key)
        self._end(
            Result(
                url=known.url,
                outcome="there",
                title=known.title,
                savepath=known.savepath,
                bytes=known.bytes,
                known=True,
            )
        )
        return True

    async def _is_left_alone(self, url: str, shown: str) -> bool:
        """Whether its source is left alone now; then that is a result."""
        async with self._pool.connection() as connection:
            pauses = await ingested.pauses(connection)
        if pause := pauses.get(source_of(url)):
            until, why = pause
            message = f"{source_of(url)} is left alone until {until.astimezone():%Y-%m-%d %H:%M:%S}: {why}"
            self._end(Result(url=shown, outcome="later", reason=FailureKind.BLOCKED, message=message, known=True))
        return pause is not None

    async def _submit(self, key: VideoKey, savepath: str, message: str | None) -> None:
        await self._submission.take({savepath: None})
        async with self._pool.connection() as connection:
            await ingested.note_stored(connection, key, message)

    async def _note_failure(
        self, key: VideoKey, asked: str | None, shown: str, request: Request, failed: DownloadFailed
    ) -> None:
        gone = failed.kind is FailureKind.GONE
        async with self._pool.connection() as connection:
            await ingested.note_failure(
                *(connection, key, asked, shown, self._bucket),
                *("gone" if gone else "failed", failed.kind.value, failed.message),
            )
            if failed.kind is FailureKind.BLOCKED:
                seconds = max(self._settings.ingest.pause_seconds, failed.retry_after or 0)
                await ingested.pause(connection, source_of(request.url), seconds, failed.message)
        outcome: Outcome = OUTCOMES[failed.kind]
        self._end(Result(url=shown, outcome=outcome, reason=failed.kind, message=failed.message))

    def _end(self, result: Result) -> None:
        self.results.append(result)
        self._counts[result.outcome] += 1
        self._known += result.known
        if not result.known or self._known <= MOST_KNOWN:
            self._view.end(result)

    def _remove_download(self, key: VideoKey) -> None:
        """Remove what a crash has left of it, unless another process is at work on it."""
        with suppress(NotWritten), self._folder_of(key) as folder:
            if folder:
                shutil.rmtree(folder, ignore_errors=True)

    @contextmanager
    def _folder_of(self, key: VideoKey) -> Iterator[Path | None]:
        """The folder that a recording is downloaded in; None while another process of this host has it."""
        settings = self._settings
        if settings.minio.endpoint:
            root = settings.ingest.data_dir / "unfinished" / self._bucket
        else:
            root = folder_target(settings.paths.minio_data_path, self._bucket, f"{UNFINISHED}/name").parent
        folder, lock = root / folder_name(key), root / f"{folder_name(key)}.lock"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            file = lock.open("w")
        except OSError as refused:
            raise NotWritten(f"{root} cannot be written: {refused.strerror or refused}") from refused
        with file:
            if not locked(file, lock):
                yield None
                return
            folder.mkdir(parents=True, exist_ok=True)  # another process may just have finished with it
            try:
                yield folder
            finally:
                lock.unlink(missing_ok=True)
                with suppress(OSError):  # what is unfinished stays
                    root.rmdir()


def locked(file: TextIO, path: Path) -> bool:
    """Lock a file, unless another process has it, or has had it and removed it since it was opened."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except (BlockingIOError, FileNotFoundError):
        return False


def _keys(found: Sequence[Found], request: Request) -> list[VideoKey]:
    """What names each recording of a page. One of several is also named by its file: by the address without its query,
    which may change with each visit, unless only that distinguishes them.
    """

    def key(each: Found, media: str) -> VideoKey:
        return video_key(each.extractor or "generic", each.id, each.url or request.url, media if each.in_list else "")

    keys = [key(each, each.media.partition("?")[0]) for each in found]
    counts = Counter(keys)
    return [key(each, each.media) if counts[short] > 1 else short for each, short in zip(found, keys, strict=True)]


def _key_of_link(link: Found) -> VideoKey | None:
    """If its site names it already."""
    if link.extractor and link.id and link.url and link.extractor.lower() not in NAMELESS:
        return video_key(link.extractor, link.id, link.url)
    return None
