"""A job and its receipt in the words of the page."""

from collections.abc import Iterator

from orchestrator.jobs.models import Job
from orchestrator.jobs.remedies import Remedy, remedy
from orchestrator.page.formats import clock
from orchestrator.transcripts.models import Receipt
from reelscribe import languages
from reelscribe.contracts.events import UNKNOWN_LANGUAGE

HELPS = {
    Remedy.RETRY: "Once its cause is corrected, try again.",
    Remedy.ALLOW_INCOMPLETE: "What there is of it can be transcribed: submit it again and allow incomplete recordings.",
    Remedy.REPLACE: "The same request fails again: submit the right recording, or with other options.",
}


def language(job: Job) -> str:
    """The language of a recording: its name, and how sure that is; empty if none is known yet."""
    if not job.language:
        return ""
    if job.language == UNKNOWN_LANGUAGE:
        return "Language unknown"
    name = languages.name(job.language).title()
    return f"{name}, uncertain" if job.language_uncertain else name


def situation(job: Job) -> str:
    """What happens to a job, or has happened: one or two sentences."""
    reason = job.error.message if job.error else "no reason is known"
    reason += "" if reason.endswith((".", "!", "?")) else "."
    match job.state:
        case "queued":
            return "It waits in the queue. The text appears here as it is made."
        case "running":
            of = f" of {clock(job.declared_seconds)}" if job.declared_seconds else ""
            return f"It is being transcribed: {clock(job.progress_seconds)}{of} done. The text appears as it is made."
        case "waiting":
            return f"It waits: {reason}"
        case "failed":
            return f"It failed: {reason} {HELPS[remedy(job.error.code if job.error else '')]}"
        case "cancelled":
            return "It was cancelled."
        case "done":
            return "It is done."


def receipt_facts(receipt: Receipt) -> Iterator[tuple[str, str]]:
    """The lines of a receipt that have something to say: what it is, and its value."""
    yield "complete", "yes" if receipt.complete else f"no: {receipt.reason or 'no reason is known'}"
    for name, seconds in (
        ("declared by the container", receipt.declared_seconds),
        ("delivered as audio", receipt.delivered_seconds),
        ("covered by the transcript", receipt.covered_seconds),
    ):
        if seconds is not None:
            yield name, f"{seconds:.3f} s"
    if receipt.track is not None:
        yield "audio track", f"{receipt.track}" + (f": {receipt.track_choice}" if receipt.track_choice else "")
    if receipt.samples is not None:
        yield "samples", f"{receipt.samples}"
    if receipt.sha256:
        yield "SHA-256 of the audio", receipt.sha256
    if receipt.speech_without_words:
        yield "speech without words", receipt.speech_without_words.sentence or "none"
    if receipt.vocabulary:
        yield "vocabulary", receipt.vocabulary.sentence
    for remark in receipt.remarks:
        yield "remark", remark
    for part in receipt.parts:
        if part.etag:
            yield f"object of attempt {part.attempt}", part.etag + (f", {part.size} bytes" if part.size else "")
        if part.extraction_id:
            yield f"extraction of attempt {part.attempt}", part.extraction_id
