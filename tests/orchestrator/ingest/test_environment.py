"""yt-dlp's own environment, made with the real pip."""

import json
from pathlib import Path

import pytest

from tests.orchestrator.commands import InProcess


@pytest.fixture
def commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> InProcess:
    """Setup needs no database."""
    monkeypatch.setattr("reelscribe.logs.configure", lambda *_: None)
    (tmp_path / "config.cfg").write_text(
        "[ingest]\ndata_dir = ingest\n[database]\nurl = postgresql://127.0.0.1:9/none\n"
    )
    return InProcess(tmp_path / "config.cfg")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "ingest" / "environment"


async def test_setup_makes_an_environment_even_if_deno_cannot_be_had(
    folder: Path, commands: InProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "constraints.txt").write_text("deno < 0\n")  # as on a system without a wheel of it
    monkeypatch.setenv("PIP_CONSTRAINT", str(tmp_path / "constraints.txt"))
    monkeypatch.setenv("PIP_NO_COMPILE", "1")  # of 2,000 modules

    ran = await commands.run("ingest", "setup", "--json")

    if "No matching distribution found for yt-dlp" in ran.err:
        pytest.skip("no package index can be reached")
    assert ran.code == 0, ran.err
    made = json.loads(ran.out)
    assert made["folder"] == str(folder) and made["version"] >= "2026"
    assert (folder / "bin" / "yt-dlp").exists() and list(folder.glob("lib/*/site-packages/requests"))


async def test_setup_says_why_it_fails_and_touches_no_folder_of_something_else(
    folder: Path, commands: InProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder.mkdir(parents=True)
    (folder / "mine.txt").write_text("mine")
    ran = await commands.run("ingest", "setup")
    assert (ran.code, ran.err) == (1, f"{folder} holds something else; see [ingest] data_dir\n")
    assert (folder / "mine.txt").read_text() == "mine"
