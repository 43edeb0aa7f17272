"""What an object of a bucket may be called: the rules of MinIO, and those that keep a path inside its bucket."""

import os
import re
from pathlib import Path

MAX_BYTES = 1024
MAX_PART_BYTES = 255
OWN_PREFIX = ".reelscribe-"
"""Of the names of what we keep next to the objects of a plain folder; none of it is an object."""

_ENDS_IN_DOT = re.compile(r"\.\s*(?:/|\Z)")
"""Of a part: only then it can be one or two dots."""


def mistake_in(savepath: str) -> str | None:
    """Why this cannot be the path of an object, as the end of a sentence; None if it can."""
    try:
        size = len(savepath.encode())
    except UnicodeEncodeError:
        return "is not valid Unicode"
    if not savepath:
        return "is empty"
    if "\0" in savepath:
        return "must not contain NUL"
    if size > MAX_BYTES:
        return f"is over {MAX_BYTES} bytes"
    if savepath.startswith("/"):
        return "must not start with '/'; it is relative to the bucket, like youtube/abc123.mp4"
    if _ENDS_IN_DOT.search(savepath) and any(part.strip() in (".", "..") for part in savepath.split("/")):
        return "must not contain '.' or '..' as a folder"
    if "//" in savepath or savepath.endswith("/"):
        return "must not contain '//' or end with '/'"
    if size > MAX_PART_BYTES and any(len(part.encode()) > MAX_PART_BYTES for part in savepath.split("/")):
        return f"a part between '/' is over {MAX_PART_BYTES} bytes"
    if savepath.partition("/")[0] == ".minio.sys":
        return ".minio.sys is MinIO's own folder"
    return None


def mistake_in_prefix(prefix: str) -> str | None:
    """Why no savepath starts with this, as a sentence; None if one can."""
    if mistake_in(prefix) and (mistake := mistake_in(f"{prefix}a")):
        return f"no savepath starts with {prefix!r}, which {mistake}"
    return None


def leads_out(root: Path, folder: Path) -> bool:
    """Whether the folder of a savepath, which need not exist, is outside of ``root`` by a symbolic link."""
    return not Path(os.path.realpath(folder)).is_relative_to(os.path.realpath(root))
