"""Objects in MinIO's own layout: their exact bytes, or why they cannot be read."""

import io
import os
import uuid
import zipfile
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from extractor_api.minio import xl_object
from extractor_api.minio.highway_hash import highway_hash
from extractor_api.minio.xl_meta import DamagedMeta, current_version
from extractor_api.storage import LocalStorage
from reelscribe.errors import NotReadable, ObjectNotFound
from reelscribe.media.ffmpeg import FFmpeg
from reelscribe.settings.extractor import PathsSection
from tests.extractor_api.conftest import Serve
from tests.extractor_api.minio_drive import BLOCK, Version, format_drive, old_xl_meta, write_object, xl_meta

FIXTURES = Path(__file__).parents[2] / "minio"
ID = uuid.UUID("11111111-2222-3333-4444-555555555555").bytes


@pytest.fixture
def data_path(tmp_path: Path) -> Path:
    (tmp_path / "videos").mkdir()
    format_drive(tmp_path)
    return tmp_path


@pytest.fixture
def bucket(data_path: Path) -> Path:
    return data_path / "videos"


@pytest.fixture
def storage(data_path: Path) -> LocalStorage:
    return LocalStorage(PathsSection(minio_data_path=data_path))


def content(storage: LocalStorage, savepath: str = "a.mp4") -> bytes:
    with storage.open(savepath) as stored:
        data = stored.read(0, stored.size + 100)
        assert len(data) == stored.size
        for offset in (0, 1, BLOCK - 1, BLOCK, BLOCK + 1, stored.size - 1):
            assert stored.read(offset, 10) == data[max(0, offset) : max(0, offset) + 10] or offset < 0
        return data


@pytest.mark.parametrize("size", [1, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK, 2_543_749])
def test_one_part_of_any_size_gives_its_exact_bytes(storage: LocalStorage, bucket: Path, size: int) -> None:
    data = os.urandom(size)
    write_object(bucket, "a.mp4", [Version([data])])
    assert content(storage) == data


def test_many_parts_with_gaps_in_their_numbers_are_joined_in_order(storage: LocalStorage, bucket: Path) -> None:
    parts = [os.urandom(size) for size in (5 * BLOCK + 7, BLOCK, 123)]
    folder = write_object(bucket, "a.mp4", [version := Version(parts, part_numbers=[2, 3, 7])])
    (folder / str(uuid.UUID(bytes=version.data_dir)) / "part.5").write_bytes(b"a leftover")
    assert content(storage) == b"".join(parts)


def test_small_objects_are_inside_xl_meta(storage: LocalStorage, bucket: Path) -> None:
    write_object(bucket, "a.mp4", [Version([data := os.urandom(50_000)], inline=True)])
    assert content(storage) == data


def test_an_empty_object_is_empty(storage: LocalStorage, bucket: Path) -> None:
    write_object(bucket, "a.mp4", [Version([])])
    assert content(storage) == b""


def test_the_inline_flag_without_data_means_part_files(storage: LocalStorage, bucket: Path) -> None:
    version = Version([b"in a part"], system={"x-minio-internal-inline-data": b"true"})
    write_object(bucket, "a.mp4", [version])
    assert content(storage) == b"in a part"


def test_of_a_versioned_object_the_first_is_current(storage: LocalStorage, bucket: Path) -> None:
    versions = [Version([b"new"], version_id=ID), Version([b"old" * BLOCK], modified_ns=1)]
    write_object(bucket, "a.mp4", versions)
    assert content(storage) == b"new"


def test_a_free_version_is_skipped(storage: LocalStorage, bucket: Path) -> None:
    write_object(bucket, "a.mp4", [Version(deleted=True, version_id=ID, flags=1), Version([b"still here"])])
    assert content(storage) == b"still here"


@pytest.mark.parametrize("minor", [0, 1, 2])
def test_before_1_3_the_youngest_version_is_current(minor: int, storage: LocalStorage, bucket: Path) -> None:
    versions = [Version([b"old"], modified_ns=1), Version([b"new"], modified_ns=3), Version([b"mid"], modified_ns=2)]
    write_object(bucket, "a.mp4", versions, meta=old_xl_meta(versions, minor))
    assert content(storage) == b"new"


def test_size_time_and_etag_are_the_objects(storage: LocalStorage, bucket: Path) -> None:
    write_object(bucket, "a.mp4", [Version([b"hello"])])
    with storage.open("a.mp4") as stored:
        assert stored.etag == "5d41402abc4b2a76b9719d911017c592"
        assert (stored.size, stored.last_modified.isoformat()) == (5, "2023-11-14T22:13:20+00:00")


def test_an_object_and_another_below_it_both_exist(storage: LocalStorage, bucket: Path) -> None:
    write_object(bucket, "a", [Version([b"outer"])])
    write_object(bucket, "a/b", [Version([b"inner"])])
    assert (content(storage, "a"), content(storage, "a/b")) == (b"outer", b"inner")


