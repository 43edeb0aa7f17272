"""The base of routes that take a recording, as JSON or as an upload, and answer while it is transcribed.

A client has left when its connection is closed, which tornado notices or :meth:`RecordingHandler._check_client` does,
or when it reads nothing for :data:`STALL_SECONDS`. Its request ends then, in whatever state: the task of the request
is cancelled, which ends the extraction and drops the windows that still wait (``jobs.transcription``), the slot is
released, an upload is deleted, and the connection is cut.
"""

import asyncio
import select
from collections.abc import Coroutine
from contextlib import ExitStack
from typing import Any

from tornado.iostream import StreamClosedError

from reelscribe.contracts.transcriber import Urgency
from reelscribe.errors import BadRequest, BodyTooLarge, ServiceError, Stopping
from reelscribe.http.server.connections import ServiceStream
from reelscribe.http.server.service import DRAINED_BYTES, ServiceHandler
from reelscribe.slots import Claim
from transcriber.api.uploads import FIELDS_BYTES, FILE, Fields, Form, too_large
from transcriber.jobs.events import ClientLeft
from transcriber.jobs.sources import Upload
from transcriber.jobs.transcription import HEARTBEAT_SECONDS
from transcriber.jobs.waiting import wait_while_calling
from transcriber.service import TranscriberService

STALL_SECONDS = 60.0
"""Longest wait for a client that reads nothing, or sends less than :data:`LEAST_BYTES` in that time."""

LEAST_BYTES = 256 * 1024
"""Some 4 kB/s: uploads hold slots, which must cost their senders something."""

UPLOAD_SECONDS = 6 * 3600
"""Longest time for a complete upload."""


class RecordingHandler(ServiceHandler):
    """A request with a body of JSON or a form with a file, and work that ends when its client leaves."""

    service: TranscriberService

    def initialize(self, service: TranscriberService) -> None:  # type: ignore[override]
        super().initialize(service)
        content_type = self.request.headers.get("Content-Type", "")
        self.has_form = self.request.method == "POST" and content_type.lower().startswith("multipart/form-data")
        if self.has_form:
            self.max_body_bytes = service.max_upload_bytes + FIELDS_BYTES
        self._form: Form | None = None
        self._refusal: ServiceError | None = None
        self._resources = ExitStack()
        self._claim: Claim | None = None
        self._stall: asyncio.TimerHandle | None = None
        self._received = 0
        self._stop_watch: asyncio.Task[None] | None = None
        self._work: asyncio.Task[None] | None = None

    def prepare(self) -> None:
        """Accept an upload, or refuse it before the client has sent much of it."""
        try:
            super().prepare()
            if self.has_form:
                self._open_form()
        except ServiceError as refusal:
            if not self._is_soon_drained():
                raise
            self._refusal = refusal
            self.request.connection.set_max_body_size(DRAINED_BYTES)  # type: ignore[union-attr]

    def too_large(self) -> BodyTooLarge:
        return too_large(self.service.max_upload_bytes) if self.has_form else super().too_large()

    def _is_soon_drained(self) -> bool:
        """Whether to read the rest of a refused upload: a client that is still sending does not read the refusal."""
        waits = "Expect" in self.request.headers
        return self.has_form and not waits and 0 < self.declared_bytes <= DRAINED_BYTES

    def _open_form(self) -> None:
        self.claim()
        if self.declared_bytes > self.max_body_bytes:
            raise self.too_large()
        content_type, service = self.request.headers["Content-Type"], self.service
        self._form = Form(content_type, service.temporary, service.max_upload_bytes, self.declared_bytes)
        self._resources.callback(self._form.close)
        self.request.connection.set_body_timeout(UPLOAD_SECONDS)  # type: ignore[union-attr]
        self._stop_watch = asyncio.create_task(self._refuse_on_stop())
        self._await_more()

    def _await_more(self) -> None:
        self._received = 0
        if self._stall:
            self._stall.cancel()
        stream = self.request.connection.stream  # type: ignore[union-attr]
        self._stall = asyncio.get_running_loop().call_later(STALL_SECONDS, stream.close)

    async def _refuse_on_stop(self) -> None:
        """Refuse an upload that still arrives when this service stops: its sender may take long."""
        await self.service.stopping.wait()
        self._refusal = Stopping("this transcriber is shutting down; send the file again in a moment")
        self.log_exception(Stopping, self._refusal, None)
        self.send_error(self._refusal.status, exc_info=(Stopping, self._refusal, None))

    def _end_of_upload(self) -> None:
        if self._stall:
            self._stall.cancel()
        if self._stop_watch:
            self._stop_watch.cancel()

    def claim(self, urgency: Urgency = "interactive") -> Claim:
        """The request's right to a slot; made on the first call and kept until the end of the request.

        Args:
            urgency: as far as it is known by now; the fields of an upload may still set another one.

        Raises:
            Busy: all slots and the queue are full.
        """
        if not self._claim:
            self._claim = self._resources.enter_context(self.service.claim(urgency))
        return self._claim

    async def data_received(self, chunk: bytes) -> None:
        if not self.has_form:
            super().data_received(chunk)
        elif self._form:
            self._received += len(chunk)
            if self._received >= LEAST_BYTES:
                self._await_more()
            if not self._refusal:
                await self._feed(self._form, chunk)

    async def _feed(self, form: Form, chunk: bytes) -> None:
        try:
            await form.feed(chunk)
        except ServiceError as refusal:
            self._refusal = refusal
            self._resources.close()  # what follows is dropped, so that its sender gets to read why

    async def read_form(self) -> tuple[Fields, Upload]:
        """The fields and the file of an upload.

        Raises:
            ServiceError: why it was refused.
        """
        self._end_of_upload()
        if self._refusal:
            raise self._refusal
        if not self._form:
            raise BadRequest(f"send multipart/form-data with the recording as its part {FILE!r}")
        return await self._form.finish()

    async def run(self, work: Coroutine[Any, Any, None]) -> None:
        """Do the work until it is done or the client leaves."""
        self._work = asyncio.create_task(work)
        try:
            await wait_while_calling(self._work, self._check_client, HEARTBEAT_SECONDS)
        except (asyncio.CancelledError, ClientLeft):
            self.cut()

    async def _check_client(self) -> None:
        """Notice a client that sent a byte after its request and left: tornado does not before the answer has ended."""
        stream: ServiceStream = self.request.connection.stream  # type: ignore[union-attr]
        if not stream.closed():
            watch = select.poll()
            watch.register(stream.fileno(), select.POLLRDHUP)
            if watch.poll(0):
                stream.client_has_ended()

    async def send(self) -> None:
        """Send what was written.

        Raises:
            ClientLeft: it has closed the connection, or reads nothing.
        """
        try:
            async with asyncio.timeout(STALL_SECONDS):
                await self.flush()
        except (TimeoutError, StreamClosedError) as gone:
            raise ClientLeft from gone

    def on_connection_close(self) -> None:
        super().on_connection_close()
        if self._work:
            self._work.cancel()
        else:
            self._release()

    def on_finish(self) -> None:
        super().on_finish()
        self._release()

    def _release(self) -> None:
        self._end_of_upload()
        self._resources.close()
