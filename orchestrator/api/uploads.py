"""``/api/uploads``: recordings that come over HTTP, in pieces that can be resumed, or straight to MinIO."""

import asyncio
from typing import Annotated, Any

from pydantic import Field

from orchestrator.api.handlers import OrchestratorHandler
from orchestrator.api.schemas import SubmittedJob
from orchestrator.errors import (
    DatabaseUnavailable,
    InUse,
    NotWritten,
    ObjectExists,
    TooManyUploads,
    UploadIncomplete,
    UploadNotFound,
    WrongOffset,
)
from orchestrator.intake.unfinished_uploads import Upload, Writer
from orchestrator.intake.uploads import Announced
from orchestrator.jobs.models import Options, Priority, Record, StorableSavepath
from reelscribe import errors
from reelscribe.contracts.messages import WireModel
from reelscribe.contracts.scopes import Scope
from reelscribe.errors import BadRequest, ServiceError, Stopping, UnsupportedMediaType
from reelscribe.http.api.operations import BYTES, JSON, Answer, Header, Operation
from reelscribe.http.server.service import DRAINED_BYTES
from reelscribe.settings.fields import BucketName

STALL_SECONDS = 60.0
"""Longest wait for more of a body."""
PIECE_SECONDS = 6 * 3600
"""Longest time for one body."""
MOST_BYTES = 1 << 50
OFFSET = "Upload-Offset"


class UploadRequest(Options):
    """Body of ``POST /api/uploads``: what is to be sent, and how to transcribe it."""

    savepath: StorableSavepath
    bytes: Annotated[int, Field(ge=1, le=MOST_BYTES)]
    overwrite: bool = Field(default=False, description="replace an object of this savepath")
    bucket_name: BucketName | None = None
    priority: Priority | None = Field(default=None, description="None: 0, or what it is already")


class PutLink(Record):
    """Where a browser sends the bytes of a direct upload, with PUT."""

    url: str = Field(description="valid for an hour; keep it secret")
    headers: dict[str, str] = Field(description="to be sent with it")


class UploadAnswer(Record):
    """An upload: what is known of it, and where its bytes go."""

    upload: str = Field(description="its path: GET, PATCH, DELETE, and POST …/done")
    bucket: str
    savepath: str
    bytes: int
    offset: int = Field(description="how many of them have arrived; of a direct upload 0 until it is done")
    put: PutLink | None = Field(description="of a direct upload: where the bytes go; null: to `upload` with PATCH")
    job: int | None = Field(description="once it is submitted")


class DoneQuery(WireModel):
    """Query of ``POST /api/uploads/{id}/done``."""

    overwrite: bool = Field(default=False, description="replace an object that has come meanwhile")


class _UploadsHandler(OrchestratorHandler):
    def answer(self, upload: Upload) -> dict[str, Any]:
        link = self.service.uploads.link(upload) if upload.job is None else None
        headers = {} if upload.overwrite else {"If-None-Match": "*"}
        self.set_header("Cache-Control", "no-store")
        return UploadAnswer(
            upload=f"/api/uploads/{upload.id}",
            bucket=upload.bucket,
            savepath=upload.savepath,
            bytes=upload.bytes,
            offset=self.service.uploads.stored_bytes(upload),
            put=PutLink(url=link, headers=headers) if link else None,
            job=upload.job,
        ).model_dump(mode="json")


class UploadsHandler(_UploadsHandler):
    """``POST /api/uploads`` announces a recording."""

    async def post(self) -> None:
        request = self.read_body(UploadRequest)
        upload = await self.service.uploads.announce(
            Announced(
                request.bucket_name, request.savepath, request.bytes, request.overwrite, request, request.priority
            )
        )
        self.set_status(201)
        self.set_header("Location", self.service.link(f"/api/uploads/{upload.id}"))
        self.finish(self.answer(upload))


