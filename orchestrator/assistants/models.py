"""What the tools take and answer. Their descriptions are all that an assistant knows of them."""

from datetime import datetime
from typing import Self

from pydantic import ConfigDict, Field, model_validator

from orchestrator.intake.submission import Outcome
from orchestrator.jobs.models import Prefix, Record, State, StorableSavepath
from reelscribe.contracts.messages import NonNegativeSeconds, WireModel
from reelscribe.contracts.transcriber import LanguageCode
from reelscribe.settings.fields import BucketName

MOST_HITS = 50
MOST_LISTED = 100
"""Of one page."""
MOST_SAVEPATHS = 100
"""Of one submission."""
AROUND_SECONDS = 60.0
"""Before a moment, and as long after it."""


class Arguments(WireModel):
    """The arguments of a tool. Assistants write some numbers as text."""

    model_config = ConfigDict(strict=False)


class ArgumentsOfBucket(Arguments):
    """Those of a tool that looks into one bucket."""

    bucket: BucketName | None = Field(default=None, description="another bucket than the usual one")


class SearchArguments(ArgumentsOfBucket):
    """Of ``search``; :class:`orchestrator.transcripts.search.SearchQuery` checks the rest."""

    query: str = Field(
        max_length=500,
        description='words that one segment holds, all of them, in any order; "words in quotes" are a phrase; '
        "hors* finds words that begin so. Case and accents do not matter; there are no synonyms: try other words",
    )
    prefix: Prefix = Field(default="", description="only recordings whose savepath begins with this, as with a folder")
    language: LanguageCode | None = Field(default=None, description="only recordings in this language, such as en")
    limit: int = Field(default=20, ge=1, le=MOST_HITS, description="hits of one page")
    cursor: str | None = Field(default=None, max_length=30, description="next of the page before")


class TranscriptArguments(ArgumentsOfBucket):
    """Of ``transcript``."""

    savepath: StorableSavepath = Field(description="of the recording, as search and list_recordings have it")
    start: NonNegativeSeconds | None = Field(default=None, description="seconds; without it, from the beginning")
    end: NonNegativeSeconds | None = Field(default=None, description="seconds; without it, to the end")
    around: NonNegativeSeconds | None = Field(
        default=None,
        description=f"in place of start and end: the {AROUND_SECONDS:.0f} s before and after this moment in seconds",
    )
    as_heard: bool = Field(default=False, description="the text as the model wrote it, without what people corrected")
    cursor: str | None = Field(
        default=None, pattern=r"^[0-9]{1,18}\.[0-9]{1,9}$", description="next of the answer before, to read on"
    )

    @model_validator(mode="after")
    def _one_window(self) -> Self:
        if self.around is not None and (self.start is not None or self.end is not None):
            raise ValueError("give either around, or start and end")
        if self.end is not None and self.end <= (self.start or 0):
            raise ValueError("end must be after start")
        return self

    @property
    def window(self) -> tuple[float, float]:
        """From when to when, in seconds."""
        if self.around is not None:
            return max(0.0, self.around - AROUND_SECONDS), self.around + AROUND_SECONDS
        return self.start or 0.0, float("inf") if self.end is None else self.end


class ListArguments(Arguments):
    """Of ``list_recordings``."""

    prefix: Prefix = Field(default="", description="only savepaths that begin with this, as with a folder")
    state: State | None = Field(
        default=None, description="only recordings in this state; done: those that have a transcript"
    )
    limit: int = Field(default=30, ge=1, le=MOST_LISTED, description="recordings of one page")
    cursor: str | None = Field(default=None, pattern=r"^[0-9]{1,18}$", description="next of the page before")


class JobArguments(Arguments):
    """Of ``job``."""

    job: int = Field(ge=1, le=10**18, description="as submit and list_recordings have it")


class SubmitArguments(ArgumentsOfBucket):
    """Of ``submit``."""

    savepaths: list[StorableSavepath] = Field(
        min_length=1, max_length=MOST_SAVEPATHS, description="of objects in the bucket, such as talks/monday.mp4"
    )


class FoundSegment(Record):
    """What was said."""

    savepath: str
    bucket: str
    start: float = Field(description="seconds of the recording")
    end: float = Field(description="seconds of the recording")
    text: str
    language: str | None = None
    link: str = Field(description="the page of the recording, which plays this moment")


class FoundTitle(Record):
    """A recording whose title holds the words."""

    savepath: str
    bucket: str
    title: str
    link: str


class SearchAnswer(Record):
    """Of ``search``."""

    hits: list[FoundSegment]
    titled: list[FoundTitle] = Field(description="on the first page: recordings whose title holds the words")
    next: str | None = Field(default=None, description="the cursor of the next page; none on the last one")


class SpokenSegment(Record):
    """A segment of a transcript."""

    start: float
    end: float
    text: str
    corrected_by: str | None = Field(default=None, description="the person who wrote this text; none: the model did")


class TranscriptAnswer(Record):
    """Of ``transcript``."""

    savepath: str
    bucket: str
    title: str | None = None
    language: str | None = None
    seconds: float = Field(description="of the recording that are transcribed")
    complete: bool = Field(description="whether the transcript covers the whole recording")
    reason: str | None = Field(default=None, description="why it is not complete")
    note: str | None = Field(default=None, description="what a reader should know")
    segments: list[SpokenSegment]
    follows: str | None = Field(default=None, description="what of the window is left out here, and how to get it")
    next: str | None = Field(default=None, description="the cursor for what follows; none if nothing does")
    link: str = Field(description="the page of the recording, at the first segment")


class ListedRecording(Record):
    """A recording and its newest job."""

    job: int
    savepath: str
    bucket: str
    title: str | None = None
    state: State
    language: str | None = None
    seconds: float | None = Field(default=None, description="length of the recording, if it is known")
    complete: bool | None = Field(default=None, description="whether the transcript covers the whole recording")
    reason: str | None = Field(default=None, description="why it is incomplete, failed or waits")
    submitted_at: datetime
    finished_at: datetime | None = None
    link: str


class ListAnswer(Record):
    """Of ``list_recordings``."""

    recordings: list[ListedRecording]
    next: str | None = Field(default=None, description="the cursor of the next page; none on the last one")


class JobAnswer(ListedRecording):
    """Of ``job``."""

    transcribed_seconds: float
    situation: str = Field(description="its state in words, with what a person can do")


class SubmittedRecording(Record):
    """A savepath and its job."""

    job: int
    savepath: str
    bucket: str
    state: State
    outcome: Outcome = Field(
        description="new: queued; changed: queued, because the object has changed; again: had failed, and is queued "
        "again; known: was queued already; done: has a transcript; missing: has one, but the object is gone"
    )


class SubmitAnswer(Record):
    """Of ``submit``."""

    jobs: list[SubmittedRecording]
    note: str | None = None
