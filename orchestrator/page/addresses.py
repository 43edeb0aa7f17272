"""Where a browser finds the page of a recording, and what belongs to it."""

from orchestrator.jobs.models import Job
from orchestrator.transcripts.addresses import recording_path
from reelscribe.text.formats import Format


class Addresses:
    """Of one recording; of another bucket than the usual one, all of them name it."""

    def __init__(self, job: Job, default_bucket: str) -> None:
        self._savepath = job.savepath
        self._bucket = None if job.bucket == default_bucket else job.bucket

    def page(self, job: int | None = None) -> str:
        """Of the page itself, or of the page as it shows a certain job."""
        return self._path("/media/", job=None if job is None else str(job))

    @property
    def about(self) -> str:
        """How a browser can play the recording."""
        return self._path("/api/media/")

    @property
    def file(self) -> str:
        """The recording as it is stored."""
        return self._path("/media/", "file")

    @property
    def segments(self) -> str:
        """Its text, page by page."""
        return self._path("/api/transcripts/", "segments")

    @property
    def edits(self) -> str:
        """Who edited its text, and where that is done."""
        return self._path("/api/edits/")

    def transcript(self, format: Format) -> str:
        """Its finished transcript."""
        return self._path("/api/transcripts/", format=str(format))

    def _path(self, before: str, route: str | None = None, **query: str | None) -> str:
        return recording_path(before, self._savepath, route, bucket_name=self._bucket, **query)
