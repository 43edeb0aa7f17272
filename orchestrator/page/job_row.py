"""A row of the table of jobs; ``static/job_row.js`` fills the same fields when a job changes."""

from dataclasses import dataclass
from datetime import datetime

from orchestrator.jobs.models import UNFINISHED, Job
from orchestrator.page.addresses import Addresses
from orchestrator.page.formats import clock, count, duration

TIMES = "\N{MULTIPLICATION SIGN}"


@dataclass(frozen=True)
class JobRow:
    """What is shown of a job, in words; an empty one is the pattern of all rows.

    Attributes:
        title: that a person gave the recording.
        bucket: empty for the usual one.
        note: why it failed or waits, or what is missing.
        done, length: of its audio, in seconds.
        bar: whether part of it is still missing, and its length known.
        action: what can be done with it: ``cancel`` or ``retry``, or nothing.
    """

    id: str = ""
    state: str = ""
    savepath: str = ""
    title: str = ""
    path: str = "/"
    bucket: str = ""
    note: str = ""
    note_is_error: bool = False
    done: float = 0
    length: float = 0
    bar: bool = False
    audio: str = ""
    speed: str = ""
    model: str = ""
    language: str = ""
    created: str = ""
    age: str = ""
    attempts: str = ""
    action: str = ""

    @classmethod
    def of(cls, job: Job, now: datetime, default_bucket: str) -> "JobRow":
        """The row of a job."""
        length = job.declared_seconds or (job.progress_seconds if job.state == "done" else 0)
        return cls(
            id=str(job.id),
            state=job.state,
            savepath=job.savepath,
            title=job.title or "",
            path=Addresses(job, default_bucket).page(),
            bucket="" if job.bucket == default_bucket else job.bucket,
            note=_note(job),
            note_is_error=job.state == "failed",
            done=job.progress_seconds,
            length=length,
            bar=bool(length) and job.progress_seconds < length,
            audio=_audio(job, length),
            speed=f"{job.speed:,.1f} {TIMES}" if job.speed else "",
            model=job.model or "",
            language=(job.language or "") + ("?" if job.language_uncertain else ""),
            created=job.created_at.isoformat(),
            age=duration((now - job.created_at).total_seconds()),
            attempts=count(job.attempt) if job.attempt else "",
            action="cancel" if job.state in UNFINISHED else "" if job.state == "done" else "retry",
        )


def _note(job: Job) -> str:
    if job.error:
        return job.error.message
    if job.complete is False:
        return f"incomplete: {job.reason or 'no reason is known'}"
    return "its recording is gone from the bucket" if job.object_removed_at else ""


def _audio(job: Job, length: float) -> str:
    if job.state == "done":
        return clock(job.progress_seconds)
    if not job.progress_seconds:
        return clock(length) if length else ""
    return f"{clock(job.progress_seconds)} of {clock(length)}" if length else f"{clock(job.progress_seconds)} so far"
