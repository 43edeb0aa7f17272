"""Which config.cfg is read, and what is said about it."""

import os
import pty
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from reelscribe.errors import SettingsError
from reelscribe.settings.config_file import CONFIG_VARIABLE, choose_config, find_config, searched, shipped_config
from reelscribe.settings.loading import load_settings


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home, which is the current folder too."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / ".config"))
    monkeypatch.delenv(CONFIG_VARIABLE, raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def make(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("[server]\nport = 1\n")
    return path


def test_the_nearest_file_is_read(home, monkeypatch):
    assert [str(place) for place in searched()[::2]] == ["config.cfg", "/etc/reelscribe/config.cfg"]
    of_user = make(home / ".config/reelscribe/config.cfg")
    assert choose_config(None) == of_user
    make(home / "config.cfg")
    assert choose_config(None) == Path("config.cfg")
    monkeypatch.setenv(CONFIG_VARIABLE, str(make(home / "by_environment.cfg")))
    assert choose_config(None) == home / "by_environment.cfg"
    assert choose_config(home / "named.cfg") == home / "named.cfg"


@contextmanager
def ordinary_user() -> Iterator[None]:
    """Who may not read what is closed."""
    user = os.geteuid()
    os.seteuid(user or 65534)
    try:
        yield
    finally:
        os.seteuid(user)


@pytest.mark.parametrize("closed", ["reelscribe", "reelscribe/config.cfg"])
def test_one_that_is_closed_to_this_user_is_neither_replaced_by_the_defaults_nor_needed_for_a_server(
    closed, monkeypatch
):
    with TemporaryDirectory() as folder:
        monkeypatch.setenv("XDG_CONFIG_HOME", folder)
        Path(folder).chmod(0o755)
        file = make(Path(folder) / "reelscribe/config.cfg")
        (Path(folder) / closed).chmod(0)
        with ordinary_user():
            assert choose_config(None) == file
            with pytest.raises(SettingsError, match=f"{file}: cannot be read: Permission denied"):
                load_settings(file)
            assert find_config(only_readable=True) is None
        (Path(folder) / closed).chmod(0o700)
        assert find_config(only_readable=True) == file


def test_that_none_was_found_is_said_with_where_it_was_searched(home, capsys, monkeypatch):
    monkeypatch.setattr(
        "reelscribe.settings.config_file.searched", lambda: (Path("config.cfg"), Path("/no/config.cfg"))
    )
    assert choose_config(None) is None
    said = capsys.readouterr()
    assert (said.out, said.err.count("\n")) == ("", 1)
    assert f"no config.cfg was found, so the defaults apply; searched: {home}/config.cfg, /no/config.cfg" in said.err
    monkeypatch.setenv(CONFIG_VARIABLE, "")
    assert (choose_config(None), capsys.readouterr().err) == (None, "")


def test_which_one_was_found_is_said_on_a_terminal_only(home, capsys):
    make(home / "config.cfg")
    choose_config(None)
    choose_config(home / "config.cfg")
    assert capsys.readouterr().err == ""
    ours, theirs = pty.openpty()
    program = "from reelscribe.settings.config_file import choose_config; choose_config(None)"
    root = Path(__file__).parents[3]
    environment = {**os.environ, "PYTHONPATH": str(root)}
    subprocess.run([sys.executable, "-c", program], cwd=home, env=environment, stderr=theirs, check=True)
    os.close(theirs)
    assert os.read(ours, 1000).decode() == f"config: {home}/config.cfg\r\n"
    os.close(ours)


def test_the_shipped_file_is_the_one_at_the_root_of_the_project():
    assert shipped_config().read_text() == (Path(__file__).parents[3] / "config.cfg").read_text()
