"""OpenAI's audio API: its clients work unchanged."""

import asyncio
import logging
from typing import Any

from tornado.web import HTTPError

from reelscribe.contracts.events import Event, Progress, Segment
from reelscribe.errors import BadRequest, InternalError, ModelNotFound, ServiceError
from reelscribe.http.server.service import ServiceHandler
from transcriber.api import schemas
from transcriber.api.recording_handler import RecordingHandler
from transcriber.api.schemas import ALIASES, CONTENT_TYPES, TranscriptionForm, TranslationForm
from transcriber.jobs.events import ClientLeft
from transcriber.jobs.sources import AudioSource
from transcriber.service import TranscriberService
from transcriber.transcript import collect_transcript

log = logging.getLogger(__name__)


class OpenAIErrors(ServiceHandler):
    """Reports failures as OpenAI does."""

    service: TranscriberService

    def error_body(self, failure: ServiceError) -> dict[str, Any]:
        return schemas.error(failure)

    def check_model(self, name: str) -> None:
        """
        Raises:
            ModelNotFound: it is not the loaded one.
        """
        loaded = self.service.recogniser.model.name
        if name not in (loaded, *ALIASES):
            raise ModelNotFound(
                f"the model {name!r} is not loaded here; use {loaded!r}, or one of OpenAI's names for it: "
                f"{', '.join(ALIASES)}",
                fields=["model"],
            )


class _AudioHandler(OpenAIErrors, RecordingHandler):
    form_type: type[TranslationForm]

    async def post(self) -> None:
        await self.run(self._answer())

    async def _answer(self) -> None:
        form, source = await self._read()
        self.check_model(form.model)
        if form.streamed:
            await self._stream(form, source)
            return
        transcript = await collect_transcript(self.service, form.fields(), source, self.claim())
        self.set_header("Content-Type", CONTENT_TYPES[form.response_format])
        self.finish(await asyncio.to_thread(schemas.render, transcript, form))

    async def _read(self) -> tuple[TranslationForm, AudioSource]:
        fields, upload = await self.read_form()
        form = schemas.parse_form(self.form_type, fields)
        model = self.service.recogniser.model
        keywords = model.hint_tokens(form.hotwords)
        if keywords > model.max_hint_tokens:
            raise BadRequest(
                f"keywords[]: they are {keywords} tokens together; at most {model.max_hint_tokens} fit",
                fields=["keywords[]"],
            )
        prompt = model.end_of_prompt(form.prompt, model.max_hint_tokens - keywords)
        return form.model_copy(update={"prompt": prompt}), self.service.uploaded(upload)

    async def _stream(self, form: TranslationForm, source: AudioSource) -> None:
        """From the first event on, a failure is an event: the status has been sent."""
        self.set_header("Content-Type", "text/event-stream; charset=utf-8")
        self.set_header("Cache-Control", "no-cache")
        self.do_not_buffer()
        segments: list[Segment] = []

        async def emit(event: Event) -> None:
            if isinstance(event, Segment):
                self.write(schemas.delta(segments[-1].text if segments else "", event, form))
                segments.append(event)
                await self.send()
            elif isinstance(event, Progress):
                self.write(f": {event.seconds:.1f} s\n\n")  # a comment: it keeps proxies from closing the connection
                await self.send()

        try:
            finished = await self.service.transcribe(form.fields(), source, self.claim(), emit)
            last = schemas.done(segments, finished, form)
        except ServiceError as failure:
            if not self._headers_written:
                raise
            last = schemas.failed(failure)
        except ClientLeft:
            raise
        except Exception:
            if not self._headers_written:
                raise
            log.exception("%s", self.request.path)
            reason = f"the transcriber failed; its log has the reason under {self.request_id}"
            last = schemas.failed(InternalError(reason))
        self.finish(last)


class TranscriptionsHandler(_AudioHandler):
    """``POST /v1/audio/transcriptions``: an uploaded recording as text, subtitles, JSON or server-sent events."""

    form_type = TranscriptionForm


class TranslationsHandler(_AudioHandler):
    """``POST /v1/audio/translations``: the same in English, whatever the recording's language."""

    form_type = TranslationForm


class ModelsHandler(OpenAIErrors):
    """``GET /v1/models``: the names that a request may give."""

    def get(self) -> None:
        loaded = self.service.recogniser.model
        models = [schemas.model(name, loaded.loaded_at) for name in dict.fromkeys((loaded.name, *ALIASES))]
        self.finish({"object": "list", "data": models})


class ModelHandler(OpenAIErrors):
    """``GET /v1/models/{id}``: one of them."""

    def get(self, name: str) -> None:
        self.check_model(name)
        self.finish(schemas.model(name, self.service.recogniser.model.loaded_at))


class NoSuchRouteHandler(OpenAIErrors):
    """The parts of OpenAI's API that are not here."""

    def prepare(self) -> None:
        super().prepare()
        raise HTTPError(404)
