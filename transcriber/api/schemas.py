"""The forms, answers and errors of OpenAI's audio API, as its own clients send and expect them."""

import json
import math
import re
from collections.abc import Iterable, Sequence
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, TypeAdapter, model_validator

from reelscribe import languages
from reelscribe.contracts.events import Finished, Segment
from reelscribe.contracts.messages import WireModel
from reelscribe.contracts.transcriber import (
    HINT_CHARACTERS,
    Language,
    Languages,
    PadMilliseconds,
    PauseMilliseconds,
    TranscribeFields,
    VadThreshold,
)
from reelscribe.errors import BadRequest, ServiceError
from reelscribe.http.server.parsing import parse_query
from reelscribe.text.running_text import running_text, space
from reelscribe.text.srt_vtt import srt, vtt
from reelscribe.text.subtitle_layout import cues
from transcriber.api.uploads import Fields
from transcriber.transcript import CompleteTranscript

ALIASES = ("whisper-1", "gpt-transcribe", "gpt-4o-transcribe", "gpt-4o-mini-transcribe")
"""OpenAI's own models, which clients name by default; here they are the loaded one."""

LISTS = ("timestamp_granularities", "languages", "keywords", "include")
"""Fields that clients send once for each value, with ``[]`` after the name."""
NOT_HERE = {
    "known_speaker_names": "speakers are not distinguished here; leave it out",
    "known_speaker_references": "speakers are not distinguished here; leave it out",
}
"""Fields of OpenAI's that are refused, and why."""
NOT_FIELDS = ("task",)
"""Fields of our own requests that a check may name and that no form here has: the route says which task it is."""
STRATEGY = "chunking_strategy"
LEAST_PROBABILITY = 1e-10
"""Of a word; it has a logarithm."""
Granularity = Literal["segment", "word"]
ResponseFormat = Literal["json", "text", "srt", "vtt", "verbose_json"]
CONTENT_TYPES: dict[ResponseFormat, str] = {
    "json": "application/json; charset=utf-8",
    "verbose_json": "application/json; charset=utf-8",
    "text": "text/plain; charset=utf-8",
    "srt": "application/x-subrip; charset=utf-8",
    "vtt": "text/vtt; charset=utf-8",
}
_object: TypeAdapter[dict[str, Any]] = TypeAdapter(dict[str, Any])


def _split(value: Any) -> Any:
    return tuple(value.split(",")) if isinstance(value, str) else value


def _language_code(value: Any) -> Any:
    return (languages.code(value) or None) if isinstance(value, str) else value


def _language_codes(value: Any) -> Any:
    return tuple(filter(None, map(languages.code, value.split(",")))) if isinstance(value, str) else value


def _end(prompt: str) -> str:
    return prompt[-HINT_CHARACTERS:]


def _without_speakers(value: Any) -> Any:
    if value == "diarized_json":
        raise ValueError("speakers are not distinguished here; use verbose_json, which has the times of segments")
    return value


class TranslationForm(WireModel):
    """Fields of ``POST /v1/audio/translations`` in addition to ``file``.

    The end of ``prompt`` is used, as with OpenAI: clients send all of the text so far. ``temperature`` is checked and
    changes nothing: decoding begins at 0 and is repeated with higher values if the result looks wrong, which is what
    OpenAI's own default of 0 means. ``raw`` gives one subtitle for each segment. ``allow_incomplete`` takes a file that
    is cut or damaged; the answer then says whether it is ``complete``.
    """

    model: str = Field(min_length=1, max_length=200)
    prompt: Annotated[str, AfterValidator(_end)] = ""
    response_format: Annotated[ResponseFormat, BeforeValidator(_without_speakers)] = "json"
    temperature: float = Field(default=0.0, ge=0, le=1)
    raw: bool = Field(default=False, description="one subtitle for each segment; only with srt and vtt")
    allow_incomplete: bool = False

    @model_validator(mode="after")
    def _check_raw_fits(self) -> Self:
        if self.raw and self.response_format not in ("srt", "vtt"):
            raise ValueError("raw: it is about subtitles; use it with response_format = srt or vtt")
        return self

    @property
    def hotwords(self) -> str | None:
        """Words to expect."""
        return None

    @property
    def streamed(self) -> bool:
        """Whether the text is to be sent while it is decoded."""
        return False

    @property
    def with_logprobs(self) -> bool:
        """Whether the answer has the probabilities of words."""
        return False

    @property
    def granularities(self) -> tuple[Granularity, ...]:
        """What a verbose answer gives the times of."""
        return ("segment",)

    def fields(self) -> TranscribeFields:
        """The same as fields of ``POST /transcribe``."""
        return TranscribeFields(
            task="translate", initial_prompt=self.prompt or None, allow_incomplete=self.allow_incomplete
        )


