"""What the HTTP API takes and answers, in addition to jobs and hits."""

from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, RootModel, WithJsonSchema, model_validator
from pydantic.config import JsonDict

from orchestrator.intake.submission import Outcome
from orchestrator.jobs.models import (
    Job,
    Options,
    Prefix,
    Priority,
    Record,
    State,
    StorableSavepath,
    UsablePrefix,
    storable,
)
from orchestrator.jobs.stats import NO_JOBS, PendingWork, StateTotal
from orchestrator.media.browsers import Playable
from orchestrator.media.media import KEPT_POINTS
from orchestrator.queue.rules import Rule
from orchestrator.transcripts.filters import Since
from orchestrator.transcripts.models import Receipt
from orchestrator.transcripts.queries import ListedTranscript, ListQuery
from orchestrator.transcripts.search import Hit, Recording
from orchestrator.transcripts.titles import TitledRecording
from reelscribe.contracts.messages import WireModel
from reelscribe.settings.fields import BucketName, WebhookUrl
from reelscribe.text.formats import Format, parse_format

MOST_SAVEPATHS = 10_000
MOST_JOBS = 1000
"""Of one page."""


ONE_SAVEPATH: JsonDict = {
    "required": ["savepath"],
    "properties": {"savepath": {"type": "string"}, "savepaths": {"maxItems": 0}},
}
SEVERAL_SAVEPATHS: JsonDict = {
    "required": ["savepaths"],
    "properties": {"savepath": {"type": "null"}, "savepaths": {"minItems": 1}},
}


JobId = Annotated[int, Field(ge=0, le=10**18)]


class SubmitRequest(Options):
    """Body of ``POST /api/jobs``: one savepath or several, and how to transcribe them."""

    model_config = ConfigDict(json_schema_extra={"oneOf": [ONE_SAVEPATH, SEVERAL_SAVEPATHS]})

    savepath: StorableSavepath | None = None
    savepaths: list[StorableSavepath] = Field(default=[], max_length=MOST_SAVEPATHS)
    bucket_name: BucketName | None = None
    priority: Priority | None = Field(default=None, description="None: 0, or what it is already")
    force: bool = False
    force_until: JobId | None = Field(
        default=None, description="id of the newest job that `force` makes again; None: the newest that there is. The"
        " requests of one long submission name the same"
    )  # fmt: skip
    webhook: WebhookUrl | None = Field(
        default=None, description="URL that gets a signed POST request when each of the jobs has ended"
    )

    @model_validator(mode="after")
    def _some_savepath(self) -> "SubmitRequest":
        if (self.savepath is None) == (not self.savepaths):
            raise ValueError("give either savepath, or savepaths with at least one")
        return self


FilterText = Annotated[str, Field(min_length=1, max_length=1024), AfterValidator(storable)]


class JobsQuery(WireModel):
    """Query of ``GET /api/jobs``; ``after`` is ``next`` of the page before."""

    state: State | None = None
    prefix: FilterText | None = Field(default=None, description="the savepath starts with it")
    text: FilterText | None = Field(
        default=None, description="in the savepath or in the error's sentence, in upper or lower case"
    )
    bucket_name: BucketName | None = Field(default=None, description="only of this bucket; none: of all")
    after: int | None = Field(default=None, ge=0, le=10**18)
    limit: int = Field(default=100, ge=1, le=MOST_JOBS)


FORMAT_SCHEMA = {
    "type": "string",
    "enum": list(Format),
    "description": "; ".join(f"`{format}`: {format.description}" for format in Format),
}


def _known_format(name: Any) -> Any:
    return parse_format(name) if isinstance(name, str) else name


class TranscriptQuery(WireModel):
    """Query of ``GET /api/transcripts/{savepath}``; ``timestamps`` is for txt, paragraphs and docx; ``as_heard``: as
    the model wrote it, without what people edited.
    """

    format: Annotated[Format, BeforeValidator(_known_format), WithJsonSchema(FORMAT_SCHEMA)] = Format.JSON
    timestamps: bool = False
    as_heard: bool = False
    bucket_name: BucketName | None = None


