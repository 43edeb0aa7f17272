"""Under which name a result is written: no two recordings of a bucket share one."""

from collections.abc import Sequence

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


def for_one_bucket(bucket: str, name: str, recordings: Sequence[str]) -> str:
    """A name that no recording of another bucket has: those that begin with a bucket's name are all of that one.

    Args:
        recordings: the buckets of the recordings; results of all but the first are in a folder named for the bucket.
    """
    if bucket == recordings[0] and name.split("/", 1)[0] not in recordings:
        return name
    return f"{bucket}/{name}"