class TranscriptionForm(TranslationForm):
    """Fields of ``POST /v1/audio/transcriptions`` in addition to ``file``.

    ``chunking_strategy`` = ``auto`` changes nothing either: recordings are always cut at pauses. An object says what
    counts as one. ``keywords`` are hotwords. ``include`` = ``logprobs`` gives the log probability of each word,
    the unit in which text is aligned.
    """

    language: Annotated[Language | None, BeforeValidator(_language_code)] = None
    languages: Annotated[Languages, BeforeValidator(_language_codes)] = ()
    timestamp_granularities: Annotated[tuple[Granularity, ...], BeforeValidator(_split)] = ("segment",)
    keywords: Annotated[tuple[str, ...], BeforeValidator(_split)] = ()
    include: Annotated[tuple[Literal["logprobs"], ...], BeforeValidator(_split)] = ()
    stream: bool = False
    chunking_strategy: Literal["auto"] | None = None
    chunking: Literal["server_vad"] | None = Field(None, validation_alias=f"{STRATEGY}[type]")
    vad_threshold: VadThreshold | None = Field(None, validation_alias=f"{STRATEGY}[threshold]")
    vad_min_silence_duration_ms: PauseMilliseconds | None = Field(
        None, validation_alias=f"{STRATEGY}[silence_duration_ms]"
    )
    vad_speech_pad_ms: PadMilliseconds | None = Field(None, validation_alias=f"{STRATEGY}[prefix_padding_ms]")

    @model_validator(mode="after")
    def _check_format_fits(self) -> Self:
        if "word" in self.timestamp_granularities and self.response_format != "verbose_json":
            raise ValueError("timestamp_granularities[]: times of words need response_format = verbose_json")
        if self.include and self.response_format != "json":
            raise ValueError("include[]: log probabilities need response_format = json")
        if len(self.hotwords or "") > HINT_CHARACTERS:
            raise ValueError(f"keywords[]: they are over {HINT_CHARACTERS} characters together")
        if self.languages and self.language is not None:
            raise ValueError("languages[]: language names the only one, so leave out one of the two")
        if self.stream and self.response_format not in ("json", "text"):
            raise ValueError(f"stream: response_format = {self.response_format} cannot be streamed; leave it out")
        return self

    @property
    def hotwords(self) -> str | None:
        return ", ".join(filter(None, map(str.strip, self.keywords))) or None

    @property
    def streamed(self) -> bool:
        return self.stream

    @property
    def with_logprobs(self) -> bool:
        return bool(self.include)

    @property
    def granularities(self) -> tuple[Granularity, ...]:
        return self.timestamp_granularities

    def fields(self) -> TranscribeFields:
        return TranscribeFields(
            language=self.language,
            languages=self.languages,
            initial_prompt=self.prompt or None,
            hotwords=self.hotwords,
            allow_incomplete=self.allow_incomplete,
            word_timestamps="word" in self.granularities or self.with_logprobs,
            **self.model_dump(
                include={"vad_threshold", "vad_min_silence_duration_ms", "vad_speech_pad_ms"}, exclude_none=True
            ),
        )


def parse_form(form: type[TranslationForm], fields: Fields) -> TranslationForm:
    """Read the fields of an upload.

    Raises:
        BadRequest: some are wrong; the message names each of them.
    """
    for name in fields:
        if reason := NOT_HERE.get(name.removesuffix("[]")):
            raise BadRequest(f"{name}: {reason}", fields=[name])
    fields = _flat(fields)
    joined = {name: values for name, values in fields.items() if name.removesuffix("[]") not in LISTS}
    for name in LISTS:
        if listed := [*fields.get(f"{name}[]", ()), *fields.get(name, ())]:
            joined[name] = [b",".join(listed)]
    try:
        parsed: TranslationForm = parse_query(form, joined)
    except BadRequest as wrong:
        raise BadRequest(_as_sent(wrong.message), fields=wrong.details.get("fields", [])) from None
    return parsed


def _as_sent(text: str) -> str:
    """Entries of lists by the name of their field, as a client sends it: it has no numbers for them."""
    return re.sub(rf"\b({'|'.join(LISTS)})(\.\d+)+", r"\1[]", text)


def _flat(fields: Fields) -> Fields:
    """A ``chunking_strategy`` in JSON as a field for each of its members, as OpenAI's own client sends it."""
    first = next(iter(fields.get(STRATEGY, ())), b"").strip()
    if not first.startswith(b"{"):
        return fields
    try:
        given = {name: value for name, value in _object.validate_json(first).items() if value is not None}
        members = {f"{STRATEGY}[{name}]": [str(value).encode()] for name, value in given.items()}
    except ValueError:
        raise BadRequest(f"{STRATEGY}: it is neither auto nor an object in JSON", fields=[STRATEGY]) from None
    return {**{name: values for name, values in fields.items() if name != STRATEGY}, **members}


