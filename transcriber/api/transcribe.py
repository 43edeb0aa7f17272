"""``POST /transcribe``."""

import logging

from reelscribe.contracts.events import NDJSON, Event, Failed, Finished, event_line
from reelscribe.contracts.transcriber import TranscribeFields, TranscribeRequest
from reelscribe.errors import InternalError, ServiceError
from reelscribe.http.server.parsing import parse_query
from transcriber.api.recording_handler import RecordingHandler
from transcriber.jobs.events import ClientLeft
from transcriber.jobs.sources import AudioSource
from transcriber.transcript import collect_transcript

log = logging.getLogger(__name__)


class TranscribeHandler(RecordingHandler):
    """``POST /transcribe``: events as NDJSON while the recording is transcribed, or one JSON document at the end."""

    async def post(self) -> None:
        as_document = "application/json" in self.request.headers.get("Accept", "")
        await self.run(self._document() if as_document else self._stream())

    async def _read(self) -> tuple[TranscribeFields, AudioSource]:
        if self.has_form:
            fields, upload = await self.read_form()
            return parse_query(TranscribeFields, fields), self.service.uploaded(upload)
        request = self.read_body(TranscribeRequest)
        return request, self.service.stored(request)

    async def _document(self) -> None:
        request, source = await self._read()
        transcript = await collect_transcript(self.service, request, source, self.claim(request.priority))
        self.finish(
            {
                **transcript.started.model_dump(mode="json", exclude={"event"}),
                **transcript.finished.model_dump(mode="json", exclude={"event", "segments"}),
                "segments": [segment.model_dump(mode="json", exclude={"event"}) for segment in transcript.segments],
            }
        )

    async def _stream(self) -> None:
        """From the first event on, a failure is an event: the status has been sent."""
        request, source = await self._read()
        self.do_not_buffer()
        self.set_header("Content-Type", NDJSON)
        last: Finished | Failed | None = None
        try:
            last = await self.service.transcribe(request, source, self.claim(request.priority), self._emit, self.send)
        except ServiceError as failure:
            if not self._headers_written:
                raise
            last = _failed(failure)
        except ClientLeft:
            raise
        except Exception:
            log.exception("POST /transcribe")
            last = _failed(InternalError(f"the transcriber failed; its log has the reason under {self.request_id}"))
        await self._emit(last)

    async def _emit(self, event: Event) -> None:
        self.write(event_line(event))
        await self.send()


def _failed(failure: ServiceError) -> Failed:
    return Failed(
        code=failure.code, message=failure.message, retryable=failure.retryable, details=dict(failure.details)
    )
