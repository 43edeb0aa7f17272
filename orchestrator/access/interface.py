"""What commands ask of the orchestrator, whichever way they reach it."""

from collections.abc import AsyncIterator, Sequence
from typing import NamedTuple, Protocol

from orchestrator.intake.submission import Outcome, Requested
from orchestrator.intake.vocabularies import Requeued
from orchestrator.jobs.deletion import Deleted
from orchestrator.jobs.models import Job, Options, State
from orchestrator.jobs.stats import Overview, PendingWork
from orchestrator.jobs.vocabulary import Vocabulary
from orchestrator.queue.rules import Rule
from orchestrator.session import Session
from orchestrator.transcripts.filters import TranscriptFilters
from orchestrator.transcripts.models import Transcript, TranscriptSegment
from orchestrator.transcripts.queries import ListedTranscript, ListQuery
from orchestrator.transcripts.search import Found, SearchQuery
from orchestrator.transcripts.titles import TitledRecording
from reelscribe.errors import ServiceError
from reelscribe.text.formats import Format


class Submitting(Protocol):
    """A submission that comes in chunks, see :class:`orchestrator.intake.submission.Submission`."""

    bucket: str

    @property
    def warning(self) -> str | None:
        """Why objects could not be compared; None: they were."""

    async def take(self, requested: Requested) -> dict[str, Outcome]:
        """Take some savepaths; what is done with each."""

    async def finish(self) -> None:
        """To be awaited after the last chunk."""

    async def jobs(self, savepaths: Sequence[str]) -> list[Job]:
        """The jobs of these savepaths, which were taken."""


class QueueState(NamedTuple):
    """The queue as a whole, or all that is in a bucket or under a prefix.

    Attributes:
        results: what is to be stored and is not yet; None if nothing is ever stored.
    """

    overview: Overview
    workers: int
    rules: list[Rule]
    results: PendingWork | None


class AboutTranscript(NamedTuple):
    """A transcript without its segments.

    Attributes:
        results: what is to be stored of it and is not yet; None if nothing is ever stored.
        given_up: why previews or sound of it are not stored, if that was given up.
    """

    transcript: Transcript
    results: PendingWork | None
    given_up: str | None


class Selection(NamedTuple):
    """Transcripts of a bucket: of these savepaths, or of all that start with ``prefix``."""

    bucket: str
    savepaths: list[str] | None
    prefix: str
    filters: TranscriptFilters


class Access(Protocol):
    """The orchestrator, as commands use it.

    All methods raise :class:`reelscribe.errors.ServiceError` with a sentence if it cannot be done.

    Attributes:
        default_bucket: where savepaths are looked for when none is named.
        takes_webhooks: whether submissions may name one.
        resubmits: whether recordings that are still in the bucket are submitted again after they were forgotten.
    """

    default_bucket: str
    takes_webhooks: bool
    resubmits: bool

    def bucket(self, named: str | None) -> str:
        """The bucket that a command means."""

    def session(self, what: str) -> Session:
        """The database, for what has no other way.

        Args:
            what: needs it.

        Raises:
            NeedsDatabase: it is on another host.
        """

    def begin(
        self,
        bucket: str,
        options: Options,
        priority: int | None,
        force: bool,
        webhook: str | None,
        dry_run: bool = False,
    ) -> Submitting:
        """Have savepaths transcribed.

        Raises:
            NeedsDatabase: ``dry_run`` is not to be had.
        """

    async def jobs_by_id(self, ids: Sequence[int]) -> list[Job]:
        """Those of these jobs that exist, in the order of their ids."""

    async def current_jobs(self, bucket: str, savepaths: Sequence[str]) -> tuple[list[Job], PendingWork | None]:
        """The jobs of these savepaths that no newer version replaces, and what is not stored yet of them."""

    async def list_jobs(self, state: State | None, bucket: str | None, prefix: str | None, limit: int) -> list[Job]:
        """The newest jobs first."""

    async def failed_ids(self, bucket: str | None, code: str | None, reason: str | None) -> list[int]:
        """Jobs that failed: all, those of a bucket, with an error code, or of one group."""

    async def unfinished_ids(self, bucket: str, prefix: str) -> list[int]:
        """Jobs that wait or run."""

    async def retry(self, ids: Sequence[int]) -> list[int]:
        """Queue failed and cancelled jobs again; the ids of those that were."""

    async def cancel(self, ids: Sequence[int]) -> list[int]:
        """Cancel unfinished jobs; the ids of those that were."""

    async def rules(self) -> list[Rule]:
        """The pauses and limits of the queue."""

    async def queue(self, bucket: str | None, prefix: str | None) -> QueueState:
        """The queue as it is now."""

    async def count_workers(self) -> int:
        """How many workers there are."""

    async def listed(self, bucket: str, query: ListQuery, after: str) -> list[ListedTranscript]:
        """A page of the newest transcript of each savepath; ``after`` is the last savepath of the page before."""

    async def search(self, query: SearchQuery) -> tuple[Found, list[TitledRecording]]:
        """A page of hits with complete links, and the recordings whose title holds the words."""

    async def about(self, bucket: str, savepath: str, as_heard: bool) -> AboutTranscript:
        """The newest transcript of a savepath.

        Raises:
            ServiceError: there is none: why, with the ``state`` of its job in the details.
        """

    def parts(self, transcript: Transcript, wanted: Format, timestamps: bool) -> AsyncIterator[bytes]:
        """It in a format, as it is read."""

    def pages(self, transcript: Transcript) -> AsyncIterator[Sequence[TranscriptSegment]]:
        """Its segments."""

    def finished(self, selection: Selection) -> AsyncIterator[str]:
        """The savepaths that have such a transcript."""

    async def count_finished(self, selection: Selection) -> int:
        """How many there are."""

    async def why_missing(self, bucket: str, savepath: str) -> ServiceError:
        """Why a savepath has no transcript, and what to do."""

    async def shares_stem(self, bucket: str, savepath: str) -> bool:
        """Whether another recording with a transcript has the same name up to its ending."""

    async def count_known(self, bucket: str, savepaths: Sequence[str]) -> tuple[Deleted, list[str]]:
        """What is known of these savepaths, and would be removed; and those of which nothing is known, in order."""

    async def delete(self, bucket: str, savepaths: Sequence[str]) -> Deleted:
        """Forget these savepaths."""

    async def vocabularies(self) -> list[Vocabulary]:
        """All lists, by prefix."""

    async def put_vocabulary(self, prefix: str, words: Sequence[str]) -> list[Vocabulary]:
        """Replace a list, or remove it if there are no words; all lists then."""

    async def change_vocabulary(self, prefix: str, add: Sequence[str], remove: Sequence[str]) -> list[Vocabulary]:
        """Add words to the end of a list, or remove some; all lists then."""

    async def requeue(self, prefix: str, dry_run: bool) -> Requeued:
        """Transcribe again what was given other words than it would be now."""