def render(transcript: CompleteTranscript, form: TranslationForm) -> str:
    """The body of an answer in the form's ``response_format``."""
    if form.response_format == "text":
        return transcript.text + "\n"
    if form.response_format in ("srt", "vtt"):
        language = "en" if form.fields().task == "translate" else transcript.started.language
        shown = transcript.segments if form.raw else cues(transcript.segments, language)
        return srt(shown) if form.response_format == "srt" else vtt(shown)
    if form.response_format == "json":
        about = {
            "text": transcript.text,
            **logprobs(transcript.segments, form),
            "usage": usage(transcript.finished.covered_seconds),
        }
    else:
        about = _verbose(transcript, form)
    return _json({**about, **completeness(transcript.finished, form)})


def _verbose(transcript: CompleteTranscript, form: TranslationForm) -> dict[str, Any]:
    seconds = transcript.finished.covered_seconds
    segments, words = (granularity in form.granularities for granularity in ("segment", "word"))
    return {
        "task": form.fields().task,
        "language": languages.name(transcript.started.language),
        "duration": seconds,
        "text": transcript.text,
        **({"segments": [_segment(segment) for segment in transcript.segments]} if segments else {}),
        **({"words": list(_words(transcript.segments))} if words else {}),
        "speech_without_words": transcript.finished.model_dump()["speech_without_words"],
        "usage": usage(seconds),
    }


def _segment(segment: Segment) -> dict[str, Any]:
    kept = {"start", "end", "text", "tokens", "temperature", "avg_logprob", "compression_ratio", "no_speech_prob"}
    return {"id": segment.index, "seek": 0, **segment.model_dump(include=kept)}


def _words(segments: Iterable[Segment]) -> Iterable[dict[str, Any]]:
    for segment in segments:
        for word in segment.words or ():
            yield {"word": word.word.strip(), "start": word.start, "end": word.end}


def logprobs(segments: Iterable[Segment], form: TranslationForm) -> dict[str, Any]:
    """The log probability of each word, as OpenAI gives those of tokens; nothing if the form does not ask for it."""
    if not form.with_logprobs:
        return {}
    words = (word for segment in segments for word in segment.words or ())
    return {
        "logprobs": [
            {
                "token": word.word,
                "bytes": list(word.word.encode()),
                "logprob": round(math.log(max(word.probability, LEAST_PROBABILITY)), 4),
            }
            for word in words
        ]
    }


def completeness(finished: Finished, form: TranslationForm) -> dict[str, Any]:
    """Whether all of the recording is in the text, for clients that accept that it is not."""
    return {"complete": finished.complete, "reason": finished.reason} if form.allow_incomplete else {}


def usage(seconds: float) -> dict[str, Any]:
    """What OpenAI would charge for."""
    return {"type": "duration", "seconds": round(seconds)}


def delta(before: str, segment: Segment, form: TranslationForm) -> bytes:
    """The server-sent event of more text; all of them together are the running text."""
    text = space(before, segment.text) + segment.text
    return _sse({"type": "transcript.text.delta", "delta": text, **logprobs((segment,), form)})


def done(segments: Sequence[Segment], finished: Finished, form: TranslationForm) -> bytes:
    """The server-sent event of the complete text, the last one."""
    text = running_text([segment.text for segment in segments])
    body = {"type": "transcript.text.done", "text": text, **logprobs(segments, form), **completeness(finished, form)}
    return _sse(body)


def failed(failure: ServiceError) -> bytes:
    """The server-sent event of a failure, in place of :func:`done`."""
    return _sse(error(failure))


def error(failure: ServiceError) -> dict[str, Any]:
    """OpenAI's error object; ``param`` is a field of its forms."""
    param = next(iter(failure.details.get("fields", ())), None)
    return {
        "error": {
            "message": failure.message,
            "type": "invalid_request_error" if failure.status < 500 else "server_error",
            "param": None if param in NOT_FIELDS else param and _as_sent(param),
            "code": "invalid_api_key" if failure.status == 401 else failure.code,
        }
    }


def model(name: str, created: int) -> dict[str, Any]:
    """One model of ``GET /v1/models``; ``created`` is in seconds since 1970."""
    return {"id": name, "object": "model", "created": created, "owned_by": "reelscribe"}


def _sse(event: dict[str, Any]) -> bytes:
    return f"data: {_json(event)}\n\n".encode()


def _json(value: dict[str, Any]) -> str:
    return json.dumps(value, ensure_ascii=False)
