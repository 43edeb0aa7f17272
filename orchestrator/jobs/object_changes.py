"""Whether an object has changed since it was transcribed, as far as that shows without reading it."""

from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from orchestrator.jobs.models import State

MOST_AHEAD = timedelta(hours=1)
"""Of the clock of whoever stores objects, before ours."""


class Identity(NamedTuple):
    """What is known of the content of an object without reading it; ``size`` in bytes."""

    etag: str | None = None
    size: int | None = None
    last_modified: datetime | None = None

    def differs_from(self, other: "Identity") -> bool:
        """Whether the content has changed from the one to the other, as far as these show."""
        if None in (self.etag, other.etag) or self.etag == other.etag:
            return False
        # An object that moved to another drive or layout has a new etag, and the size and the time it had.
        return None in self or None in other or self[1:] != other[1:]


class NewestJob(NamedTuple):
    """The newest transcription of a savepath, as far as it takes to compare it with an object.

    Attributes:
        etag, size, last_modified: of the object that its last attempt was of, as far as they are known.
    """

    savepath: str
    state: State
    options: dict[str, Any]
    started_at: datetime | None
    finished_at: datetime | None
    etag: str | None = None
    size: int | None = None
    last_modified: datetime | None = None

    @property
    def given_up(self) -> bool:
        """Whether it continues only if someone asks for it."""
        return self.state in ("failed", "cancelled")

    def may_be_outdated(self, found: Identity | None) -> bool:
        """Whether the object may have been replaced since; one that is queued is yet to be transcribed."""
        if found and found.etag:
            return True
        return self.state != "queued" and (found is None or self.is_unclear(found) or self.is_outdated(found))

    def is_outdated(self, found: Identity) -> bool:
        """Whether the object is another one, however old: of what failed, by its ETag, and of what is done, by its size
        and time. If that is not known, whether it was modified after the job ended; of what is done, after that began.
        A time to come says nothing of what was given up: it would be later than each end.
        """
        if self.state == "failed" and found.differs_from(Identity(self.etag)):
            return True
        if self.state == "done" and None not in (self.size, self.last_modified, found.size, found.last_modified):
            return found[1:] != (self.size, self.last_modified)
        since = self.started_at if self.state == "done" else self.finished_at
        if not since or not found.last_modified or found.last_modified <= since:
            return False
        return not self.given_up or found.last_modified < datetime.now(UTC) + MOST_AHEAD

    def is_unclear(self, found: Identity | None) -> bool:
        """Whether only the extractor can say; of what is done, the submission asks it."""
        if self.state == "done":
            return False
        can_differ = self.finished_at is None or (self.state == "failed" and self.etag is not None)
        return found is None or (can_differ and not found.etag)