@pytest.mark.parametrize(
    "versions",
    [
        [Version(deleted=True, version_id=ID), Version([b"old"])],
        [],
        [Version(deleted=True, flags=1)],
        [Version([b"x"], system={"x-minio-internal-purgestatus": b"PENDING"})],
    ],
    ids=["delete marker", "no version", "only free versions", "purge pending"],
)
def test_a_deleted_object_is_not_found(storage: LocalStorage, bucket: Path, versions: list[Version]) -> None:
    write_object(bucket, "a.mp4", versions)
    with pytest.raises(ObjectNotFound):
        content(storage)


def test_files_inside_an_object_are_not_objects(storage: LocalStorage, bucket: Path) -> None:
    version = Version([b"x"])
    write_object(bucket, "a.mp4", [version])
    (bucket / "stray.mp4").write_bytes(b"not an object of MinIO's")
    for savepath in ("a.mp4/xl.meta", f"a.mp4/{uuid.UUID(bytes=version.data_dir)}/part.1", "stray.mp4"):
        with pytest.raises(ObjectNotFound):
            content(storage, savepath)


REFUSED = {
    "encrypted": (Version([b"x"], system={"X-Minio-Internal-Server-Side-Encryption-Sealed-Key": b"k"}), "encrypted"),
    "encrypted parts": (Version([b"x"], system={"X-Minio-Internal-Encrypted-Multipart": b""}), "encrypted"),
    "compressed": (Version([b"x"], system={"X-Minio-Internal-compression": b"klauspost/compress/s2"}), "compressed"),
    "other sizes": (Version([b"x"], fields={"PartASizes": [7]}), "compressed or encrypted"),
    "tiered": (Version([b"x"], system={"X-Minio-Internal-transition-status": b"complete"}), "remote tier"),
    "2+2 drives": (Version([b"x"], fields={"EcM": 2, "EcN": 2, "EcDist": [1, 2, 3, 4]}), "4 drives"),
    "algorithm": (Version([b"x"], fields={"CSumAlgo": 9}), "algorithm"),
}


@pytest.mark.parametrize("case", list(REFUSED))
def test_what_is_elsewhere_or_transformed_is_refused_with_a_hint(
    storage: LocalStorage, bucket: Path, case: str
) -> None:
    version, words = REFUSED[case]
    write_object(bucket, "a.mp4", [version])
    with pytest.raises(NotReadable, match=words) as refused:
        content(storage)
    assert "[minio] endpoint" in refused.value.message


def test_a_restored_object_is_read(storage: LocalStorage, bucket: Path) -> None:
    restored = Version(
        [b"back"],
        system={"x-minio-internal-transition-status": b"complete"},
        user={"x-amz-restore": 'ongoing-request="false", expiry-date="Fri, 21 Dec 2040 00:00:00 GMT"'},
    )
    write_object(bucket, "a.mp4", [restored])
    assert content(storage) == b"back"


def test_a_part_of_the_wrong_size_is_damage(storage: LocalStorage, bucket: Path) -> None:
    folder = write_object(bucket, "a.mp4", [version := Version([bytes(2 * BLOCK)])])
    part = folder / str(uuid.UUID(bytes=version.data_dir)) / "part.1"
    part.write_bytes(part.read_bytes()[:-1])
    with pytest.raises(DamagedMeta, match="part 1 has"):
        content(storage)


def test_a_flipped_bit_of_inline_data_is_seen(storage: LocalStorage, bucket: Path) -> None:
    data = bytearray(xl_meta([Version([b"precious" * 100], inline=True)]))
    data[-1] ^= 1
    write_object(bucket, "a.mp4", [], meta=bytes(data))
    with pytest.raises(DamagedMeta):
        content(storage)


def test_every_truncation_and_every_flipped_byte_of_xl_meta_is_detected(storage: LocalStorage, bucket: Path) -> None:
    meta = xl_meta([Version([b"precious"], inline=True)])
    for at in range(1, len(meta)):
        for damaged in (meta[:at], meta[:at] + bytes([meta[at] ^ 0x41]) + meta[at + 1 :]):
            try:
                version = current_version(damaged, "a.mp4")
            except (NotReadable, ObjectNotFound):
                continue
            assert version.inline in (b"precious", None), "never other bytes"


