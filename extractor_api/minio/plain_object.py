"""An object stored as a plain file: MinIO's old FS mode, or any folder of files."""

import json
import os
import stat
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from extractor_api.minio.unreadable import NotReadableHere
from extractor_api.minio.xl_meta import refuse_transformed
from reelscribe.errors import NotReadable, ObjectNotFound
from reelscribe.media.stored_object import StoredObject, open_file


def open_plain_object(stack: ExitStack, data_path: Path, folder: Path, bucket_name: str, savepath: str) -> StoredObject:
    """Open ``folder/savepath``; ``stack`` closes it.

    Raises:
        ObjectNotFound: there is no such file.
        NotReadable: it is not a regular file of the bucket, we may not read it, or its bytes are not its content.
    """
    path = folder / savepath
    try:
        # Without O_NONBLOCK, opening a FIFO would wait for its writer.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        raise ObjectNotFound(f"there is no object {savepath} in bucket {bucket_name}") from None
    except PermissionError:
        raise NotReadableHere(f"the account of the extractor may not read {savepath}; give it read access") from None
    except OSError as failure:
        raise NotReadable(f"{savepath} cannot be opened: {failure.strerror}") from None
    stack.callback(os.close, descriptor)
    # The open file is checked, not the path, which may be replaced by a link meanwhile.
    if folder not in Path(os.readlink(f"/proc/self/fd/{descriptor}")).parents:
        raise NotReadable(f"{savepath} is a link that leads out of the bucket; it is not followed")
    status = os.fstat(descriptor)
    if stat.S_ISDIR(status.st_mode):
        raise ObjectNotFound(f"{savepath} is a folder in bucket {bucket_name}; name an object in it")
    if not stat.S_ISREG(status.st_mode):
        raise NotReadable(f"{savepath} is not a regular file")
    metadata = _fs_metadata(data_path / ".minio.sys" / "buckets" / bucket_name / savepath / "fs.json")
    refuse_transformed(metadata, metadata, savepath)
    return open_file(descriptor, savepath, bucket_name=bucket_name, origin=str(path), etag=metadata.get("etag"))


def _fs_metadata(path: Path) -> dict[str, Any]:
    """The object's metadata of FS mode, keys in lower case; empty for a file that was copied in by hand."""
    try:
        noted = json.loads(path.read_bytes())["meta"]
        return {str(key).lower(): str(value) for key, value in noted.items()}
    except (OSError, ValueError, KeyError, AttributeError, TypeError):
        return {}
