"""Whether transcripts are intact, verified from the database: nothing missing, nothing twice, nothing outside.

PostgreSQL gathers the numbers of a thousand transcripts at a time; what they mean is decided here.
"""

from collections.abc import AsyncIterator, Iterator, Sequence

from psycopg.rows import class_row

from orchestrator.database.pool import Pool
from orchestrator.jobs.models import Record
from orchestrator.jobs.versions import replaced
from reelscribe.contracts.speech_without_words import SpeechWithoutWords
from reelscribe.media.completeness import TOLERATED_SECONDS, TOLERATED_SHARE

SAMPLE_RATE = 16_000
"""Hz; what the transcriber has the extractor extract."""
ROUNDING_SECONDS = 0.01
TRANSCRIPTS_PER_QUERY = 1000


class Finding(Record):
    """Something that is wrong with a transcript."""

    job: int
    bucket: str
    savepath: str
    code: str
    message: str


class Evidence(Record):
    """The numbers of one transcript. ``start_seconds`` to ``sha256`` are of the last part, the others of all of it.

    Attributes:
        segments: how many there are, with the indexes ``first`` to ``last``.
        disordered: index of a segment that begins before the one before it, or ends before it begins.
        ends: seconds, of the segment that ends last.
        gap_seconds: the end of a part at which no other part begins.
        etags: of how many objects the parts are.
        sent: segments by the receipts of the last parts, as far back as these have counts; of them, ``stored`` are
            there.
    """

    job: int
    bucket: str
    savepath: str
    complete: bool
    transcribed_seconds: float
    speech_without_words: SpeechWithoutWords | None
    segments: int
    first: int | None
    last: int | None
    disordered: int | None
    ends: float | None
    gap_seconds: float | None
    etags: int
    start_seconds: float | None
    declared_seconds: float | None
    delivered_seconds: float | None
    covered_seconds: float | None
    samples: int | None
    sha256: str | None
    sent: int | None
    stored: int


async def evidence(
    pool: Pool, bucket: str | None = None, savepaths: Sequence[str] | None = None
) -> AsyncIterator[list[Evidence]]:
    """Of the newest finished transcripts with each set of options, of a bucket or of all, of these savepaths or of all,
    some at a time: one whose replacement is not done yet is still the one that is read.
    """
    after = 0
    while True:
        async with pool.connection() as connection, connection.cursor(row_factory=class_row(Evidence)) as cursor:
            await cursor.execute(
                _EVIDENCE,
                {
                    "after": after,
                    "limit": TRANSCRIPTS_PER_QUERY,
                    "bucket": bucket,
                    "savepaths": savepaths and list(savepaths),
                    "slack": ROUNDING_SECONDS,
                },
            )
            found = await cursor.fetchall()
        if not found:
            return
        yield found
        after = found[-1].job


def findings(of: Evidence) -> Iterator[Finding]:
    """What is wrong with a transcript; nothing if it is intact."""
    for code, message in _mistakes(of):
        yield Finding(job=of.job, bucket=of.bucket, savepath=of.savepath, code=code, message=message)


