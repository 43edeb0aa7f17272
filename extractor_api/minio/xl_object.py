"""An object in MinIO's xl.meta layout as one seekable input for ffmpeg, without copying it.

A part file holds a 32-byte hash before each block of content. ffmpeg skips the hashes by itself: its ``concatf``
protocol reads a list of ``subfile`` ranges, one per block, and seeks in them as in one file. So there is no server
between ffmpeg and the drive, no network in its sandbox, and the same speed as for a plain file.
"""

import os
import resource
from contextlib import ExitStack
from pathlib import Path

from extractor_api.minio.highway_hash import HASH_BYTES
from extractor_api.minio.unreadable import NotReadableHere
from extractor_api.minio.xl_meta import MAX_META_BYTES, DamagedMeta, XlVersion, current_version, part_file_bytes
from reelscribe.errors import ObjectNotFound
from reelscribe.media.stored_object import StoredObject, reader

READ_FLAGS = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOFOLLOW
RETRIES = 3
SPARE_DESCRIPTORS = 64


def open_xl_object(stack: ExitStack, folder: Path, bucket_name: str, savepath: str) -> StoredObject:
    """Open the current version below ``folder`` (which holds xl.meta); ``stack`` closes it.

    MinIO may overwrite or delete the object meanwhile: all parts are opened before anything is read, and if one is
    already gone, xl.meta is read again.

    Raises:
        ObjectNotFound, NotReadable: see :func:`extractor_api.minio.xl_meta.current_version`.
    """
    for attempt in range(RETRIES):
        version = _read_version(folder, savepath)
        opened = stack.enter_context(ExitStack())
        try:
            return _open_version(opened, version, folder, bucket_name, savepath)
        except FileNotFoundError as missing:
            opened.close()
            if attempt == RETRIES - 1:
                raise DamagedMeta(f"{savepath}: a part file is missing; heal or upload it again") from missing
    raise AssertionError("unreachable")


def _read_version(folder: Path, savepath: str) -> XlVersion:
    try:
        with open(os.open(folder / "xl.meta", READ_FLAGS), "rb") as file:
            meta = file.read(MAX_META_BYTES + 1)
    except FileNotFoundError:
        raise ObjectNotFound(f"there is no object {savepath}") from None
    except OSError as failure:
        raise NotReadableHere(f"the account of the extractor cannot read {savepath}: {failure.strerror}") from None
    if not meta:
        raise ObjectNotFound(f"there is no object {savepath}")
    if len(meta) > MAX_META_BYTES:
        raise DamagedMeta(f"{savepath}: its xl.meta is over {MAX_META_BYTES} bytes")
    version = current_version(meta, savepath)
    if version.inline and version.parts and _part(folder, version, 0).exists():
        version = current_version(meta, savepath, part_exists=True)
    return version


def _part(folder: Path, version: XlVersion, index: int) -> Path:
    return folder / version.data_folder / f"part.{version.parts[index][0]}"


def _open_version(stack: ExitStack, version: XlVersion, folder: Path, bucket_name: str, savepath: str) -> StoredObject:
    if version.inline is not None:
        content = _memory_file(stack, version.inline)
        ranges = [(content, 0, version.size)]
        url, protocols = f"file:/proc/self/fd/{content}", "file"
        descriptors: tuple[int, ...] = (content,)
    else:
        _check_descriptor_limit(version, savepath)
        ranges = _block_ranges(stack, version, folder, savepath)
        listing = _memory_file(stack, "".join(map(_subfile, ranges)).encode())
        url, protocols = f"concatf:/proc/self/fd/{listing}", "concatf,subfile,file"
        descriptors = (listing, *dict.fromkeys(descriptor for descriptor, _, _ in ranges))
    return StoredObject(
        bucket_name=bucket_name,
        savepath=savepath,
        origin=str(folder),
        size=version.size,
        last_modified=version.last_modified,
        etag=version.etag,
        url=url,
        protocols=protocols,
        descriptors=descriptors,
        read=reader(ranges),
    )


def _block_ranges(stack: ExitStack, version: XlVersion, folder: Path, savepath: str) -> list[tuple[int, int, int]]:
    """Descriptor, offset and length of every block of content, in order."""
    ranges = []
    for index, (number, size) in enumerate(version.parts):
        if not size:
            continue
        descriptor = os.open(_part(folder, version, index), READ_FLAGS)
        stack.callback(os.close, descriptor)
        found, expected = os.fstat(descriptor).st_size, part_file_bytes(size, version.block_bytes)
        if found != expected:
            raise DamagedMeta(f"{savepath}: part {number} has {found} bytes instead of {expected}; upload it again")
        for block in range(-(-size // version.block_bytes)):
            start = block * (version.block_bytes + HASH_BYTES) + HASH_BYTES
            ranges.append((descriptor, start, min(version.block_bytes, size - block * version.block_bytes)))
    return ranges


def _subfile(block: tuple[int, int, int]) -> str:
    descriptor, start, length = block
    return f"subfile,,start,{start},end,{start + length},,:/proc/self/fd/{descriptor}\n"


def _memory_file(stack: ExitStack, content: bytes) -> int:
    descriptor = os.memfd_create("reelscribe", os.MFD_CLOEXEC)
    stack.callback(os.close, descriptor)
    with open(descriptor, "wb", closefd=False) as file:
        file.write(content)
    return descriptor


def _check_descriptor_limit(version: XlVersion, savepath: str) -> None:
    """ffmpeg has all parts and all blocks of them open at the same time."""
    _, limit = resource.getrlimit(resource.RLIMIT_NOFILE)
    blocks = sum(-(-size // version.block_bytes) for _, size in version.parts)
    needed = len(version.parts) + blocks + SPARE_DESCRIPTORS
    if limit != resource.RLIM_INFINITY and needed > limit:
        raise NotReadableHere(
            f"{savepath}: its {len(version.parts)} parts with {blocks} blocks are more than the {limit} files that the "
            "extractor may open; raise its hard limit of open files (LimitNOFILE in its systemd unit)"
        )
