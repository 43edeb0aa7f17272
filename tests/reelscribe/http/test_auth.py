"""The bearer tokens that the services share."""

from pathlib import Path

import pytest

from reelscribe.errors import SettingsError
from reelscribe.http.auth import Tokens


@pytest.fixture
def token_file(tmp_path: Path) -> Path:
    path = tmp_path / "tokens"
    path.write_text("# rotated in May\nnew-token\n\n  old-token  \n", encoding="utf-8")
    return path


def problems(path: Path) -> list[str]:
    with pytest.raises(SettingsError) as wrong:
        Tokens.from_file(path)
    return wrong.value.problems


def test_every_token_of_the_file_is_accepted(token_file):
    tokens = Tokens.from_file(token_file)
    assert tokens.accept("Bearer new-token") and tokens.accept("bearer old-token")


def test_the_first_one_is_sent(token_file):
    assert Tokens.from_file(token_file).headers() == {"Authorization": "Bearer new-token"}


@pytest.mark.parametrize("header", [None, "", "Bearer ", "Bearer new", "Bearer # rotated in May", "Basic new-token"])
def test_nothing_else_is_accepted(token_file, header):
    assert not Tokens.from_file(token_file).accept(header)


def test_a_header_that_is_not_ascii_is_refused_not_fatal(token_file):
    assert not Tokens.from_file(token_file).accept("Bearer n\xe9w-token")


def test_without_a_file_everyone_is_accepted_and_nothing_is_sent():
    tokens = Tokens.from_file(None)
    assert tokens.accept(None) and not tokens and tokens.headers() == {}


def test_a_missing_file_is_a_mistake_and_does_not_admit_everyone(tmp_path):
    assert problems(tmp_path / "no") == [f"[auth] token_file: {tmp_path}/no cannot be read: No such file or directory"]


def test_a_file_without_tokens_is_a_mistake_and_does_not_admit_everyone(tmp_path):
    (tmp_path / "tokens").write_text("# nothing yet\n")
    assert "holds no token" in problems(tmp_path / "tokens")[0]


def test_what_cannot_be_a_token_is_named_by_its_line_and_not_shown(tmp_path):
    (tmp_path / "tokens").write_text("good\ntwo words\nschl\u00fcssel\n", encoding="utf-8")
    found = problems(tmp_path / "tokens")
    assert [f"{tmp_path}/tokens:{line}: a token is" in found[line - 2] for line in (2, 3)] == [True, True]
    assert "words" not in "".join(found)
