"""MinIO's xl.meta: which version of an object is current, and where its bytes are on a single drive.

The format, as read from minio/minio (xl-storage-format-v2.go): ``XL2 ``, two version numbers, then msgpack.
"""

import math
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import msgpack
import xxhash

from extractor_api.minio.highway_hash import HASH_BYTES, highway_hash
from extractor_api.minio.unreadable import NotReadableHere
from reelscribe.errors import NotReadable, ObjectNotFound, ServiceError

MAX_META_BYTES = 64 << 20
"""A real file with 7 versions of 9016 parts has 828 KB."""

_OBJECT, _DELETE_MARKER, _LEGACY = 1, 2, 3
_FREE_VERSION = 1
_NULL_VERSION = bytes(16)


class DamagedMeta(NotReadable):
    """xl.meta, or what it points to, is not as MinIO writes it."""


@dataclass(frozen=True)
class XlVersion:
    """The current version of an object on one drive.

    Attributes:
        size: bytes of content.
        data_folder: below the object's folder; holds ``part.N``.
        parts: number and content bytes of each part file, in content order.
        block_bytes: content bytes that follow each 32-byte hash in a part file.
        inline: the content itself if it is in xl.meta (its hashes verified), else None.
    """

    size: int
    last_modified: datetime
    etag: str
    data_folder: str
    parts: tuple[tuple[int, int], ...]
    block_bytes: int
    inline: bytes | None = None


def current_version(meta: bytes, savepath: str, part_exists: bool = False) -> XlVersion:
    """Read xl.meta.

    Args:
        meta: the content of the file.
        savepath: of the object, for the errors.
        part_exists: whether the current version's first part file is there (see :func:`_inline_data`).

    Raises:
        ObjectNotFound: the newest version is a delete marker, or there is none.
        NotReadableHere: it is encrypted, compressed, tiered, spread over several drives, or of an unknown kind.
        DamagedMeta: it is not as MinIO writes it.
    """
    try:
        body, inline = _newest_version(meta, savepath)
        return _object_version(body, inline, savepath, part_exists)
    except ServiceError:
        raise
    except (
        ValueError,
        KeyError,
        TypeError,
        IndexError,
        AttributeError,
        OverflowError,
        msgpack.UnpackException,
    ) as broken:
        raise DamagedMeta(
            f"{savepath}: its xl.meta is damaged ({type(broken).__name__}); heal or upload it again"
        ) from broken


def _newest_version(meta: bytes, savepath: str) -> tuple[Mapping[str, Any], bytes]:
    """The body of the current version, and the inline data section."""
    if meta[:4] != b"XL2 ":
        raise _unreadable(savepath, "in a layout of before 2020 (or its xl.meta is damaged)")
    if meta[4:8] == b"1   ":
        return _newest_by_time(_unpack(meta[8:])["Versions"], savepath), b""
    major, minor = int.from_bytes(meta[4:6], "little"), int.from_bytes(meta[6:8], "little")
    if major != 1:
        raise _unreadable(savepath, f"in xl.meta version {major}.{minor}, which the extractor does not know")
    reader = _reader(meta[8:])
    versions = reader.unpack()
    if minor >= 2 and reader.unpack() != xxhash.xxh64_intdigest(versions) & 0xFFFFFFFF:
        raise ValueError("checksum")
    inline = meta[8 + reader.tell() :]
    if minor < 3:
        return _newest_by_time(_unpack(versions)["Versions"], savepath), inline
    return _first_indexed(versions, savepath), inline


def _newest_by_time(versions: list[Mapping[str, Any]], savepath: str) -> Mapping[str, Any]:
    """Before version 1.3 the versions are in any order."""
    if not versions:
        raise _gone(savepath)
    return max(versions, key=lambda body: int((body.get("V2Obj") or body.get("DelObj") or {}).get("MTime", 0)))


def _first_indexed(versions: bytes, savepath: str) -> Mapping[str, Any]:
    """Since version 1.3 the newest version comes first; free versions are tiered data that is still to be deleted."""
    reader = _reader(versions)
    header_version, meta_version, count = reader.unpack(), reader.unpack(), reader.unpack()
    if header_version > 3 or meta_version > 3:
        raise _unreadable(
            savepath, f"in xl.meta of kind {header_version}.{meta_version}, which the extractor does not know"
        )
    for _ in range(count):
        header, body = _unpack(reader.unpack()), reader.unpack()
        flags = header[3] if header_version == 1 else header[4]
        if not flags & _FREE_VERSION:
            version: Mapping[str, Any] = _unpack(body)
            return version
    raise _gone(savepath)