def _mistakes(of: Evidence) -> Iterator[tuple[str, str]]:
    if of.segments and (of.first != 0 or of.last != of.segments - 1):
        yield "segments_missing", f"it has {of.segments} segments, numbered from {of.first} to {of.last}"
    if of.disordered is not None:
        yield "segments_disordered", f"segment {of.disordered} is not after the one before it"
    if of.ends is not None and of.ends > of.transcribed_seconds + TOLERATED_SECONDS:
        yield "outside", f"a segment ends at {of.ends:.1f} s, but only {of.transcribed_seconds:.1f} s were transcribed"
    if of.gap_seconds is not None:
        yield "parts_apart", f"no part begins at {of.gap_seconds:.3f} s, where the one before it ended"
    if of.etags > 1:
        yield "objects_mixed", f"its parts are of {of.etags} different objects"
    if of.start_seconds is None or of.delivered_seconds is None or of.covered_seconds is None:
        yield "receipt_missing", "the extractor's receipt is not there"
        return
    if not of.sha256:
        yield "sha256_missing", "the receipt has no SHA-256 of the audio"
    lack = (of.declared_seconds or 0.0) - of.delivered_seconds
    if of.complete and of.declared_seconds and lack > max(TOLERATED_SECONDS, TOLERATED_SHARE * of.declared_seconds):
        yield "incomplete", f"{of.declared_seconds:.1f} s were declared, {of.delivered_seconds:.1f} s delivered"
    if of.samples is not None and abs(of.samples / SAMPLE_RATE - of.delivered_seconds) > ROUNDING_SECONDS:
        yield "samples_differ", f"{of.samples} samples are not the {of.delivered_seconds:.3f} s that were delivered"
    if abs(of.covered_seconds - of.delivered_seconds) > TOLERATED_SECONDS:
        yield "not_heard", f"{of.delivered_seconds:.1f} s were delivered, {of.covered_seconds:.1f} s transcribed"
    if abs(of.start_seconds + of.covered_seconds - of.transcribed_seconds) > ROUNDING_SECONDS:
        yield (
            "progress_differs",
            f"its last part ends at {of.start_seconds + of.covered_seconds:.1f} s, not where it ends",
        )
    if of.sent is not None and of.sent != of.stored:
        yield "segments_lost", f"the transcriber sent {of.sent} segments, {of.stored} are stored"


_EVIDENCE = f"""
    with job as materialized (
        select t.id, m.bucket, m.savepath, t.complete, t.progress_seconds, t.speech_without_words
        from transcriptions t join media m on m.id = t.media_id
        where t.state = 'done' and t.id > %(after)s and not (t.superseded and {replaced("t")})
            and (%(bucket)s::text is null or m.bucket = %(bucket)s)
            and (%(savepaths)s::text[] is null or m.savepath = any(%(savepaths)s))
        order by t.id limit %(limit)s
    ), text as (
        select s.transcription_id as id, count(*) as segments, min(s.index) as first, max(s.index) as last,
            max(s.end_seconds) as ends,
            min(s.index) filter (where s.end_seconds < s.start_seconds or s.start_seconds < s.previous) as disordered
        from (
            select s.*, lag(s.start_seconds) over (partition by s.transcription_id order by s.index) as previous
            from job join transcribed_segments s on s.transcription_id = job.id
        ) s group by s.transcription_id
    ), part as (
        select a.*, lead(a.attempt) over attempts is null as final,
            coalesce(lag(a.start_seconds + coalesce(a.covered_seconds, 0)) over attempts, 0) as reached,
            bool_and(a.segments is not null) over later as counted
        from job join attempts a on a.transcription_id = job.id
        where a.covered_seconds > 0 or a.delivered_seconds is not null
        window attempts as (partition by a.transcription_id order by a.attempt),
            later as (partition by a.transcription_id order by a.attempt desc)
    ), receipt as (
        select transcription_id as id, count(distinct etag) as etags,
            min(reached) filter (where abs(reached - start_seconds) > %(slack)s) as gap_seconds,
            min(start_seconds) filter (where counted) as counted_from, sum(segments) filter (where counted) as sent
        from part group by transcription_id
    )
    select job.id as job, job.bucket, job.savepath, job.complete, job.progress_seconds as transcribed_seconds,
        job.speech_without_words,
        coalesce(text.segments, 0) as segments, text.first, text.last, text.disordered, text.ends,
        receipt.gap_seconds, coalesce(receipt.etags, 0) as etags,
        part.start_seconds, part.declared_seconds, part.delivered_seconds, part.covered_seconds, part.samples,
        part.sha256, receipt.sent, (
            select count(*) from transcribed_segments s
            where s.transcription_id = job.id and s.start_seconds >= receipt.counted_from
        ) as stored
    from job
    left join text on text.id = job.id
    left join receipt on receipt.id = job.id
    left join part on part.transcription_id = job.id and part.final
    order by job.id
"""