def test_an_overwrite_between_meta_and_parts_is_read_again(
    storage: LocalStorage, bucket: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_object(bucket, "a.mp4", [Version([b"new"])])
    new = (bucket / "a.mp4" / "xl.meta").read_bytes()
    stale = xl_meta([Version([b"overwritten"])])
    (bucket / "a.mp4" / "xl.meta").write_bytes(stale)
    read = xl_object._read_version

    def then_overwrite(folder: Path, savepath: str) -> object:
        version = read(folder, savepath)
        (folder / "xl.meta").write_bytes(new)
        return version

    monkeypatch.setattr(xl_object, "_read_version", then_overwrite)
    assert content(storage) == b"new"


@pytest.mark.parametrize("parts", [[bytes(5 * BLOCK)], [b"a", b"b", b"c"]])
def test_more_parts_and_blocks_than_open_files_are_allowed_is_refused_before_ffmpeg_starts(
    storage: LocalStorage, bucket: Path, monkeypatch: pytest.MonkeyPatch, parts: list[bytes]
) -> None:
    write_object(bucket, "a.mp4", [Version(parts)])
    monkeypatch.setattr("resource.getrlimit", lambda kind: (68, 68))
    with pytest.raises(NotReadable, match="LimitNOFILE"):
        content(storage)


def test_a_drive_of_an_erasure_set_is_refused(storage: LocalStorage, data_path: Path, bucket: Path) -> None:
    format_drive(data_path, "xl", drives=4)
    (bucket / "a.mp4").write_bytes(b"a fragment")
    with pytest.raises(NotReadable, match="one of 4"):
        content(storage)


def test_a_drive_in_fs_mode_has_plain_files_and_their_metadata(
    storage: LocalStorage, data_path: Path, bucket: Path
) -> None:
    format_drive(data_path, "fs")
    (bucket / "a.mp4").write_bytes(b"plain")
    notes = data_path / ".minio.sys" / "buckets" / "videos" / "a.mp4" / "fs.json"
    notes.parent.mkdir(parents=True)
    notes.write_text('{"version":"1.0.2","meta":{"etag":"abc"}}')
    with storage.open("a.mp4") as stored:
        assert (stored.read(0, 10), stored.etag) == (b"plain", "abc")
    notes.write_text('{"meta":{"X-Minio-Internal-Server-Side-Encryption-Iv":"x"}}')
    with pytest.raises(NotReadable, match="encrypted"):
        content(storage)


def real_metas() -> dict[str, bytes]:
    """The xl.meta files of minio/minio's own tests (see tests/minio/README.md)."""
    metas = {"xl.meta 1.0": (FIXTURES / "cmd-testdata" / "xl.meta").read_bytes()}
    for archive in (FIXTURES / "cmd-testdata").glob("*.zip"):
        with zipfile.ZipFile(io.BytesIO(archive.read_bytes())) as opened:
            metas |= {f"{archive.name}/{name}": opened.read(name) for name in opened.namelist() if "xl" in name}
    for path in (FIXTURES / "cicd-corpus").rglob("xl.meta"):
        metas[str(path.relative_to(FIXTURES))] = path.read_bytes()
    return {name: meta for name, meta in metas.items() if meta.startswith(b"XL2 ")}


@pytest.mark.parametrize("name", list(real_metas()))
def test_real_files_of_larger_sets_are_parsed_and_refused(name: str) -> None:
    with pytest.raises(NotReadable, match="drives, of which this is one") as refused:
        current_version(real_metas()[name], "a.mp4")
    assert not isinstance(refused.value, DamagedMeta)


def test_there_are_real_files_of_every_version() -> None:
    kinds = {meta[4:8] for meta in real_metas().values()}
    assert {b"1   ", b"\x01\x00\x02\x00", b"\x01\x00\x03\x00"} <= kinds


def test_the_hash_of_a_real_part_file_is_ours() -> None:
    (part,) = (FIXTURES / "cicd-corpus").rglob("part.1")
    data = part.read_bytes()
    assert highway_hash(data[32:]) == data[:32]


@pytest.mark.parametrize("layout", ["one part", "many parts", "inline"])
@pytest.mark.parametrize("index_at", ["front", "end"])
async def test_ffmpeg_decodes_the_same_from_xl_meta_as_from_a_plain_file(
    serve: Serve, tmp_path: Path, data_path: Path, bucket: Path, each_ffmpeg: FFmpeg, make_video: Callable[..., Path],
    layout: str, index_at: str,
) -> None:  # fmt: skip
    speech, *codec = ("short.flac",) if layout == "inline" else ("minute.flac", "-c:a", "pcm_s16le", "-ar", "48000")
    flags = "faststart" if index_at == "front" else "0"
    data = make_video(tmp_path / "made.mov", speech, *codec, "-movflags", flags).read_bytes()
    assert layout == "inline" or len(data) > 5 * BLOCK
    half = len(data) // 2
    parts = [data[:half], data[half:]] if layout == "many parts" else [data]
    write_object(bucket, "xl.mov", [Version(parts, inline=layout == "inline")])
    plain = tmp_path / "plain" / "videos"
    plain.mkdir(parents=True)
    (plain / "xl.mov").write_bytes(data)
    bodies = []
    for folder in (data_path, plain.parent):
        client = await serve(ffmpeg=each_ffmpeg, data_path=folder)
        response = await client.post("/extract-audio", json={"savepath": "xl.mov", "audio_format": "wav", "start": 2})
        assert response.status_code == 200
        bodies.append(response.content)
    assert bodies[0] == bodies[1]


async def test_a_cut_video_in_xl_meta_is_seen_too(
    serve: Serve, tmp_path: Path, data_path: Path, bucket: Path, make_video: Callable[..., Path]
) -> None:
    data = make_video(tmp_path / "made.mp4", "minute.flac").read_bytes()
    write_object(bucket, "cut.mp4", [Version([data[: len(data) // 2]])])
    client = await serve(data_path=data_path)
    with pytest.raises(httpx.RemoteProtocolError):
        await client.post("/extract-audio", json={"savepath": "cut.mp4", "audio_format": "wav"})
