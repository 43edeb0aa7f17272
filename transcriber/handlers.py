"""Machine B's routes."""

import asyncio
import logging
from typing import Any

from tornado.iostream import StreamClosedError

from machine.errors import InternalError, MachineError
from machine.server import MachineHandler
from machine.wire import NDJSON, Event, Failed, Finished, Segment, Started, TranscribeRequest, event_line
from transcriber.job import ClientLeft
from transcriber.service import TranscriberMachine

log = logging.getLogger(__name__)

STALL_SECONDS = 60.0
"""Longest wait for a client that stopped reading."""


class TranscribeHandler(MachineHandler):
    """``POST /transcribe``: events as NDJSON while the recording is heard, or one JSON document at its end."""

    machine: TranscriberMachine

    def initialize(self, machine: TranscriberMachine) -> None:  # type: ignore[override]
        super().initialize(machine)
        self._work: asyncio.Task[None] | None = None

    async def post(self) -> None:
        request = self.read_body(TranscribeRequest)
        as_document = "application/json" in self.request.headers.get("Accept", "")
        self._work = asyncio.create_task(self._document(request) if as_document else self._stream(request))
        try:
            await self._work
        except (asyncio.CancelledError, ClientLeft):
            self.cut()

    def on_connection_close(self) -> None:
        super().on_connection_close()
        if self._work:
            self._work.cancel()

    async def _document(self, request: TranscribeRequest) -> None:
        document: dict[str, Any] = {"segments": []}

        async def keep(event: Event) -> None:
            if isinstance(event, Started):
                document.update(event.model_dump(exclude={"event"}))
            elif isinstance(event, Segment):
                document["segments"].append(event.model_dump(exclude={"event"}))

        with self.machine.job(request, keep) as job:
            finished = await job.run()
        self.finish({**document, **finished.model_dump(exclude={"event", "segments"})})

    async def _stream(self, request: TranscribeRequest) -> None:
        """From the first event on, a failure is an event: the status has been sent."""
        last: Finished | Failed | None = None
        try:
            with self.machine.job(request, self._tell) as job:
                self.set_header("Content-Type", NDJSON)
                await self._send()
                last = await job.run()
        except MachineError as failure:
            if not self._headers_written:
                raise
            last = _failed(failure)
        except ClientLeft:
            raise
        except Exception:
            log.exception("POST /transcribe [%s]", self.request_id)
            last = _failed(InternalError(f"the transcriber failed; its log has the reason under {self.request_id}"))
        await self._tell(last)

    async def _tell(self, event: Event) -> None:
        self.write(event_line(event))
        await self._send()

    async def _send(self) -> None:
        try:
            await asyncio.wait_for(self.flush(), STALL_SECONDS)
        except (StreamClosedError, asyncio.TimeoutError) as gone:
            raise ClientLeft from gone


def _failed(failure: MachineError) -> Failed:
    return Failed(
        code=failure.code, message=failure.message, retryable=failure.retryable, details=dict(failure.details)
    )
