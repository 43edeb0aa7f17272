"""What the orchestrator knows of a savepath: the job and its options."""

import shlex
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from orchestrator.jobs.remedies import Remedy, remedy
from reelscribe.contracts.messages import Savepath
from reelscribe.contracts.speech_without_words import SpeechWithoutWords
from reelscribe.contracts.transcriber import TranscribeOptions
from reelscribe.savepath import mistake_in, mistake_in_prefix

State = Literal["queued", "running", "waiting", "done", "failed", "cancelled"]
STATES: tuple[State, ...] = ("queued", "running", "waiting", "done", "failed", "cancelled")
UNFINISHED: tuple[State, ...] = ("queued", "running", "waiting")

TRANSCRIBE = "transcribe"
"""The kind of work that people ask for; other kinds follow from it, and are shown only if they are asked for."""


def storable(text: str) -> str:
    """The text, if PostgreSQL can store it; raises ValueError."""
    if "\0" in text:
        raise ValueError("a NUL character cannot be stored")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError("is not UTF-8 text") from None
    return text


def _object_name(savepath: str) -> str:
    if mistake := mistake_in(savepath):
        raise ValueError(mistake)
    return savepath


def _usable_prefix(prefix: str) -> str:
    if mistake := mistake_in_prefix(prefix):
        raise ValueError(mistake)
    return prefix


def as_argument(savepath: str, bucket: str, default_bucket: str) -> str:
    """The savepath as a command takes it, with its bucket where that is not the one of config.cfg."""
    return shlex.quote(savepath) + ("" if bucket == default_bucket else f" --bucket {shlex.quote(bucket)}")


StorableSavepath = Annotated[Savepath, AfterValidator(_object_name)]
Prefix = Annotated[str, Field(max_length=1024), AfterValidator(storable)]
"""Of savepaths."""
UsablePrefix = Annotated[Prefix, AfterValidator(_usable_prefix)]
"""That a savepath can start with."""
Priority = Annotated[int, Field(ge=-1000, le=1000, description="higher ones are taken first")]


def removal_sentence(removed_at: datetime | None) -> str:
    """Since when a recording is gone, in words; empty if it is not known to be."""
    return f"its recording is gone from the bucket since {removed_at.astimezone():%Y-%m-%d %H:%M}" if removed_at else ""


class Options(TranscribeOptions):
    """How to transcribe; two submissions of an object with equal options are the same job."""

    initial_prompt: Annotated[str, AfterValidator(storable)] | None = Field(default=None, max_length=2000)
    hotwords: Annotated[str, AfterValidator(storable)] | None = Field(default=None, max_length=2000)

    def chosen(self) -> dict[str, Any]:
        """Those that differ from the default: what is stored and compared."""
        return self.model_dump(mode="json", include=set(Options.model_fields), exclude_defaults=True)


class Record(BaseModel):
    """A row of the database, ready for JSON."""

    model_config = ConfigDict(frozen=True, protected_namespaces=(), defer_build=True)


class JobError(Record):
    """Why a job failed, waits, or is tried again."""

    code: str
    message: str
    details: dict[str, Any] = {}


class Job(Record):
    """One unit of work of a kind, such as the transcription of a savepath. All ``…_seconds`` are of the recording.

    Attributes:
        kind: what is to be done.
        bucket, savepath: empty for work that is about no single recording.
        state: ``waiting``: for a transcriber, or for the time of the next try; ``error`` says why.
        attempt: number of the attempt that may write.
        failures: transient failures so far.
        progress_seconds: all before it is stored.
        language_uncertain: it was detected with a probability below 0.5.
        speed: seconds of audio per second of the attempt that runs or has finished it; None without one.
        complete: of a ``done`` job: whether it covers the whole recording; if not, ``reason`` says why.
        speech_without_words: of a ``done`` job; None if it is not known.
        object_removed_at: since when the recording is known to be gone from the bucket; None if it is not.
        title: that a person gave the recording; None: its savepath is its name.
        revision: of the last edit of the recording's text or title; 0: there was none.
    """

    id: int
    kind: str
    bucket: str
    savepath: str
    options: dict[str, Any]
    state: State
    priority: int
    attempt: int
    failures: int
    error: JobError | None
    model: str | None
    language: str | None
    language_probability: float | None
    language_uncertain: bool | None
    declared_seconds: float | None
    progress_seconds: float
    speed: float | None
    complete: bool | None
    reason: str | None
    speech_without_words: SpeechWithoutWords | None = None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    object_removed_at: datetime | None = None
    title: str | None = None
    revision: int = 0

    @property
    def finished(self) -> bool:
        """Whether nothing more will happen to it."""
        return self.state not in UNFINISHED

    @property
    def note(self) -> str:
        """What a reader of its transcript should know; empty for most jobs."""
        without_words = self.speech_without_words.sentence if self.speech_without_words else ""
        if self.complete is not False:
            return without_words
        incomplete = f"incomplete: {self.reason or 'no reason is known'}"
        return incomplete if without_words in incomplete else f"{incomplete}; {without_words}"

    @property
    def removal(self) -> str:
        """See :func:`removal_sentence`."""
        return removal_sentence(self.object_removed_at)

    def situation(self, default_bucket: str) -> str:
        """Its state in words, with what can be done."""
        reason = self.error.message if self.error else "no reason is known"
        done = f"{self.progress_seconds:.0f}"
        if self.declared_seconds:
            done += f" of {self.declared_seconds:.0f}"
        argument = as_argument(self.savepath, self.bucket, default_bucket)
        retry = f"orchestrator retry {argument}"
        helps = {
            Remedy.RETRY: f"try again with: {retry}",
            Remedy.ALLOW_INCOMPLETE: f"accept what there is of it with: {retry} --allow-incomplete",
            Remedy.REPLACE: f"submit the right recording, or remove this job with: orchestrator delete {argument}",
        }[remedy(self.error.code if self.error else "")]
        sentence = {
            "queued": "it is queued",
            "running": f"it is being transcribed ({done} s)",
            "waiting": f"it waits: {reason}",
            "done": f"it is done, {'with' if self.complete else 'but'} {self.note}" if self.note else "it is done",
            "failed": f"it failed: {reason}; {helps}",
            "cancelled": f"it was cancelled; queue it again with: {retry}",
        }[self.state]
        return f"{sentence}; {self.removal}" if self.removal else sentence
