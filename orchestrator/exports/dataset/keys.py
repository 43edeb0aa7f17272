"""Keys of samples: letters, digits, ``_`` and ``-``, at most 95 of them, so that ``KEY.json`` fits a ustar header.

No dot: what follows the first dot of a name is the kind of file to a WebDataset loader.
"""

import hashlib
import re
from pathlib import PurePosixPath

LONGEST_PREFIX = 70
"""Of the keys of a recording; a time follows."""
_DIGEST = 8


def source_key(bucket: str, savepath: str) -> str:
    """For the samples of a recording. Others of the bucket have other ones, now and later: a hash is part of it."""
    return _with_digest(PurePosixPath(savepath).stem, f"{bucket}/{savepath}")


def listed_key(id: str, start: float | None) -> str:
    """For a row of a list, named as VGGSound does: ``ID_000030``; with a fraction, milliseconds in nine digits."""
    name = id if _plain(id) == id and len(id) <= LONGEST_PREFIX - 11 else _with_digest(id, id, room=11)
    if start is None:
        return name
    return f"{name}_{int(start):06d}" if start == int(start) else f"{name}_{milliseconds(start)}"


def milliseconds(seconds: float) -> str:
    """A time in a key, rounded half up."""
    return f"{int(seconds * 1000 + 0.5):09d}"


def _plain(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9_-]+", "_", text)


def _with_digest(text: str, hashed: str, room: int = 0) -> str:
    digest = hashlib.sha256(hashed.encode()).hexdigest()[:_DIGEST]
    return f"{_plain(text)[: LONGEST_PREFIX - _DIGEST - 1 - room]}-{digest}"
