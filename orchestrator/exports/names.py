"""Under which name a result is written: no two recordings of a bucket share one."""

from collections.abc import Sequence

from orchestrator.transcripts.models import Transcript
from reelscribe.text.file_names import FileNames
from reelscribe.text.formats import Format


def file_name(names: FileNames, transcript: Transcript, format: Format, *, ambiguous: bool) -> str:
    """The name, relative to the prefix that mirrors the bucket.

    Args:
        ambiguous: another recording of the folder has the same stem.
    """
    job = transcript.job
    ambiguous = ambiguous and names.may_be_ambiguous(format)
    return names.name(job.savepath, format, transcript.text_language, job.model or "", ambiguous)


def for_one_bucket(bucket: str, name: str, recordings: Sequence[str]) -> str:
    """A name that no recording of another bucket has: those that begin with a bucket's name are all of that one.

    Args:
        recordings: the buckets of the recordings; results of all but the first are in a folder named for the bucket.
    """
    if bucket == recordings[0] and name.split("/", 1)[0] not in recordings:
        return name
    return f"{bucket}/{name}"