class MediaQuery(WireModel):
    """Query of what a browser plays."""

    bucket_name: BucketName | None = None


class PeaksQuery(MediaQuery):
    """Query of ``GET /api/media/{savepath}/peaks``."""

    points: int = Field(default=1000, ge=1, le=KEPT_POINTS, description="fewer are answered if there are fewer")


class PlaybackAnswer(Record):
    """Answer of ``GET /api/media/{savepath}``: how a browser plays a recording."""

    bucket: str
    savepath: str
    playable: Playable = Field(description="what of it is played: picture and sound, the sound alone, or nothing")
    why: str = Field(description="the reason, for people")
    url: str | None = Field(description="of what to play: the stored object, or audio that is made of it")
    audio_url: str | None = Field(
        description="of its audio as an mp3, also if it is playable as stored: for a browser that does not play that;"
        " null if it has none"
    )
    peaks_url: str | None = Field(description="of its waveform; null if it has no sound")
    seconds: float | None = Field(description="its length; null if the recording does not state it")
    size: int = Field(description="bytes of the stored object")
    etag: str = Field(description="of the stored object")


class WaveformAnswer(Record):
    """Answer of ``GET /api/media/{savepath}/peaks``: stretches of the same length, from the beginning to the end."""

    seconds: float = Field(description="length of the sound")
    points: int
    min: list[int] = Field(description="the lowest sample of each stretch, from -32768 to 32767")
    max: list[int] = Field(description="the highest one")
    etag: str = Field(description="of the object")
    reason: str | None = Field(description="why it is not of all that the recording declares; null if it is")


class DeleteQuery(WireModel):
    """Query of ``DELETE /api/transcripts/{savepath}``; ``dry_run``: only count."""

    bucket_name: BucketName | None = None
    dry_run: bool = Field(default=False, strict=False)


class StatusQuery(WireModel):
    """Query of ``GET /api/status``: only the jobs of a bucket, or of savepaths that start with ``prefix``."""

    bucket_name: BucketName | None = None
    prefix: FilterText | None = None


class JobsLookup(WireModel):
    """Body of ``POST /api/jobs/lookup``: either ids, or savepaths and the bucket that they are in."""

    ids: list[JobId] = Field(default=[], max_length=MOST_SAVEPATHS)
    savepaths: list[StorableSavepath] = Field(default=[], max_length=MOST_SAVEPATHS)
    bucket_name: BucketName | None = None
    options: Options | None = Field(default=None, description="of the jobs of these savepaths; None: whatever they are")


class JobsFound(Record):
    """Answer of ``POST /api/jobs/lookup``, in the order of the ids.

    Attributes:
        results: of the savepaths: what is to be stored and is not yet; null if nothing is ever stored.
    """

    jobs: list[Job]
    results: PendingWork | None


class TranscriptsQuery(ListQuery):
    """Query of ``GET /api/transcripts``; ``after`` is ``next`` of the page before, ``since`` and ``min_confidence`` are
    as of ``export``.
    """

    since: Since | None = None
    min_confidence: float | None = Field(default=None, ge=0, le=1)
    after: FilterText | None = None
    bucket_name: BucketName | None = None


class TranscriptPage(Record):
    """Answer of ``GET /api/transcripts``, in the order of the savepaths; ``next`` is the ``after`` of the next page,
    None on the last.
    """

    transcripts: list[ListedTranscript]
    next: str | None


class AboutQuery(WireModel):
    """Query of ``GET /api/transcripts/{savepath}/about``."""

    bucket_name: BucketName | None = None
    as_heard: bool = False


class AboutTranscript(Record):
    """Answer of ``GET /api/transcripts/{savepath}/about``: all but the text of the newest transcript.

    Attributes:
        results: what is to be stored of it and is not yet; null if nothing is ever stored.
        given_up: why previews or sound of it are not stored, if that was given up.
    """

    job: Job
    receipt: Receipt
    results: PendingWork | None
    given_up: str | None


