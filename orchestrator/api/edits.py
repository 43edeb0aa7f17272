"""``/api/edits/{savepath}``: what people corrected in a transcript, and how it came to that."""

from collections.abc import Mapping
from typing import Annotated

from pydantic import AfterValidator, Field

from orchestrator.api.handlers import OrchestratorHandler, check_storable
from orchestrator.errors import DatabaseUnavailable, EditConflict, NothingToUndo
from orchestrator.intake.corrections import EditAnswer, EditRequest
from orchestrator.jobs import queries as job_queries
from orchestrator.jobs.models import Record, storable
from orchestrator.transcripts import queries as transcript_queries
from orchestrator.transcripts.edits import history
from orchestrator.transcripts.edits.history import Edit
from reelscribe import errors
from reelscribe.contracts.messages import WireModel
from reelscribe.http.api.operations import JSON, Answer, Operation
from reelscribe.settings.fields import BucketName
from reelscribe.text.blank import shows
from reelscribe.text.srt_vtt import one_line

MOST_EDITS = 1000
"""Of one page."""


def _title(text: str) -> str:
    text = one_line(storable(text))
    if not shows(text):
        raise ValueError("holds no character that shows")
    return text


class HistoryQuery(WireModel):
    """Query of ``GET /api/edits/{savepath}``; ``before`` is ``next`` of the page before."""

    before: int | None = Field(default=None, ge=1, le=10**9)
    limit: int = Field(default=100, ge=1, le=MOST_EDITS)
    bucket_name: BucketName | None = None


class HistoryPage(Record):
    """Answer of ``GET /api/edits/{savepath}``: edits, the newest first; ``next`` is None on the last page."""

    job: int
    revision: int
    title: str | None
    edits: list[Edit]
    next: int | None


class UndoRequest(WireModel):
    """Body of ``POST /api/edits/{savepath}/undo``; without a revision, the newest edit that is not undone."""

    revision: int | None = Field(default=None, ge=1, le=10**9)
    bucket_name: BucketName | None = None


class TitleRequest(WireModel):
    """Body of ``POST /api/edits/{savepath}/title``; null takes the title away."""

    title: Annotated[str, AfterValidator(_title)] | None = Field(min_length=1, max_length=300)
    bucket_name: BucketName | None = None


class _EditsHandler(OrchestratorHandler):
    def finish_edit(self, answer: EditAnswer) -> None:
        self.finish(answer.model_dump(mode="json"))

    def bucket(self, named: str | None) -> str:
        return named or self.service.default_bucket


class EditsHandler(_EditsHandler):
    """``POST`` edits; ``GET`` lists the edits, the newest first."""

    max_body_bytes = 1 << 20

    async def get(self, savepath: str) -> None:
        query = self.read_query(HistoryQuery)
        check_storable(savepath)
        bucket = self.bucket(query.bucket_name)
        async with self.service.pool.connection() as connection:
            job = await job_queries.newest_finished(connection, bucket, savepath)
            if job is None:
                raise await transcript_queries.no_transcript(connection, bucket, savepath, self.service.default_bucket)
            edits = await history.listed(connection, job.id, query.before, query.limit)
        following = edits[-1].revision if len(edits) == query.limit else None
        page = HistoryPage(job=job.id, revision=job.revision, title=job.title, edits=edits, next=following)
        self.finish(page.model_dump(mode="json"))

    async def post(self, savepath: str) -> None:
        request = self.read_body(EditRequest)
        check_storable(savepath)
        bucket = self.bucket(request.bucket_name)
        self.finish_edit(await self.service.corrections.edit(bucket, savepath, request, self.caller.name))


class UndoHandler(_EditsHandler):
    """``POST /api/edits/{savepath}/undo``."""

    async def post(self, savepath: str) -> None:
        request = self.read_body(UndoRequest)
        check_storable(savepath)
        bucket = self.bucket(request.bucket_name)
        self.finish_edit(await self.service.corrections.undo(bucket, savepath, request.revision, self.caller.name))


class TitleHandler(_EditsHandler):
    """``POST /api/edits/{savepath}/title``."""

    async def post(self, savepath: str) -> None:
        request = self.read_body(TitleRequest)
        check_storable(savepath)
        bucket = self.bucket(request.bucket_name)
        self.finish_edit(await self.service.corrections.rename(bucket, savepath, request.title, self.caller.name))


SAVEPATH: Mapping[str, str] = {"savepath": ".+"}
EDITED = Answer("The edit, and what is shown in its place now.", {JSON: EditAnswer})

EDIT_OPERATIONS = (
    Operation(
        "POST",
        "/api/edits/{savepath}/undo",  # before the shorter path, which would take it for a savepath
        "undo",
        "Undo an edit; written %2F, the last slash is of the savepath",
        (EDITED,),
        (errors.TranscriptNotFound, NothingToUndo, EditConflict, DatabaseUnavailable),
        body=UndoRequest,
        path_parameters=SAVEPATH,
        handler=UndoHandler,
    ),
    Operation(
        "POST",
        "/api/edits/{savepath}/title",
        "rename",
        "Give a recording a title; written %2F, the last slash is of the savepath",
        (EDITED,),
        (errors.TranscriptNotFound, DatabaseUnavailable),
        body=TitleRequest,
        path_parameters=SAVEPATH,
        handler=TitleHandler,
    ),
    Operation(
        "GET",
        "/api/edits/{savepath}",
        "edits",
        "A page of the edits of a recording, the newest first",
        (Answer("The page.", {JSON: HistoryPage}),),
        (errors.TranscriptNotFound, DatabaseUnavailable),
        query=HistoryQuery,
        path_parameters=SAVEPATH,
        handler=EditsHandler,
    ),
    Operation(
        "POST",
        "/api/edits/{savepath}",
        "edit",
        "Write other segments in place of some: change, split, merge or remove them",
        (EDITED,),
        (errors.TranscriptNotFound, errors.BodyTooLarge, EditConflict, DatabaseUnavailable),
        body=EditRequest,
        path_parameters=SAVEPATH,
        handler=EditsHandler,
    ),
)
