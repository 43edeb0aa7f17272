"""The tar that samples are streamed in: its bytes depend on the recording and the request alone.

POSIX.1-1988 (ustar): a header block of 512 bytes before each file, files padded to such blocks, and two blocks of zeros
at the end. A reader takes a tar without those for cut.
"""

from tarfile import BLOCKSIZE, USTAR_FORMAT, TarInfo

END = bytes(2 * BLOCKSIZE)


def member(name: str, content: bytes) -> bytes:
    """One file of the tar; it belongs to no account and has no time."""
    info = TarInfo(name)
    info.size, info.mode = len(content), 0o644
    return info.tobuf(USTAR_FORMAT) + content + bytes(-len(content) % BLOCKSIZE)
