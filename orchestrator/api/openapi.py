"""The orchestrator's operations, for ``GET /openapi.json``."""

from collections.abc import Mapping
from typing import Any

from orchestrator.api.events import EVENT_STREAM
from orchestrator.api.schemas import (
    ChangedJob,
    HitPage,
    HookAnswer,
    JobPage,
    JobsQuery,
    Status,
    SubmitAnswer,
    SubmitRequest,
    TranscriptQuery,
)
from orchestrator.errors import DatabaseUnavailable
from orchestrator.intake.minio_events import Notification
from orchestrator.jobs.models import Job
from orchestrator.transcripts.formats import CONTENT_TYPES
from orchestrator.transcripts.search import SearchQuery
from reelscribe import errors
from reelscribe.http import openapi
from reelscribe.http.openapi import JSON, Answer, Header, Operation

JOB_ID = {"id": "^[0-9]{1,18}$"}
NO_SUCH_JOB = (errors.JobNotFound, errors.RouteNotFound, DatabaseUnavailable)
TRANSCRIPT: Mapping[str, None] = dict.fromkeys(content_type.split(";")[0] for content_type in CONTENT_TYPES.values())
TRANSCRIPT_HEADERS = {
    "ETag": Header("Of this transcript in this format; If-None-Match answers 304 while there is no newer one"),
    "Last-Modified": Header("When it was finished"),
}
STREAM = {EVENT_STREAM: None}
RECONNECT = {"Last-Event-ID": "The id of the last event that had one, when coming back"}

OPERATIONS = (
    Operation(
        "POST",
        "/api/jobs",
        "submit",
        "Have savepaths transcribed; what is there already is not made again",
        (Answer("A job for each savepath, and what was done.", {JSON: SubmitAnswer}, status=202),),
        (errors.BodyTooLarge, DatabaseUnavailable),
        body=SubmitRequest,
    ),
    Operation(
        "GET",
        "/api/jobs",
        "jobs",
        "A page of jobs, the newest first",
        (Answer("The page.", {JSON: JobPage}),),
        (DatabaseUnavailable,),
        query=JobsQuery,
    ),
    Operation(
        "GET",
        "/api/jobs/{id}",
        "job",
        "One job",
        (Answer("The job.", {JSON: Job}),),
        NO_SUCH_JOB,
        path_parameters=JOB_ID,
    ),
    *(
        Operation(
            "POST",
            f"/api/jobs/{{id}}/{verb}",
            verb,
            summary,
            (Answer("The job as it is now, and whether this changed it.", {JSON: ChangedJob}),),
            NO_SUCH_JOB,
            path_parameters=JOB_ID,
        )
        for verb, summary in (
            ("cancel", "Cancel a job; a running one stops at once, and keeps what is stored"),
            ("retry", "Queue a failed or cancelled job again; it goes on where it stopped"),
        )
    ),
    Operation(
        "GET",
        "/api/jobs/{id}/events",
        "jobEvents",
        "Server-sent events of one job: `job`, now and whenever it changes, until it has ended",
        (
            Answer("The events.", STREAM),
            Answer("The job has ended, and the client has been told.", {}, status=204),
        ),
        (*NO_SUCH_JOB, errors.Busy),
        path_parameters=JOB_ID,
        request_headers=RECONNECT,
    ),
    Operation(
        "GET",
        "/api/events",
        "events",
        "Server-sent events of all jobs: `job` whenever one changes, `totals` by state",
        (Answer("The events; first those that have ended since Last-Event-ID, then those that run.", STREAM),),
        (DatabaseUnavailable, errors.Busy),
        request_headers=RECONNECT,
    ),
    Operation(
        "GET",
        "/api/status",
        "status",
        "Jobs in each state, audio done and left, speed, time left, rules, workers at work, what is not stored yet",
        (Answer("The queue as a whole.", {JSON: Status}),),
        (DatabaseUnavailable,),
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
        path_parameters={"savepath": "^.+$"},
        request_headers={"If-None-Match": "the ETag of the transcript that the client has"},
    ),
    Operation(
        "GET",
        "/api/search",
        "search",
        "A page of segments that hold these words, the newest transcripts first",
        (Answer("The page.", {JSON: HitPage}),),
        (DatabaseUnavailable,),
        query=SearchQuery,
    ),
    Operation(
        "POST",
        "/hooks/minio",
        "minioHook",
        "Takes MinIO's bucket notifications and submits what was written",
        (Answer("How many objects became what.", {JSON: HookAnswer}),),
        (errors.BodyTooLarge, errors.PeerUnreachable, errors.StreamCut, DatabaseUnavailable),
        body=Notification,
    ),
    Operation("HEAD", "/hooks/minio", "minioHookIsThere", "Whether we are there", (Answer("Yes.", {}),), public=True),
)


def document() -> dict[str, Any]:
    """The orchestrator's OpenAPI document."""
    return openapi.document(
        "Reelscribe orchestrator",
        "Keeps a queue of savepaths, and the transcripts of them.",
        OPERATIONS,
    )