class About(Record):
    """Answer of ``GET /api/about``: what a client of another host has to know of this service.

    Attributes:
        version: of the program.
        bucket: where savepaths are looked for when a request names none.
        url: for clients, that links begin with.
        takes_webhooks: whether submissions may name one.
        resubmits: whether recordings that are still in the bucket are submitted again after they were forgotten.
    """

    version: str
    bucket: str
    url: str | None
    takes_webhooks: bool
    resubmits: bool


class SubmittedJob(Job):
    """A job, and what the submission did with it."""

    outcome: Outcome = Field(
        description="`new`: made; `changed`: made again, because the object has changed since it was transcribed;"
        " `again`: had failed or was cancelled, and is queued again; `known`: not finished yet;"
        " `done`: has a transcript of this very object; `missing`: has a transcript, but the object is gone"
    )


class SubmitAnswer(Record):
    """Answer of ``POST /api/jobs``: a job for each savepath, in the order of their first mention."""

    jobs: list[SubmittedJob]
    warning: str | None = Field(
        default=None, description="why objects could not be compared: then what is done counts as `done`"
    )


class JobPage(Record):
    """Answer of ``GET /api/jobs``; ``next`` is the ``after`` of the next page, None on the last.

    With ``prefix`` or ``text``, a page may hold fewer jobs than ``limit``, even none, and have a next one: so many jobs
    are looked at for one page, and no more.
    """

    jobs: list[Job]
    next: int | None


class ChangedJob(Job):
    """A job, and whether the request changed it."""

    changed: bool


class PauseRequest(WireModel):
    """Body of ``PUT /api/pauses``."""

    prefix: UsablePrefix = Field(default="", description="of the savepaths that are paused; empty: all of them")


class PauseQuery(WireModel):
    """Query of ``DELETE /api/pauses``."""

    prefix: Prefix = Field(default="", description="as it was paused")


class Pauses(Record):
    """Answer of ``/api/pauses``."""

    rules: list[Rule] = Field(description="the pauses and limits in force")


class HitPage(Record):
    """Answer of ``GET /api/search``; ``titled`` are recordings whose title holds the words, on the first page."""

    hits: list[Hit]
    next: str | None
    titled: list[TitledRecording]


class RecordingPage(Record):
    """Answer of ``GET /api/search?grouped=true``; ``titled`` as in :class:`HitPage`."""

    recordings: list[Recording]
    next: str | None
    titled: list[TitledRecording]


class SearchAnswer(RootModel[HitPage | RecordingPage]):
    """Answer of ``GET /api/search``, by ``grouped``."""


class Status(Record):
    """Answer of ``GET /api/status``: the state of the queue, see :class:`orchestrator.jobs.stats.Overview`."""

    totals: dict[State, int] = Field(description="jobs in each state that occurs")
    states: dict[State, StateTotal] = Field(description="the same with their audio, for jobs of unknown length about")
    done_seconds: float = Field(description="of audio with a transcript")
    left_seconds: float | None = Field(
        description="of audio still to transcribe, estimated; null if no length is known"
    )
    speed: float | None = Field(
        description="recent seconds of audio per second, all workers together; null if none worked"
    )
    eta_seconds: float | None = Field(
        description="until all that is not paused is done at this speed, estimated; null while no worker or no"
        " transcriber is there, a bucket is away, and if all is paused"
    )
    paused: StateTotal = Field(
        default=NO_JOBS, description="of the jobs that have not begun, those that a pause holds back, about"
    )
    no_transcriber: str | None = Field(description="why jobs wait for a transcriber while none runs")
    buckets_away: dict[str, str] = Field(
        default={}, description="why recordings of a bucket cannot be read now, by its name: its jobs wait"
    )
    oldest_seconds: float | None = Field(
        description="since the submission of the oldest job that has not begun; null if there is none"
    )
    rules: list[Rule] = Field(description="the pauses and limits in force")
    workers: int = Field(description="that send heartbeats, on any host")
    results: PendingWork | None = Field(description="only if [results] names a bucket")


class HookAnswer(Record):
    """Answer of ``POST /hooks/minio``: how many objects became what."""

    new: int = 0
    changed: int = 0
    again: int = 0
    known: int = 0
    ignored: int = 0
    removed: int = 0