def _object_version(body: Mapping[str, Any], inline: bytes, savepath: str, part_exists: bool) -> XlVersion:
    kind = body["Type"]
    if kind == _DELETE_MARKER:
        raise _gone(savepath)
    if kind == _LEGACY:
        raise _unreadable(savepath, "in a layout of before 2020")
    if kind != _OBJECT:
        raise _unreadable(savepath, f"a version of kind {kind}, which the extractor does not know")
    fields: Mapping[str, Any] = body["V2Obj"]
    system = {str(key).lower(): value for key, value in (fields.get("MetaSys") or {}).items()}
    user = {str(key).lower(): str(value) for key, value in (fields.get("MetaUsr") or {}).items()}
    if system.get("x-minio-internal-purgestatus"):
        raise _gone(savepath)
    _refuse_unreadable(fields, system, user, savepath)
    parts = tuple(zip(fields["PartNums"], fields["PartSizes"], strict=True))
    if sum(size for _, size in parts) != fields["Size"] or any(size < 0 for _, size in parts):
        raise ValueError("sizes")
    version = XlVersion(
        size=fields["Size"],
        last_modified=datetime.fromtimestamp(fields["MTime"] / 1e9, UTC),
        etag=user.get("etag", str(fields["MTime"])),
        data_folder=str(uuid.UUID(bytes=fields["DDir"])),
        parts=parts,
        block_bytes=_positive(fields["EcBSize"]),
    )
    content = _inline_data(version, fields, system, inline, part_exists)
    return version if content is None else XlVersion(**{**vars(version), "inline": content})


def _refuse_unreadable(
    fields: Mapping[str, Any], system: Mapping[str, Any], user: Mapping[str, str], savepath: str
) -> None:
    drives = fields["EcM"] + fields["EcN"]
    if (fields["EcM"], fields["EcN"], len(fields["EcDist"])) != (1, 0, 1):
        raise _unreadable(savepath, f"spread over {drives} drives, of which this is one")
    if fields["EcAlgo"] != 1 or fields["CSumAlgo"] != 1:
        raise _unreadable(savepath, "stored with an algorithm that the extractor does not know")
    refuse_transformed(system, user, savepath)
    original = fields.get("PartASizes") or fields["PartSizes"]
    if any(was not in (is_, -1) for was, is_ in zip(original, fields["PartSizes"], strict=True)):
        raise _unreadable(savepath, "compressed or encrypted")


def refuse_transformed(system: Mapping[str, Any], user: Mapping[str, str], savepath: str) -> None:
    """Refuse an object whose stored bytes are not its content, by its metadata (keys in lower case).

    Raises:
        NotReadableHere: it is encrypted, compressed, or moved to a remote tier.
    """
    if any(
        key.startswith("x-minio-internal-server-side-encryption-") or key == "x-minio-internal-encrypted-multipart"
        for key in system
    ):
        raise _unreadable(savepath, "encrypted")
    if "x-minio-internal-compression" in system:
        raise _unreadable(savepath, "compressed")
    status = system.get("x-minio-internal-transition-status", b"")
    restored = 'ongoing-request="false"' in user.get("x-amz-restore", "")
    if status in (b"complete", "complete") and not restored:
        raise _unreadable(savepath, "moved to a remote tier")


def _inline_data(
    version: XlVersion, fields: Mapping[str, Any], system: Mapping[str, Any], section: bytes, part_exists: bool
) -> bytes | None:
    """The content in xl.meta itself, its bitrot hashes verified; None if part files hold it."""
    if version.size == 0:
        return b""
    if not section:
        return None
    if section[0] != 1:
        raise ValueError("inline data")
    stored: Mapping[str, bytes] = _unpack(section[1:])
    is_null = fields["ID"] == _NULL_VERSION
    name = "null" if is_null else str(uuid.UUID(bytes=fields["ID"]))
    blocks = stored.get(name) or stored.get(version.data_folder)
    if not blocks or ("x-minio-internal-inline-data" not in system and not is_null and part_exists):
        return None
    content = bytearray()
    for start in range(0, len(blocks), HASH_BYTES + version.block_bytes):
        block = blocks[start + HASH_BYTES : start + HASH_BYTES + version.block_bytes]
        if highway_hash(block) != blocks[start : start + HASH_BYTES]:
            raise ValueError("bitrot hash")
        content += block
    if len(content) != version.size:
        raise ValueError("inline size")
    return bytes(content)


def part_file_bytes(content_bytes: int, block_bytes: int) -> int:
    """Exact size of a part file: its content and a hash for each block."""
    return content_bytes + HASH_BYTES * math.ceil(content_bytes / block_bytes)


def _positive(number: int) -> int:
    if number <= 0:
        raise ValueError("block size")
    return number


def _reader(data: bytes) -> "msgpack.Unpacker":
    reader = msgpack.Unpacker(
        raw=False, unicode_errors="replace", strict_map_key=False, max_buffer_size=MAX_META_BYTES, max_str_len=1 << 20
    )
    reader.feed(data)
    return reader


def _unpack(data: bytes) -> Any:
    return _reader(data).unpack()


def _gone(savepath: str) -> ObjectNotFound:
    return ObjectNotFound(f"there is no object {savepath} (its newest version is deleted)")


def _unreadable(savepath: str, how: str) -> NotReadableHere:
    return NotReadableHere(f"{savepath} is {how}, so its bytes cannot be read from this drive")
