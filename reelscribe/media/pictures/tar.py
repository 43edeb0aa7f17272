"""The tar that samples are streamed in: its bytes depend on the recording and the request alone.

POSIX.1-1988 (ustar): a header block of 512 bytes before each file, files padded to such blocks, and two blocks of zeros
at the end. A reader takes a tar without those for cut.
"""

import re
from pathlib import PurePosixPath
from tarfile import BLOCKSIZE, USTAR_FORMAT, TarInfo

TAR = "application/x-tar"
END = bytes(2 * BLOCKSIZE)
MOST_NAME_CHARACTERS = 80
MOST_MEMBER_BYTES = 8**11 - 1
"""What the header of ustar has digits for."""


def name_of(savepath: str) -> str:
    """What names of files begin with, in characters that no reader of shards takes for something else."""
    return re.sub(r"[^A-Za-z0-9_-]", "_", PurePosixPath(savepath).stem)[:MOST_NAME_CHARACTERS] or "recording"


def member(name: str, content: bytes) -> bytes:
    """One file of the tar; it belongs to no account and has no time."""
    return header(name, len(content)) + content + padding(len(content))


def header(name: str, size: int) -> bytes:
    """What comes before a file of that many bytes."""
    info = TarInfo(name)
    info.size, info.mode = size, 0o644
    return info.tobuf(USTAR_FORMAT)


def padding(size: int) -> bytes:
    """What comes after it."""
    return bytes(-size % BLOCKSIZE)