class UploadHandler(_UploadsHandler):
    """``GET`` says how much has arrived; ``PATCH`` sends more, and is stored while it arrives; ``DELETE`` cancels."""

    def initialize(self, service: Any) -> None:
        super().initialize(service)
        self._writer: Writer | None = None
        self._refusal: ServiceError | None = None
        self._dropped_bytes = 0
        self._stall: asyncio.TimerHandle | None = None

    def prepare(self) -> None:
        if self.request.method == "PATCH":
            self.max_body_bytes = MOST_BYTES
        super().prepare()
        if self.request.method == "PATCH":
            self.request.connection.set_body_timeout(PIECE_SECONDS)  # type: ignore[union-attr]
            self._await_more()

    def get(self, id: str) -> None:
        upload = self.service.uploads.find(id)
        answer = self.answer(upload)
        self.set_header(OFFSET, str(answer["offset"]))
        self.set_header("Upload-Length", str(upload.bytes))
        self.finish(answer)

    async def delete(self, id: str) -> None:
        await self.service.uploads.cancel(id)
        self.set_status(204)
        self.finish()

    async def data_received(self, chunk: bytes) -> None:
        if self.request.method != "PATCH":
            super().data_received(chunk)
            return
        self._await_more()
        if self._refusal:
            self._dropped_bytes += len(chunk)
            if self._dropped_bytes > DRAINED_BYTES:
                self._send_refusal(self._refusal)
        else:
            try:
                if self.service.stopping.is_set():
                    raise Stopping("this orchestrator is shutting down; resume the upload in a moment")
                writer = await self._open()
                await writer.write(chunk)
            except ServiceError as refusal:
                self._refuse(refusal)

    async def patch(self, id: str) -> None:
        if self._stall:
            self._stall.cancel()
        try:
            if self._refusal:
                raise self._refusal
            writer = await self._open()
            self.set_header(OFFSET, str(await writer.finish()))
        finally:
            if self._writer:  # before the answer: its sender may resume immediately
                writer, self._writer = self._writer, None
                await self.service.uploads.release(id, writer)
        self.set_status(204)
        self.finish()

    def on_connection_close(self) -> None:
        super().on_connection_close()
        self._end_of_body()

    def on_finish(self) -> None:
        super().on_finish()
        self._end_of_body()

    def _await_more(self) -> None:
        if self._stall:
            self._stall.cancel()
        stream = self.request.connection.stream  # type: ignore[union-attr]
        self._stall = asyncio.get_running_loop().call_later(STALL_SECONDS, stream.close)

    def _end_of_body(self) -> None:
        if self._stall:
            self._stall.cancel()
        if self._writer:
            self.service.uploads.leave(self.path_args[0], self._writer)
            self._writer = None

    def _refuse(self, refusal: ServiceError) -> None:
        """Drop what follows, so that its sender gets to read why; but not much of it."""
        self._refusal = refusal
        if self.declared_bytes > DRAINED_BYTES:
            self._send_refusal(refusal)

    def _send_refusal(self, refusal: ServiceError) -> None:
        self.log_exception(type(refusal), refusal, None)
        self.send_error(refusal.status, exc_info=(type(refusal), refusal, None))

    async def _open(self) -> Writer:
        if self._writer is None:
            given = self.request.headers.get("Content-Type", "")
            if given.partition(";")[0].strip().lower() != BYTES:
                raise UnsupportedMediaType(f"send the bytes with the header 'Content-Type: {BYTES}'")
            offset = self.request.headers.get(OFFSET, "")
            if not (offset.isascii() and offset.isdecimal() and len(offset) <= 18):
                raise BadRequest(f"send the header '{OFFSET}': the number of bytes that came before these")
            self._writer = await self.service.uploads.writer(self.path_args[0], int(offset))
        return self._writer


class UploadDoneHandler(OrchestratorHandler):
    """``POST /api/uploads/{id}/done`` makes an object of a complete upload, and submits it."""

    async def post(self, id: str) -> None:
        query = self.read_query(DoneQuery)
        job, outcome = await self.service.uploads.finish(id, query.overwrite)
        self.set_status(202)
        self.finish({**job.model_dump(mode="json"), "outcome": outcome})


ID = {"id": "[0-9a-f]{32}"}
NO_SUCH_UPLOAD = (UploadNotFound, errors.RouteNotFound)
STORING = (ObjectExists, NotWritten, errors.PeerUnreachable, errors.PeerRefused, DatabaseUnavailable)
OFFSET_HEADER = {OFFSET: Header("How many bytes have arrived", "integer")}

UPLOAD_OPERATIONS = (
    Operation(
        "POST",
        "/api/uploads",
        "upload",
        "Announce a recording for the bucket, to be transcribed; no object is replaced without `overwrite`",
        (Answer("Where its bytes go.", {JSON: UploadAnswer}, {"Location": Header("Of the upload")}, status=201),),
        (*STORING, errors.BodyTooLarge, TooManyUploads, errors.NoRoom),
        body=UploadRequest,
        handler=UploadsHandler,
    ),
    Operation(
        "GET",
        "/api/uploads/{id}",
        "uploadState",
        "How much of an upload has arrived; HEAD answers the headers alone",
        (
            Answer(
                "The upload.",
                {JSON: UploadAnswer},
                {**OFFSET_HEADER, "Upload-Length": Header("Bytes of the complete recording", "integer")},
            ),
        ),
        NO_SUCH_UPLOAD,
        path_parameters=ID,
        scope=Scope.SUBMIT,
        handler=UploadHandler,
    ),
    Operation(
        "PATCH",
        "/api/uploads/{id}",
        "uploadBytes",
        "Send more of an upload, from Upload-Offset; what has arrived is kept if the connection breaks",
        (Answer("It is stored.", {}, OFFSET_HEADER, status=204),),
        (*NO_SUCH_UPLOAD, WrongOffset, InUse, errors.BodyTooLarge, errors.NoRoom),
        takes_bytes=True,
        path_parameters=ID,
        request_headers={OFFSET: "The number of bytes that came before these"},
        handler=UploadHandler,
    ),
    Operation(
        "DELETE",
        "/api/uploads/{id}",
        "cancelUpload",
        "Cancel an upload and remove its bytes; an object that it has become stays",
        (Answer("It is gone.", {}, status=204),),
        NO_SUCH_UPLOAD,
        path_parameters=ID,
        handler=UploadHandler,
    ),
    Operation(
        "POST",
        "/api/uploads/{id}/done",
        "uploadDone",
        "Make an object of a complete upload and submit it; asked again, the answer is the same job",
        (Answer("The job.", {JSON: SubmittedJob}, status=202),),
        (*NO_SUCH_UPLOAD, *STORING, UploadIncomplete, InUse),
        query=DoneQuery,
        path_parameters=ID,
        handler=UploadDoneHandler,
    ),
)
