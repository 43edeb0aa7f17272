"""The bearer tokens that the services share."""

from pathlib import Path

import pytest

from reelscribe.errors import SettingsError
from reelscribe.http.access.tokens import Tokens


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
    assert tokens.of_header("Bearer new-token") and tokens.of_header("bearer old-token")


def test_the_first_one_is_sent(token_file):
    assert Tokens.from_file(token_file).headers() == {"Authorization": "Bearer new-token"}


@pytest.mark.parametrize("header", [None, "", "Bearer ", "Bearer new", "Bearer # rotated in May", "Basic new-token"])
def test_nothing_else_is_accepted(token_file, header):
    assert not Tokens.from_file(token_file).of_header(header)


def test_a_header_that_is_not_ascii_is_refused_not_fatal(token_file):
    assert not Tokens.from_file(token_file).of_header("Bearer n\xe9w-token")


def test_without_a_file_there_are_no_tokens_and_nothing_is_sent():
    tokens = Tokens.from_file(None)
    assert not tokens and tokens.headers() == {}


def test_a_missing_file_is_a_mistake_and_does_not_admit_everyone(tmp_path):
    assert problems(tmp_path / "no") == [f"[auth] token_file: {tmp_path}/no cannot be read: No such file or directory"]


def test_a_file_without_tokens_is_a_mistake_and_does_not_admit_everyone(tmp_path):
    (tmp_path / "tokens").write_text("# nothing yet\n")
    assert "holds no token" in problems(tmp_path / "tokens")[0]


def test_a_token_may_have_a_name_and_scopes_and_without_them_may_do_everything(tmp_path):
    lines = "plain\n# a comment\nhers  ada\t submit\n\nhis bob.b@example read,submit\nguest reader read\nplain\n"
    (tmp_path / "tokens").write_text(lines)
    tokens = Tokens.from_file(tmp_path / "tokens")
    assert [(token.secret, token.name, token.scope.value) for token in tokens.all] == [
        ("plain", "token-1", "admin"),
        ("hers", "ada", "submit"),
        ("his", "bob.b@example", "submit"),
        ("guest", "reader", "read"),
    ]
    assert tokens.headers() == {"Authorization": "Bearer plain"}
    assert (token := tokens.of_header("Bearer guest")) and token.name == "reader"
    assert "guest" not in repr(tokens.all)


MISTAKES = {
    "schl\u00fcssel": "a token is 1 to 512 ASCII characters without spaces",
    "correct horse battery staple": "a line is TOKEN, TOKEN NAME or TOKEN NAME SCOPE,SCOPE",
    "correct horse battery": "the third word names scopes, with commas between them: read, submit, admin",
    "correct horse read,battery": "the third word names scopes, with commas between them: read, submit, admin",
    "correct horse/battery": "a name is 1 to 64 letters, digits, '.', '_', '@' or '-'",
    "good again": "this token is that of line 1 too",
    "correct token-1": "this name is that of line 1 too",
}


def test_mistakes_are_named_by_their_lines_and_what_may_be_a_secret_is_not_shown(tmp_path):
    path = tmp_path / "tokens"
    path.write_text("good\n" + "\n".join(MISTAKES), encoding="utf-8")
    found = problems(path)
    assert found == [f"[auth] token_file: {path}:{n}: {said}" for n, said in enumerate(MISTAKES.values(), 2)]
    assert not [word for word in ("schl", "correct", "horse", "battery", "staple", "good") if word in "".join(found)]


def test_the_token_that_services_send_must_do_for_what_they_ask(tmp_path):
    (tmp_path / "tokens").write_text("secret reader read\nother")
    assert "tokens:1: the first token is the one that the services send each other" in problems(tmp_path / "tokens")[0]
