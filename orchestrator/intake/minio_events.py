"""MinIO's bucket notifications: which objects they say were written or removed."""

from collections.abc import Callable
from typing import NamedTuple
from urllib.parse import unquote_plus

from pydantic import Field

from reelscribe.contracts.messages import ReceivedModel

CONTENT_WRITTEN = ("Put", "Post", "Copy", "CompleteMultipartUpload")
"""Kinds of ObjectCreated; the others (PutTagging, PutRetention, …) leave the content as it is."""
MOST_RECORDS = 1000


class _Name(ReceivedModel):
    name: str


class _Key(ReceivedModel):
    key: str


class _Stored(ReceivedModel):
    bucket: _Name
    object: _Key


class EventRecord(ReceivedModel):
    """One change of one object; ``s3.object.key`` is encoded as in a form."""

    eventName: str
    s3: _Stored


class Notification(ReceivedModel):
    """Body of ``POST /hooks/minio``, as MinIO and S3 write it; a test of the target has no records."""

    Records: list[EventRecord] | None = Field(default=None, max_length=MOST_RECORDS)


class Reported(NamedTuple):
    """An object that an event is about."""

    bucket: str
    savepath: str


def written(notification: Notification) -> list[Reported]:
    """The objects that a notification says were written, each once. A key that is not UTF-8 keeps its bytes as
    surrogates, and is no savepath.
    """
    return _reported(notification, _is_content)


def removed(notification: Notification) -> list[Reported]:
    """The objects that a notification says were removed, or one version of them; each once."""
    return _reported(notification, lambda event: event.removeprefix("s3:").startswith("ObjectRemoved:"))


def _reported(notification: Notification, wanted: Callable[[str], bool]) -> list[Reported]:
    found = [
        Reported(record.s3.bucket.name, unquote_plus(record.s3.object.key, errors="surrogateescape"))
        for record in notification.Records or ()
        if wanted(record.eventName)
    ]
    return list(dict.fromkeys(found))


def _is_content(event: str) -> bool:
    created, _, kind = event.removeprefix("s3:").partition(":")
    return created == "ObjectCreated" and kind in CONTENT_WRITTEN
