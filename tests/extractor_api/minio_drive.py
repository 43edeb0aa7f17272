"""Writes objects as MinIO writes them on a single drive; docs/extractor.md describes the layout."""

import hashlib
import json
import struct
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgpack
import xxhash

from extractor_api.minio.highway_hash import highway_hash

BLOCK = 1 << 20
NULL = bytes(16)


@dataclass
class Version:
    """One version of an object; ``parts`` are its content, in order."""

    parts: Sequence[bytes] = ()
    part_numbers: Sequence[int] = ()
    inline: bool = False
    deleted: bool = False
    version_id: bytes = NULL
    modified_ns: int = 1_700_000_000_000_000_000
    system: dict[str, bytes] = field(default_factory=dict)
    user: dict[str, str] = field(default_factory=dict)
    fields: dict[str, Any] = field(default_factory=dict)
    data_dir: bytes = field(default_factory=lambda: uuid.uuid4().bytes)
    flags: int = 0

    @property
    def numbers(self) -> list[int]:
        return list(self.part_numbers) or list(range(1, len(self.parts) + 1))

    def body(self) -> dict[str, Any]:
        if self.deleted:
            return {"Type": 2, "DelObj": {"ID": self.version_id, "MTime": self.modified_ns}, "v": 1}
        content = b"".join(self.parts)
        sizes = [len(part) for part in self.parts]
        system = dict(self.system)
        if self.inline:
            system["x-minio-internal-inline-data"] = b"true"
        if len(self.parts) > 1:
            system["X-Minio-Internal-actual-size"] = str(len(content)).encode()
        described = {
            "ID": self.version_id, "DDir": self.data_dir, "EcAlgo": 1, "EcM": 1, "EcN": 0, "EcBSize": BLOCK,
            "EcIndex": 1, "EcDist": [1], "CSumAlgo": 1, "PartNums": self.numbers, "PartETags": None,
            "PartSizes": sizes, "PartASizes": sizes, "Size": len(content), "MTime": self.modified_ns,
            "MetaSys": system,
            "MetaUsr": {"etag": hashlib.md5(content).hexdigest(), "content-type": "video/mp4", **self.user},
        }  # fmt: skip
        return {"Type": 1, "V2Obj": {**described, **self.fields}, "v": 1}

    def header(self) -> list[Any]:
        kind, flags = (2, 0) if self.deleted else (1, 6 if self.inline else 2)
        return [self.version_id, self.modified_ns, b"sign", kind, flags | self.flags, 0, 1]


def hashed(content: bytes) -> bytes:
    """Content with the hash of each block before it; of part files only the size of the hash matters."""
    blocks = [content[at : at + BLOCK] for at in range(0, len(content), BLOCK)]
    return b"".join((highway_hash(block) if len(content) <= 1 << 17 else bytes(32)) + block for block in blocks)


def xl_meta(versions: Sequence[Version], *, meta_version: int = 3) -> bytes:
    """xl.meta 1.3, versions newest first."""
    reels = [msgpack.packb(3) + msgpack.packb(meta_version) + msgpack.packb(len(versions))]
    for version in versions:
        reels += [msgpack.packb(msgpack.packb(version.header())), msgpack.packb(msgpack.packb(version.body()))]
    return _wrapped(b"".join(reels), (1, 3), _inline_section(versions))


def old_xl_meta(versions: Sequence[Version], minor: int) -> bytes:
    """xl.meta 1.0, 1.1 or 1.2, versions in any order."""
    body = msgpack.packb({"Versions": [version.body() for version in versions]})
    if minor == 0:
        return b"XL2 1   " + body
    return _wrapped(body, (1, minor), _inline_section(versions), checksum=minor >= 2)


def _wrapped(body: bytes, version: tuple[int, int], inline: bytes, checksum: bool = True) -> bytes:
    crc = b"\xce" + struct.pack(">I", xxhash.xxh64_intdigest(body) & 0xFFFFFFFF) if checksum else b""
    return b"XL2 " + struct.pack("<HH", *version) + b"\xc6" + struct.pack(">I", len(body)) + body + crc + inline


def _inline_section(versions: Sequence[Version]) -> bytes:
    stored = {
        "null" if version.version_id == NULL else str(uuid.UUID(bytes=version.version_id)): hashed(
            b"".join(version.parts)
        )
        for version in versions
        if version.inline
    }
    return b"\x01" + msgpack.packb(stored) if stored else b""


def write_object(bucket: Path, savepath: str, versions: Sequence[Version], meta: bytes | None = None) -> Path:
    """Write xl.meta and the part files of every version; returns the object's folder."""
    folder = bucket / savepath
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "xl.meta").write_bytes(xl_meta(versions) if meta is None else meta)
    for version in versions:
        if version.parts and not version.inline:
            data_folder = folder / str(uuid.UUID(bytes=version.data_dir))
            data_folder.mkdir()
            for number, part in zip(version.numbers, version.parts, strict=True):
                (data_folder / f"part.{number}").write_bytes(hashed(part))
    return folder


def format_drive(data_path: Path, kind: str = "xl-single", drives: int = 1) -> None:
    """Write format.json."""
    (data_path / ".minio.sys").mkdir(exist_ok=True)
    ids = [str(uuid.uuid4()) for _ in range(drives)]
    described: dict[str, Any] = {"version": "1", "format": kind, "id": str(uuid.uuid4())}
    described["xl" if kind != "fs" else "fs"] = (
        {"version": "2"} if kind == "fs" else {"version": "3", "this": ids[0], "sets": [ids]}
    )
    (data_path / ".minio.sys" / "format.json").write_text(json.dumps(described))
