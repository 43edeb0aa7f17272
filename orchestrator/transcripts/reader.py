"""A transcript out of the database part by part: never all in memory, no connection held between the parts."""

from collections.abc import AsyncIterator, Sequence

from orchestrator.database.pool import Pool
from orchestrator.jobs import queries as job_queries
from orchestrator.jobs.models import Job
from orchestrator.transcripts import formats
from orchestrator.transcripts import queries as transcript_queries
from orchestrator.transcripts.models import Transcript, TranscriptSegment
from reelscribe.errors import StreamCut
from reelscribe.text.formats import Format
from reelscribe.text.running_text import running_text

SEGMENTS_PER_READ = 500


async def parts(pool: Pool, transcript: Transcript, wanted: Format, timestamps: bool = False) -> AsyncIterator[bytes]:
    """The transcript in a format; its segments are read from the database, those in ``transcript`` are ignored.

    Raises:
        StreamCut: it was removed or edited meanwhile.
    """
    job = transcript.job
    as_heard = transcript.as_heard
    read = pages(pool, job, as_heard)
    said = [formats.plain_text(segments) async for segments in read] if wanted is Format.JSON else []
    writer = formats.make_writer(transcript, wanted, timestamps)
    yield writer.begin(running_text(said))
    async for segments in pages(pool, job, as_heard):
        yield writer.add(segments)
    yield writer.end()


async def pages(pool: Pool, job: Job, as_heard: bool = False) -> AsyncIterator[Sequence[TranscriptSegment]]:
    """The segments of a finished job, some at a time; ``as_heard``: as the model wrote them.

    Raises:
        StreamCut: it was removed meanwhile, or edited, which numbers segments again.
    """
    as_heard = as_heard and job.revision > 0  # else both are the same
    after = -1
    while True:
        async with pool.connection() as connection:
            segments = await transcript_queries.segments(connection, job.id, after, SEGMENTS_PER_READ, as_heard)
            now = await job_queries.jobs_by_id(connection, [job.id])
        if not now:
            raise StreamCut(f"{job.savepath}: its transcript has just been removed")
        if now[0].revision != job.revision and not as_heard:
            raise StreamCut(f"{job.savepath}: its transcript has just been edited; read it again")
        if not segments:
            return
        yield segments
        after = segments[-1].index
