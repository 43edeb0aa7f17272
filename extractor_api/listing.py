"""The objects of a bucket in the order of their savepaths, one page at a time, without access keys."""

import heapq
import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from extractor_api.storage import LocalStorage
from reelscribe.contracts.extractor import ListedObject, ObjectPage
from reelscribe.errors import BadRequest, NotReadable, ObjectNotFound
from reelscribe.savepath import OWN_PREFIX

FOLDER_MARK = "__XLDIR__"
"""What MinIO puts in place of the slash of a key that ends with one: an empty object that marks a folder."""


class _Entry(NamedTuple):
    """Something in a folder, sorted like its savepaths: S3 orders ``a.mp4`` before ``a/b``, by their bytes."""

    key: bytes
    name: str
    below: bool


def list_objects(storage: LocalStorage, bucket_name: str | None, prefix: str, after: str, limit: int) -> ObjectPage:
    """One page of a bucket.

    Only the folders that the page touches are read, and only its objects are opened.

    Args:
        prefix: of the savepaths; it may end inside a name.
        after: the last savepath of the page before; empty for the first page.
        limit: objects a page.

    Raises:
        BadRequest: the bucket is not one of config.cfg, or a folder in it may not be listed.
        BucketUnavailable: see :meth:`extractor_api.storage.LocalStorage.require`.
    """
    folder = storage.require(bucket_name, to_list=True)
    page: list[ListedObject] = []
    for savepath in _savepaths(folder, "", prefix, after):
        if len(page) == limit:
            return ObjectPage(objects=page, next=page[-1].savepath)
        listed = _describe(storage, bucket_name, savepath)
        if listed:
            page.append(listed)
    return ObjectPage(objects=page, next=None)


def _savepaths(folder: Path, base: str, prefix: str, after: str) -> Iterator[str]:
    """Savepaths below ``folder/base`` that start with ``prefix`` and come after ``after``, in order."""
    entries = [entry for entry in _entries(folder / base) if _may_hold(base + entry.name, entry.below, prefix, after)]
    heapq.heapify(entries)
    while entries:
        entry = heapq.heappop(entries)
        savepath = base + entry.name
        if entry.below:
            yield from _savepaths(folder, f"{savepath}/", prefix, after)
        elif savepath.startswith(prefix) and _order(savepath) > _order(after):
            yield savepath


def _entries(folder: Path) -> Iterator[_Entry]:
    """Files as objects; folders as an object (if they hold xl.meta) and as the folder of further ones."""
    try:
        with os.scandir(folder) as found:
            names = [(entry.name, entry.is_dir()) for entry in found if not entry.name.startswith(OWN_PREFIX)]
    except (FileNotFoundError, NotADirectoryError):
        return
    except PermissionError:
        raise BadRequest("prefix: the account of the extractor may not list that folder") from None
    if ("xl.meta", False) in names:
        # Inside an object: its own files are not objects, but its folders may hold further ones.
        names = [(name, True) for name, is_folder in names if is_folder]
    for name, is_folder in names:
        if is_folder and name.endswith(FOLDER_MARK):
            continue
        yield _Entry(os.fsencode(name), name, below=False)
        if is_folder:
            yield _Entry(os.fsencode(name) + b"/", name, below=True)


def _may_hold(savepath: str, below: bool, prefix: str, after: str) -> bool:
    if not below:
        return savepath.startswith(prefix) and _order(savepath) > _order(after)
    reach = f"{savepath}/"
    return (reach.startswith(prefix) or prefix.startswith(reach)) and (
        after.startswith(reach) or _order(reach) > _order(after)
    )


def _order(savepath: str) -> bytes:
    return os.fsencode(savepath)


def _describe(storage: LocalStorage, bucket_name: str | None, savepath: str) -> ListedObject | None:
    """The object; None if the name turns out to be something else (a folder, a delete marker)."""
    try:
        with storage.open(savepath, bucket_name) as stored:
            return ListedObject(
                savepath=savepath, size=stored.size, last_modified=stored.last_modified, etag=stored.etag
            )
    except NotReadable as unreadable:
        return ListedObject(savepath=savepath, reason=unreadable.message)
    except (ObjectNotFound, BadRequest):
        return None
