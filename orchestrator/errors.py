"""The failures that only the orchestrator knows."""

from reelscribe.errors import BadRequest, ServiceError


class DatabaseUnavailable(ServiceError):
    """PostgreSQL does not answer, or cannot be used."""

    status, code, retryable = 503, "database_unavailable", True


class NoTables(DatabaseUnavailable):
    """The database is empty, this user may make its tables, and this command makes none."""

    def __init__(self) -> None:
        super().__init__("the database has no tables yet: orchestrator serve, worker, up or submit makes them")


class NewerTables(DatabaseUnavailable):
    """A newer version of the orchestrator made the tables, or changed them, and this one does not know them."""

    retryable = False


class OlderTables(DatabaseUnavailable):
    """An earlier version of the orchestrator made the tables, and this command does not change any."""

    def __init__(self) -> None:
        super().__init__(
            "the tables of the database are those of an earlier version of the orchestrator; bring them up to date "
            "with: orchestrator database upgrade (which makes a backup first), or start orchestrator up, serve, worker"
        )


class BackupUnusable(ServiceError):
    """A file is no backup, is cut off, damaged, or does not hold what it says."""

    status, code = 422, "backup_unusable"


class UpgradeFailed(ServiceError):
    """The tables could not be brought up to date; what is there now is in the sentence."""

    status, code = 500, "upgrade_failed"


class DatabaseProgramFailed(ServiceError):
    """A program of PostgreSQL is missing, is too old, or has failed."""

    status, code = 500, "database_program_failed"


class Unavailable(ServiceError):
    """What a job needs is not available now, which says nothing about the job. ``retry_after`` is in seconds."""

    status, code, retryable = 503, "unavailable", True

    def __init__(self, message: str, retry_after: float) -> None:
        super().__init__(message, retry_after=retry_after)
        self.retry_after = retry_after


class NoTranscriber(Unavailable):
    """No transcriber takes the job now; that says nothing about the job. ``retry_after`` is in seconds."""

    code = "no_transcriber"


class BucketAway(Unavailable):
    """No recording of its bucket can be read now; that says nothing about the job. ``retry_after`` is in seconds."""

    code = "bucket_unavailable"


class ObjectChanged(ServiceError):
    """The object is not the one that an earlier attempt transcribed: what that has stored is of no use."""

    status, code, retryable = 409, "object_changed", True


class InUse(ServiceError):
    """Another process is at work on it for longer than a deletion waits."""

    status, code, retryable = 409, "in_use", True


class SomethingLeft(ServiceError):
    """After recordings were removed, a table still names them: a fault of this program."""

    status, code = 500, "something_left"


class TranscriptKept(ServiceError):
    """The job has a transcript, which is removed with its recording, and not as a job."""

    status, code, retryable = 409, "transcript_kept", False


class MessageNotFound(ServiceError):
    """No message to a webhook has this id, or it is no longer kept."""

    status, code = 404, "message_not_found"


class EditConflict(ServiceError):
    """Someone else has changed the same segments: ``theirs`` is what is there now, ``yours`` what was to be there."""

    status, code, retryable = 409, "edit_conflict", False


class ListChanged(ServiceError):
    """Someone else has changed this vocabulary: ``words`` are those that are there now."""

    status, code, retryable = 409, "list_changed", False


class NothingToUndo(ServiceError):
    """There is no such edit, or it is undone already."""

    status, code, retryable = 409, "nothing_to_undo", False


class ObjectExists(ServiceError):
    """The bucket has an object of this savepath, which was not to be replaced."""

    status, code, retryable = 409, "object_exists", False


class UploadNotFound(ServiceError):
    """There is no such upload: it was cancelled, it has expired, or it was finished some time ago."""

    status, code, retryable = 404, "upload_not_found", False


class TooManyUploads(ServiceError):
    """As many uploads are unfinished as may be; ``retry_after`` is in seconds."""

    status, code, retryable = 429, "too_many_uploads", True


class WrongOffset(ServiceError):
    """The bytes do not continue what has arrived; ``offset`` is where they have to."""

    status, code, retryable = 409, "wrong_offset", True


class UploadIncomplete(ServiceError):
    """What has arrived is not what was announced: ``offset`` of ``bytes`` are there."""

    status, code, retryable = 409, "upload_incomplete", False


class SearchTooLong(BadRequest):
    """PostgreSQL has not found in time what was searched for, nor that there is nothing."""

    code = "search_too_long"


class NotWritten(ServiceError):
    """A file of an export cannot be written."""

    status, code, retryable = 507, "not_written", False


class UnknownTokenizer(ServiceError):
    """No audio tokeniser of this name is installed."""

    status, code = 404, "unknown_tokenizer"


class UnusableTokenizer(ServiceError):
    """A package brings an audio tokeniser that cannot be used."""

    status, code = 500, "unusable_tokenizer"


class NotTokenized(ServiceError):
    """The sound of a recording cannot be had as audio tokens."""

    status, code = 422, "not_tokenized"


class NeedsDatabase(ServiceError):
    """A command, or an option of one, has no way over HTTP.

    Args:
        what: needs the database.
    """

    status, code = 400, "needs_database"

    def __init__(self, what: str) -> None:
        super().__init__(
            f"{what} needs the orchestrator's database: run it on the orchestrator's own host, without --server,"
            " REELSCRIBE_SERVER and [client] server"
        )


class Superseded(Exception):
    """This attempt is over: its job was cancelled, or a newer attempt has it."""
