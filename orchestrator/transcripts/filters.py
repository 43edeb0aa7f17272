"""Which transcripts are wanted: by language, time of the recording, and how sure the model was."""

import re
from contextlib import suppress
from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field

from reelscribe.contracts.messages import WireModel
from reelscribe.contracts.transcriber import LanguageCode


def newest(job: str) -> str:
    """The condition that no newer transcript of the same savepath is finished; ``job`` is the alias of the job."""
    return f"""
    not exists (
        select from transcriptions n where n.media_id = {job}.media_id and n.state = 'done'
            and (n.finished_at, n.id) > ({job}.finished_at, {job}.id)
    )
    """


def last_modified(job: str) -> str:
    """When the object of a finished job was modified; if that is unknown, when its transcript was finished."""
    return f"""
    coalesce(
        (
            select a.last_modified from attempts a
            where a.transcription_id = {job}.id and a.last_modified is not null order by a.attempt desc limit 1
        ),
        {job}.finished_at
    )
    """


def _checked_time(given: object) -> object:
    if isinstance(given, str) and not re.match(r"\d{4}-\d\d-\d\d", given):
        raise ValueError(f"{given!r} is not a date; write it as 2026-01-31 or 2026-01-31T18:00:00Z")
    return given


def _in_utc(time: datetime) -> datetime:
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def _end_of_day(given: object) -> object:
    """A day that is given as a date is included."""
    if isinstance(given, str) and re.fullmatch(r"\d{4}-\d\d-\d\d", given):
        with suppress(ValueError, OverflowError):  # pydantic says what is wrong with it
            return datetime.combine(date.fromisoformat(given) + timedelta(days=1), time(), UTC)
    return given


Since = Annotated[datetime, BeforeValidator(_checked_time), Field(strict=False), AfterValidator(_in_utc)]
Until = Annotated[Since, BeforeValidator(_end_of_day)]


class TranscriptFilters(WireModel):
    """All of them must hold.

    Attributes:
        language: of the recording.
        since: recordings that were modified then or later; without a zone, in UTC.
        until: recordings that were modified before then, or on that day.
        min_confidence: the mean probability of the words, from 0 to 1, weighted by the seconds of the segments. A
            transcript without segments has none, and is not wanted then.
    """

    language: LanguageCode | None = None
    since: Since | None = None
    until: Until | None = None
    min_confidence: float | None = Field(default=None, ge=0, le=1)

    def conditions(self, job: str) -> list[str]:
        """In SQL; ``job`` is the alias of a finished transcription."""
        return [
            condition
            for condition, value in (
                (f"{job}.language = lower(%(language)s)", self.language),
                (f"{last_modified(job)} >= %(since)s", self.since),
                (f"{last_modified(job)} < %(until)s", self.until),
                (f"{confidence(job)} >= %(min_confidence)s", self.min_confidence),
            )
            if value is not None
        ]

    def parameters(self) -> dict[str, Any]:
        """Of :meth:`conditions`."""
        return self.model_dump()


NO_FILTERS = TranscriptFilters()


def confidence(job: str) -> str:
    """The mean probability of a finished job's words, weighted by the seconds of its segments; null without any."""
    return f"""
    (
        select exp(sum(s.avg_logprob * greatest(s.end_seconds - s.start_seconds, 0.01))
            / sum(greatest(s.end_seconds - s.start_seconds, 0.01)))
        from segments s where s.transcription_id = {job}.id
    )
    """
