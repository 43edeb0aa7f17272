"""Under which name a transcript is written: no two recordings of a bucket share one."""

from orchestrator.database.sql import Connection
from orchestrator.transcripts.models import Transcript
from orchestrator.transcripts.queries import shares_stem
from reelscribe.text.file_names import FileNames
from reelscribe.text.formats import Format


async def file_name(connection: Connection, names: FileNames, transcript: Transcript, format: Format) -> str:
    """The name, relative to the folder or the prefix that mirrors the bucket."""
    job = transcript.job
    ambiguous = names.may_be_ambiguous(format) and await shares_stem(connection, job.bucket, job.savepath)
    return names.name(job.savepath, format, transcript.text_language, job.model or "", ambiguous)
