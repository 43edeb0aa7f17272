"""The orchestrator over its HTTP API, from any host that reaches it."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path, PurePosixPath
from typing import Any

from pydantic import BaseModel, TypeAdapter, ValidationError

from orchestrator.access.client import ApiClient, given
from orchestrator.access.interface import AboutTranscript, QueueState, Selection, Submitting
from orchestrator.api import schemas
from orchestrator.api.vocabulary import VocabularyLists
from orchestrator.errors import NeedsDatabase
from orchestrator.intake.submission import Outcome, Requested
from orchestrator.intake.vocabularies import Requeued
from orchestrator.jobs.deletion import Deleted
from orchestrator.jobs.models import UNFINISHED, Job, Options, State
from orchestrator.jobs.stats import Overview, PendingWork
from orchestrator.jobs.vocabulary import Vocabulary
from orchestrator.queue.rules import Rule
from orchestrator.session import Session
from orchestrator.transcripts.addresses import recording_path
from orchestrator.transcripts.filters import TranscriptFilters
from orchestrator.transcripts.models import Transcript, TranscriptSegment
from orchestrator.transcripts.queries import ListedTranscript, ListQuery
from orchestrator.transcripts.search import Found, SearchQuery
from orchestrator.transcripts.titles import TitledRecording
from reelscribe.contracts.transcriber import MOST_WORDS
from reelscribe.errors import BadRequest, PeerRefused, RemoteError, ServiceError
from reelscribe.http.peers.requests import unexpected
from reelscribe.text.formats import Format
from reelscribe.version import version

PAGE = 1000
LONGEST_PAGE = 10_000
TRIES = 5
"""Of a change of a list that others change meanwhile."""


class HttpSubmitting:
    """A submission over HTTP: a request for each chunk, and nothing of it is kept.

    Args:
        body: of each request, but for the savepaths.
    """

    def __init__(self, client: ApiClient, bucket: str, options: Options, body: Mapping[str, Any]) -> None:
        self.bucket = bucket
        self.warning: str | None = None
        self._client = client
        self._options = options.chosen()
        self._body = {"bucket_name": bucket, **self._options, **body}
        self._beginning = asyncio.Lock()
        self._begun = False

    async def take(self, requested: Requested) -> dict[str, Outcome]:
        await self._begin()
        body = {**self._body, "savepaths": list(requested)}
        answer = await self._client.post("/api/jobs", schemas.SubmitAnswer, body, 202)
        self.warning = self.warning or answer.warning
        return {job.savepath: job.outcome for job in answer.jobs}

    async def finish(self) -> None:
        """Nothing is left to do."""

    async def jobs(self, savepaths: Sequence[str]) -> list[Job]:
        if not savepaths:
            return []
        wanted = {"savepaths": list(savepaths), "bucket_name": self.bucket, "options": self._options}
        return (await self._client.post("/api/jobs/lookup", schemas.JobsFound, wanted)).jobs

    async def _begin(self) -> None:
        """Have no request make again what an earlier one of this submission has made."""
        async with self._beginning:
            if self._body["force"] and not self._begun:
                newest = (await self._client.get("/api/jobs", schemas.JobPage, limit=1)).jobs
                self._body |= {"force_until": newest[0].id if newest else 0}
                self._begun = True


class HttpAccess:
    """See :class:`orchestrator.access.interface.Access`.

    Args:
        client: asks the server.
        about: what that says of itself.
    """

    def __init__(self, client: ApiClient, about: schemas.About) -> None:
        self.default_bucket = about.bucket
        self.takes_webhooks = about.takes_webhooks
        self.resubmits = about.resubmits
        self._client = client
        self._links = about.url or client.shown_url

    def bucket(self, named: str | None) -> str:
        return named or self.default_bucket

    def session(self, what: str) -> Session:
        raise NeedsDatabase(what)

    def begin(
        self,
        bucket: str,
        options: Options,
        priority: int | None,
        force: bool,
        webhook: str | None,
        dry_run: bool = False,
    ) -> Submitting:
        if dry_run:
            raise NeedsDatabase("submit --dry-run")
        body = {"priority": priority, "force": force, "webhook": webhook}
        return HttpSubmitting(self._client, bucket, options, body)

    async def jobs_by_id(self, ids: Sequence[int]) -> list[Job]:
        return (await self._look_up({"ids": list(ids)})).jobs

    async def current_jobs(self, bucket: str, savepaths: Sequence[str]) -> tuple[list[Job], PendingWork | None]:
        found = await self._look_up({"savepaths": list(savepaths), "bucket_name": bucket})
        return found.jobs, found.results

    async def list_jobs(self, state: State | None, bucket: str | None, prefix: str | None, limit: int) -> list[Job]:
        return [job async for job in self._jobs(state, bucket, prefix, limit)]

    async def failed_ids(self, bucket: str | None, code: str | None, reason: str | None) -> list[int]:
        if reason is not None:
            raise NeedsDatabase("--reason")
        found = [job async for job in self._jobs("failed", bucket, None)]
        return sorted(job.id for job in found if code is None or (job.error and job.error.code == code))

    async def unfinished_ids(self, bucket: str, prefix: str) -> list[int]:
        return sorted([job.id for state in UNFINISHED async for job in self._jobs(state, bucket, prefix or None)])

    async def retry(self, ids: Sequence[int]) -> list[int]:
        return await self._change(ids, "retry")

    async def cancel(self, ids: Sequence[int]) -> list[int]:
        return await self._change(ids, "cancel")

    async def rules(self) -> list[Rule]:
        return (await self._client.get("/api/pauses", schemas.Pauses)).rules

    async def queue(self, bucket: str | None, prefix: str | None) -> QueueState:
        status = await self._client.get("/api/status", schemas.Status, bucket_name=bucket, prefix=prefix)
        found = Overview(
            states=status.states,
            left_seconds=status.left_seconds,
            speed=status.speed,
            paused=status.paused,
            no_transcriber=status.no_transcriber,
            buckets_away=status.buckets_away,
        )
        return QueueState(found, status.workers, status.rules, status.results if bucket is None else None)

    async def count_workers(self) -> int:
        return (await self._client.get("/api/status", schemas.Status)).workers

    async def listed(self, bucket: str, query: ListQuery, after: str) -> list[ListedTranscript]:
        wanted = {**query.model_dump(), "after": after or None, "bucket_name": bucket}
        return (await self._client.get("/api/transcripts", schemas.TranscriptPage, **wanted)).transcripts

    async def search(self, query: SearchQuery) -> tuple[Found, list[TitledRecording]]:
        wanted = query.model_dump(mode="json")
        answer = await self._client.get("/api/search", schemas.HitPage, **wanted)
        hits = [
            hit.model_copy(update={"link": self._links + hit.link}) if hit.link.startswith("/") else hit
            for hit in answer.hits
        ]
        return Found(hits, answer.next), answer.titled

    async def about(self, bucket: str, savepath: str, as_heard: bool) -> AboutTranscript:
        path = _transcript(savepath, "about")
        found = await self._client.get(path, schemas.AboutTranscript, bucket_name=bucket, as_heard=as_heard)
        transcript = Transcript(job=found.job, receipt=found.receipt, segments=[], as_heard=as_heard)
        return AboutTranscript(transcript, found.results, found.given_up)

    async def parts(self, transcript: Transcript, wanted: Format, timestamps: bool) -> AsyncIterator[bytes]:
        job, as_heard = transcript.job, transcript.as_heard
        query = {"format": wanted, "timestamps": timestamps, "as_heard": as_heard, "bucket_name": job.bucket}
        async for part in self._client.stream(_transcript(job.savepath), **query):
            yield part

    async def pages(self, transcript: Transcript) -> AsyncIterator[Sequence[TranscriptSegment]]:
        document = b"".join([part async for part in self.parts(transcript, Format.JSON, False)])
        try:
            found = TypeAdapter(_Segments).validate_json(document)
        except ValidationError:
            raise unexpected(self._client.name, 200) from None
        yield found.segments

    async def finished(self, selection: Selection) -> AsyncIterator[str]:
        if selection.savepaths is not None and selection.filters == TranscriptFilters():
            for savepath in sorted(selection.savepaths):
                if await self._has_transcript(selection.bucket, savepath):
                    yield savepath
            return
        wanted = {**selection.filters.model_dump(mode="json"), "bucket_name": selection.bucket}
        named = None if selection.savepaths is None else set(selection.savepaths)
        after: str | None = ""
        while after is not None:
            page = await self._client.get(
                "/api/transcripts",
                schemas.TranscriptPage,
                **wanted | {"prefix": selection.prefix, "after": after or None, "limit": LONGEST_PAGE},
            )
            for found in page.transcripts:
                if named is None or found.savepath in named:
                    yield found.savepath
            after = page.next

    async def count_finished(self, selection: Selection) -> int:
        return sum([1 async for _ in self.finished(selection)])

    async def why_missing(self, bucket: str, savepath: str) -> ServiceError:
        try:
            await self.about(bucket, savepath, False)
        except ServiceError as why:
            return why
        return PeerRefused(f"{savepath} has a transcript since a moment; export it again")

    async def shares_stem(self, bucket: str, savepath: str) -> bool:
        stem = savepath.removesuffix(PurePosixPath(savepath).suffix)
        for prefix in (stem, f"{stem}."):
            async for other in self.finished(Selection(bucket, None, prefix, TranscriptFilters())):
                ending = other[len(stem) + 1 :]
                if other == savepath or "/" in ending or "." in ending:
                    continue
                if other == stem or other.startswith(f"{stem}."):
                    return True
                break  # the one that is the stem itself would be the first
        return False

    async def count_known(self, bucket: str, savepaths: Sequence[str]) -> tuple[Deleted, list[str]]:
        total, unknown = Deleted(), []
        for savepath in sorted(set(savepaths)):
            try:
                total += await self._delete(bucket, savepath, dry_run=True)
            except RemoteError as failure:
                if failure.code != "transcript_not_found":
                    raise
                unknown.append(savepath)
        return total, unknown

    async def delete(self, bucket: str, savepaths: Sequence[str]) -> Deleted:
        total = Deleted()
        for savepath in savepaths:
            total += await self._delete(bucket, savepath, dry_run=False)
        return total

    async def vocabularies(self) -> list[Vocabulary]:
        return (await self._client.get("/api/vocabulary", VocabularyLists)).lists

    async def put_vocabulary(self, prefix: str, words: Sequence[str]) -> list[Vocabulary]:
        return await self._put_vocabulary({"prefix": prefix, "words": list(words)})

    async def change_vocabulary(self, prefix: str, add: Sequence[str], remove: Sequence[str]) -> list[Vocabulary]:
        for tries_left in reversed(range(TRIES)):
            before = next((one.words for one in await self.vocabularies() if one.prefix == prefix), [])
            words = list(dict.fromkeys(word for word in (*before, *add) if word not in remove))
            if len(words) > MOST_WORDS:
                raise BadRequest(f"a vocabulary has {MOST_WORDS} words at most; this one would have {len(words)}")
            try:
                return await self._put_vocabulary({"prefix": prefix, "words": words, "replaced": before})
            except RemoteError as failure:
                if failure.code != "list_changed" or not tries_left:
                    raise
        raise AssertionError

    async def requeue(self, prefix: str, dry_run: bool) -> Requeued:
        return await self._client.post("/api/vocabulary/requeue", Requeued, {"prefix": prefix, "dry_run": dry_run})

    async def _look_up(self, wanted: Mapping[str, Any]) -> schemas.JobsFound:
        return await self._client.post("/api/jobs/lookup", schemas.JobsFound, wanted)

    async def _jobs(
        self, state: State | None, bucket: str | None, prefix: str | None, limit: int | None = None
    ) -> AsyncIterator[Job]:
        after, left = None, limit
        while left is None or left > 0:
            wanted = {"state": state, "bucket_name": bucket, "prefix": prefix, "after": after}
            page = await self._client.get("/api/jobs", schemas.JobPage, **wanted, limit=min(left or PAGE, PAGE))
            for job in page.jobs:
                yield job
            left = None if left is None else left - len(page.jobs)
            after = page.next
            if after is None:
                return

    async def _change(self, ids: Sequence[int], change: str) -> list[int]:
        changed = []
        for id in ids:
            try:
                job = await self._client.post(f"/api/jobs/{id}/{change}", schemas.ChangedJob, {})
            except RemoteError as failure:
                if failure.code != "job_not_found":  # it has just been removed
                    raise
            else:
                changed += [id] if job.changed else []
        return changed

    async def _has_transcript(self, bucket: str, savepath: str) -> bool:
        try:
            await self.about(bucket, savepath, False)
        except RemoteError as failure:
            if failure.code != "transcript_not_found":
                raise
            return False
        return True

    async def _delete(self, bucket: str, savepath: str, dry_run: bool) -> Deleted:
        query = given({"bucket_name": bucket, "dry_run": dry_run})
        return await self._client.ask(Deleted, 200, "DELETE", _transcript(savepath), params=query)

    async def _put_vocabulary(self, body: Mapping[str, Any]) -> list[Vocabulary]:
        return (await self._client.ask(VocabularyLists, 200, "PUT", "/api/vocabulary", json=body)).lists


class _Segments(BaseModel):
    segments: list[TranscriptSegment]


def _transcript(savepath: str, route: str | None = None) -> str:
    return recording_path("/api/transcripts/", savepath, route)


@asynccontextmanager
async def connected(url: str, token_file: Path | None) -> AsyncIterator[HttpAccess]:
    """The orchestrator at this URL.

    Args:
        token_file: its first word is the token to send; None: none is.

    Raises:
        SettingsError: the token file is unusable.
        ServiceError: the server does not answer, refuses the token, or is too old.
    """
    async with ApiClient(url, token_file) as client:
        try:
            about = await client.get("/api/about", schemas.About)
        except RemoteError as refused:
            if refused.status != 404:
                raise
            raise PeerRefused(
                f"{client.name} is older than this command, which is of version {version()}, or no orchestrator:"
                " it has no /api/about; upgrade it, or use a command of its version"
            ) from refused
        yield HttpAccess(client, about)
