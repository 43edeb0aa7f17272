"""The orchestrator's routes: the table of its operations."""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from orchestrator.api.datasets import DATASET_OPERATIONS
from orchestrator.api.edits import EDIT_OPERATIONS
from orchestrator.api.events import EVENT_STREAM, EventsHandler, JobEventsHandler
from orchestrator.api.handlers import (
    CancelHandler,
    JobHandler,
    JobsHandler,
    OrchestratorHealthHandler,
    RetryHandler,
    SearchHandler,
    StatusHandler,
    TranscriptHandler,
)
from orchestrator.api.lookup import ABOUT_OPERATIONS, TRANSCRIPT_LIST_OPERATIONS
from orchestrator.api.media import AudioHandler, FileHandler, PeaksHandler, PlaybackHandler
from orchestrator.api.minio_webhook import MinioHookHandler
from orchestrator.api.queue_handlers import PausesHandler, ThroughputHandler
from orchestrator.api.schemas import (
    ChangedJob,
    DeleteQuery,
    HookAnswer,
    JobPage,
    JobsQuery,
    MediaQuery,
    PauseQuery,
    PauseRequest,
    Pauses,
    PeaksQuery,
    PlaybackAnswer,
    SearchAnswer,
    Status,
    StatusQuery,
    SubmitAnswer,
    SubmitRequest,
    TranscriptQuery,
    WaveformAnswer,
)
from orchestrator.api.segments import SegmentPage, SegmentsHandler, SegmentsQuery
from orchestrator.api.throughput import Throughput
from orchestrator.api.uploads import UPLOAD_OPERATIONS
from orchestrator.api.vocabulary import VOCABULARY_OPERATIONS
from orchestrator.api.webhooks import WEBHOOK_OPERATIONS
from orchestrator.errors import DatabaseUnavailable, InUse, SearchTooLong, TranscriptKept
from orchestrator.intake.minio_events import Notification
from orchestrator.jobs.deletion import Deleted
from orchestrator.jobs.models import Job
from orchestrator.transcripts.search import SearchQuery
from reelscribe import errors
from reelscribe.contracts.scopes import Scope
from reelscribe.http.api.operations import JSON, Answer, Header, Operation
from reelscribe.http.api.routes import HEALTH, Api
from reelscribe.http.server.service import ServiceHandler
from reelscribe.media.content_type import CONTENT_TYPES
from reelscribe.text.formats import Format

JOB_ID = {"id": "[0-9]{1,18}"}
NO_SUCH_JOB = (errors.JobNotFound, errors.RouteNotFound, DatabaseUnavailable)
TRANSCRIPT: Mapping[str, None] = dict.fromkeys(format.content_type.split(";")[0] for format in Format)
TRANSCRIPT_HEADERS = {
    "ETag": Header("Of this transcript in this format; If-None-Match answers 304 while there is no newer one"),
    "Last-Modified": Header("When it was finished"),
}
CHANGED_JOB = Answer("The job as it is now, and whether this changed it.", {JSON: ChangedJob})
STREAM = {EVENT_STREAM: None}
SAVEPATH = {"savepath": ".+"}
NO_MEDIA = (
    *(errors.ObjectNotFound, errors.BucketUnavailable, errors.NotReadable, errors.PeerUnreachable, errors.StreamCut),
    *(errors.Busy, errors.NoAudioInTime),
)
NO_SOUND = (*NO_MEDIA, errors.NoAudioTrack, errors.NotDecodable, errors.PeerRefused)
KNOWN = Answer("The client has it: If-None-Match names its ETag.", {}, status=304)
IF_NONE_MATCH = {"If-None-Match": "the ETag of the answer that the client has"}
RANGES = {"Range": "bytes=FIRST-LAST, bytes=FIRST- or bytes=-LENGTH", "If-Range": "the ETag that the range is of"}
PLAYED_HEADERS = {
    "Content-Length": Header("Bytes", "integer"),
    "ETag": Header("It changes when the bytes do"),
    "Accept-Ranges": Header("bytes"),
}
RANGE_HEADERS = {**PLAYED_HEADERS, "Content-Range": Header("bytes FIRST-LAST/LENGTH")}


def _played(
    method: str, route: str, name: str, summary: str, types: Iterable[str], handler: type[ServiceHandler]
) -> Operation:
    """A route of a recording that a player reads by ranges."""
    content: Mapping[str, None] = dict.fromkeys(types) if method == "GET" else {}
    return Operation(
        method,
        f"/media/{{savepath}}/{route}",
        name,
        summary,
        (
            Answer("All of it.", content, PLAYED_HEADERS),
            Answer("The range that was asked for.", content, RANGE_HEADERS, status=206),
            KNOWN,
        ),
        (*NO_SOUND, errors.NoRoom, errors.RangeNotSatisfiable),
        query=MediaQuery,
        path_parameters=SAVEPATH,
        request_headers={**RANGES, **IF_NONE_MATCH},
        handler=handler,
    )


