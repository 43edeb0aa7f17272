"""The transcriber's requests; its answers are :mod:`reelscribe.contracts.events`."""

import re
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema, model_validator
from pydantic.config import JsonDict

from reelscribe.contracts.messages import NonNegativeSeconds, Savepath, WireModel
from reelscribe.languages import NAMES, mistake

Urgency = Literal["interactive", "batch"]
PRIORITY = "which recording goes first when several wait for a slot, or for the model"


def _language_code(value: Any) -> Any:
    if isinstance(value, str) and not re.fullmatch("[A-Za-z]{2,3}", value):
        raise ValueError(f"{value[:40]!a} is not the code of a language; write two or three letters, such as en")
    return value


LanguageCode = Annotated[
    str,
    Field(min_length=2, max_length=3, pattern=r"^[A-Za-z]*$", examples=["en"]),
    BeforeValidator(_language_code),
]
"""Of a transcript."""


def _known(value: str) -> str:
    if wrong := mistake(value):
        raise ValueError(wrong)
    return value


Language = Annotated[str, AfterValidator(_known), Field(json_schema_extra={"enum": [*NAMES]}, examples=["en"])]
"""One that can be asked for."""


def _as_tuple(value: Any) -> Any:
    """``de,en`` of a form or a command, or a list, as a tuple."""
    if isinstance(value, str):
        return tuple(filter(None, map(str.strip, value.split(","))))
    return tuple(value) if isinstance(value, list) else value


def _without_order(languages: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(sorted(set(languages)))


Languages = Annotated[
    tuple[Language, ...],
    Field(max_length=100),
    BeforeValidator(_as_tuple),
    AfterValidator(_without_order),
]
"""Their order and repetitions mean nothing: requests with the same ones are equal."""

VadThreshold = Annotated[float, Field(ge=0.05, le=0.95)]
PauseMilliseconds = Annotated[int, Field(ge=0, le=5000)]
PadMilliseconds = Annotated[int, Field(ge=0, le=1000)]
NEED_VAD = ("vad_threshold", "vad_min_silence_duration_ms", "vad_speech_pad_ms", "max_speech_without_words")
HINT_CHARACTERS = 2000
"""Longest hint to the model, which takes a few hundred tokens of it."""


MOST_WORDS, LONGEST_WORD = 200, 100
VocabularyWord = Annotated[str, Field(min_length=1, max_length=LONGEST_WORD)]
VOCABULARY_SCHEMA: JsonDict = {
    "anyOf": [
        {
            "type": "array",
            "items": {"type": "string", "minLength": 1, "maxLength": LONGEST_WORD},
            "maxItems": MOST_WORDS,
        },
        {"type": "string", "description": "the same, separated by commas"},
    ],
    "examples": [["Okafor", "Reelscribe"]],
}
Vocabulary = Annotated[
    tuple[VocabularyWord, ...],
    Field(max_length=MOST_WORDS),
    BeforeValidator(_as_tuple),
    WithJsonSchema(VOCABULARY_SCHEMA),
]
"""Words and names, the most important ones first."""


class TranscribeOptions(WireModel):
    """How to transcribe a recording."""

    track: int | None = Field(default=None, ge=0, le=255)
    channel: int | None = Field(default=None, ge=0, le=63, description="only this one; default: a mix of all")
    language: Language | None = Field(default=None, description="default: detected")
    languages: Languages = Field(
        default=(), description="detect one of these only; default: any", examples=[["de", "en"]]
    )
    task: Literal["transcribe", "translate"] = "transcribe"
    mode: Literal["batched", "sequential"] = "batched"
    multilingual: bool = Field(default=False, description="detect the language of each window again")
    vad: bool = Field(default=True, description="leave out what Silero VAD judges silent")
    vad_threshold: VadThreshold = Field(default=0.5, description="probability from which it is speech")
    vad_min_silence_duration_ms: PauseMilliseconds = Field(default=3000, description="a shorter silence is kept")
    vad_speech_pad_ms: PadMilliseconds = Field(default=800, description="kept on both sides of speech")
    beam_size: int | None = Field(
        default=None, ge=1, le=10, description="1 is fastest; default: 3 on a CPU, 5 on a GPU"
    )
    word_timestamps: bool = False
    max_segment_seconds: float = Field(default=15.0, ge=1, le=30, description="a longer segment is split between words")
    initial_prompt: str | None = Field(default=None, max_length=HINT_CHARACTERS)
    hotwords: str | None = Field(default=None, max_length=HINT_CHARACTERS)
    condition_on_previous_text: bool = Field(default=True, description="sequential mode only")
    allow_incomplete: bool = False
    max_speech_without_words: NonNegativeSeconds | None = Field(
        default=None, description="with more seconds of it, the transcript is incomplete; default: it is only reported"
    )

    @model_validator(mode="after")
    def _without_contradictions(self) -> Self:
        if self.multilingual and self.language is not None:
            raise ValueError("multilingual: it detects the language of each window, so leave out language")
        if self.languages and self.language is not None:
            raise ValueError("languages: language names the only one, so leave out one of the two")
        if not self.vad:
            for name in NEED_VAD:
                if getattr(self, name) != type(self).model_fields[name].default:
                    raise ValueError(f"{name}: it has no effect with vad = false; leave it out, or vad = false")
        return self


class TranscribeFields(TranscribeOptions):
    """Everything in a request to the transcriber's ``POST /transcribe`` but the recording."""

    start: NonNegativeSeconds = Field(default=0.0, description="seconds of the recording to skip")
    priority: Urgency = Field(default="interactive", description=PRIORITY)
    vocabulary: Vocabulary = Field(
        default=(), description="words to expect, after hotwords; of these, the first that there is room for"
    )


class TranscribeRequest(TranscribeFields):
    """Body of ``POST /transcribe`` for a recording of the bucket; an upload is a form of ``file`` and the fields."""

    savepath: Savepath
    bucket_name: str | None = None
    priority: Urgency = Field(default="batch", description=PRIORITY)