_FILE = (
    "The object as it is stored, by ranges; an incomplete body is cut off, never ended",
    CONTENT_TYPES,
    FileHandler,
)
_AUDIO = (
    "The sound of a recording as an mp3, by ranges; made when it is first requested",
    ("audio/mpeg",),
    AudioHandler,
)
RECONNECT = {"Last-Event-ID": "The id of the last event that had one, when coming back"}

OPERATIONS = (
    Operation(
        "POST",
        "/api/jobs",
        "submit",
        "Have savepaths transcribed; a job that exists already is not made again",
        (Answer("A job for each savepath, and what was done.", {JSON: SubmitAnswer}, status=202),),
        (errors.BodyTooLarge, DatabaseUnavailable),
        body=SubmitRequest,
        handler=JobsHandler,
    ),
    Operation(
        "GET",
        "/api/jobs",
        "jobs",
        "A page of jobs, the newest first",
        (Answer("The page.", {JSON: JobPage}),),
        (DatabaseUnavailable,),
        query=JobsQuery,
        handler=JobsHandler,
    ),
    *ABOUT_OPERATIONS,
    Operation(
        "GET",
        "/api/jobs/{id}",
        "job",
        "One job",
        (Answer("The job.", {JSON: Job}),),
        NO_SUCH_JOB,
        path_parameters=JOB_ID,
        handler=JobHandler,
    ),
    Operation(
        "DELETE",
        "/api/jobs/{id}",
        "deleteJob",
        "Remove a job without a transcript; a running one is cancelled",
        (Answer("How much was removed.", {JSON: Deleted}),),
        (*NO_SUCH_JOB, TranscriptKept, InUse),
        path_parameters=JOB_ID,
        handler=JobHandler,
    ),
    Operation(
        "POST",
        "/api/jobs/{id}/cancel",
        "cancel",
        "Cancel a job; a running one stops immediately, and keeps what is stored",
        (CHANGED_JOB,),
        NO_SUCH_JOB,
        path_parameters=JOB_ID,
        handler=CancelHandler,
    ),
    Operation(
        "POST",
        "/api/jobs/{id}/retry",
        "retry",
        "Queue a failed or cancelled job again; it continues where it stopped",
        (CHANGED_JOB,),
        NO_SUCH_JOB,
        path_parameters=JOB_ID,
        handler=RetryHandler,
    ),
    Operation(
        "GET",
        "/api/jobs/{id}/events",
        "jobEvents",
        "Server-sent events of one job: `job`, now and whenever it changes, until it has ended",
        (
            Answer("The events.", STREAM),
            Answer("The job has ended, and the client knows.", {}, status=204),
        ),
        (*NO_SUCH_JOB, errors.Busy),
        path_parameters=JOB_ID,
        request_headers=RECONNECT,
        handler=JobEventsHandler,
    ),
    Operation(
        "GET",
        "/api/events",
        "events",
        "Server-sent events of all jobs: `job` whenever one changes, `totals` by state",
        (Answer("The events; first those that have ended since Last-Event-ID, then those that run.", STREAM),),
        (DatabaseUnavailable, errors.Busy),
        request_headers=RECONNECT,
        handler=EventsHandler,
    ),
    Operation(
        "GET",
        "/api/status",
        "status",
        "Jobs in each state, audio done and left, speed, time left, rules, workers at work, what is not stored yet",
        (Answer("The state of the queue.", {JSON: Status}),),
        (DatabaseUnavailable,),
        query=StatusQuery,
        handler=StatusHandler,
    ),
    Operation(
        "GET",
        "/api/pauses",
        "pauses",
        "The pauses and limits of the queue",
        (Answer("Those in force.", {JSON: Pauses}),),
        (DatabaseUnavailable,),
        handler=PausesHandler,
    ),
    Operation(
        "PUT",
        "/api/pauses",
        "pause",
        "Start no more jobs, of all savepaths or of a prefix, until it is resumed; running ones are completed",
        (Answer("The pauses and limits now in force.", {JSON: Pauses}),),
        (DatabaseUnavailable,),
        body=PauseRequest,
        scope=Scope.ADMIN,
        handler=PausesHandler,
    ),
    Operation(
        "DELETE",
        "/api/pauses",
        "resume",
        "End the pause of exactly this prefix",
        (Answer("The pauses and limits now in force.", {JSON: Pauses}),),
        (DatabaseUnavailable,),
        query=PauseQuery,
        scope=Scope.ADMIN,
        handler=PausesHandler,
    ),
    Operation(
        "GET",
        "/api/throughput",
        "throughput",
        "How much audio was transcribed in each quarter of an hour of the last day",
        (Answer("The sums.", {JSON: Throughput}),),
        (DatabaseUnavailable,),
        handler=ThroughputHandler,
    ),
    *TRANSCRIPT_LIST_OPERATIONS,
    Operation(
        "GET",
        "/api/transcripts/{savepath}/segments",  # before the next one, which would take it for a savepath
        "segments",
        "A page of the segments of a savepath, also while its job runs; written %2F, its last slash is of the savepath",
        (Answer("The page.", {JSON: SegmentPage}),),
        (errors.TranscriptNotFound, DatabaseUnavailable),
        query=SegmentsQuery,
        path_parameters={"savepath": ".+"},
        handler=SegmentsHandler,
    ),
    Operation(
        "GET",
        "/api/transcripts/{savepath}",
        "transcript",
        "The newest transcript of a savepath",
        (
            Answer("The transcript.", TRANSCRIPT, TRANSCRIPT_HEADERS),
            Answer("There is none newer than the one of If-None-Match.", {}, status=304),
        ),
        (errors.TranscriptNotFound, errors.UnsupportedFormat, DatabaseUnavailable),
        query=TranscriptQuery,
        path_parameters={"savepath": ".+"},
        request_headers={"If-None-Match": "the ETag of the transcript that the client has"},
        handler=TranscriptHandler,
    ),
    Operation(
        "DELETE",
        "/api/transcripts/{savepath}",
        "deleteTranscript",
        "Forget a recording: its jobs, all versions of its transcript, its stored results; running jobs are cancelled",
        (Answer("How much was removed.", {JSON: Deleted}),),
        (errors.TranscriptNotFound, errors.PeerUnreachable, errors.PeerRefused, InUse, DatabaseUnavailable),
        query=DeleteQuery,
        path_parameters={"savepath": ".+"},
        scope=Scope.ADMIN,
        handler=TranscriptHandler,
    ),
    *UPLOAD_OPERATIONS,
    *EDIT_OPERATIONS,
    *VOCABULARY_OPERATIONS,
    *WEBHOOK_OPERATIONS,
    *DATASET_OPERATIONS,
    Operation(
        "GET",
        "/api/media/{savepath}/peaks",
        "waveform",
        "The waveform of a recording, made once and kept until the recording is forgotten",
        (Answer("The waveform.", {JSON: WaveformAnswer}, {"ETag": Header("It changes when the object does")}), KNOWN),
        (*NO_SOUND, DatabaseUnavailable),
        query=PeaksQuery,
        path_parameters=SAVEPATH,
        request_headers=IF_NONE_MATCH,
        handler=PeaksHandler,
    ),
    Operation(
        "GET",
        "/api/media/{savepath}",
        "playback",
        "How a browser plays a recording: its picture or its sound, as stored or as audio that is made, and why",
        (Answer("How to play it.", {JSON: PlaybackAnswer}, {"ETag": Header("It changes when the object does")}), KNOWN),
        (*NO_MEDIA, errors.NotDecodable),
        query=MediaQuery,
        path_parameters=SAVEPATH,
        request_headers=IF_NONE_MATCH,
        handler=PlaybackHandler,
    ),
    _played("GET", "file", "playFile", *_FILE),
    _played("HEAD", "file", "playFileHeaders", *_FILE),
    _played("GET", "audio", "playAudio", *_AUDIO),
    _played("HEAD", "audio", "playAudioHeaders", *_AUDIO),
    Operation(
        "GET",
        "/api/search",
        "search",
        "A page of segments that hold these words, or of their recordings, the newest transcripts first",
        (Answer("The page: `recordings` if `grouped`, else `hits`.", {JSON: SearchAnswer}),),
        (SearchTooLong, DatabaseUnavailable),
        query=SearchQuery,
        handler=SearchHandler,
    ),
    Operation(
        "POST",
        "/hooks/minio",
        "minioHook",
        "Takes MinIO's bucket notifications: submits what was written, notes what was removed",
        (Answer("How many objects became what.", {JSON: HookAnswer}),),
        (
            errors.BodyTooLarge,
            errors.BucketUnavailable,
            errors.PeerUnreachable,
            errors.StreamCut,
            DatabaseUnavailable,
        ),
        body=Notification,
        handler=MinioHookHandler,
    ),
    Operation(
        "HEAD",
        "/hooks/minio",
        "minioHookIsThere",
        "Whether this service takes notifications",
        (Answer("Yes.", {}),),
        public=True,
        handler=MinioHookHandler,
    ),
    replace(HEALTH, handler=OrchestratorHealthHandler),
)

API = Api(
    "Reelscribe orchestrator",
    "Keeps a queue of savepaths, and their transcripts.",
    OPERATIONS,
)
