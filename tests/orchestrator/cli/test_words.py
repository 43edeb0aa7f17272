"""What commands say: in their help, of mistakes in their arguments, and of what was not found."""

import os

import pytest
from typer.testing import CliRunner

from orchestrator.cli.main import cli
from orchestrator.cli.submission.submit_report import SubmitReport
from reelscribe.languages import NAMES, SHORTER


@pytest.mark.parametrize("command", ["cancel", "delete", "submit"])
def test_an_unset_shell_variable_changes_nothing(command):
    outcome = CliRunner().invoke(cli, [command, "--prefix", "", "--config", "/no.cfg"])
    sentence = "--prefix: must not be empty; is a variable of the shell unset?\n"
    assert (outcome.exit_code, outcome.stderr) == (2, sentence)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ("limit -1", "must be at least 1"),
        ("export --all --output x --min-confidence 7", "--min-confidence: must be at most 1"),
        ("list --language ENG", "--language: 'eng' is written en here"),
        ("search horse --language deu", "--language: 'deu' is written de here"),
        ("search horse --language xx", "vi, yi, yo, yue, zh"),
        ("submit talks/", "submit all recordings in it with: orchestrator submit --prefix talks/"),
        (
            "submit a.mp4 a;b/",
            "'a;b/': a;b/ is a folder; submit all recordings in it with: orchestrator submit --prefix 'a;b/'",
        ),
        ("submit talks/ --bucket big", "orchestrator submit --prefix talks/ --bucket big"),
        ("submit ../", "must not contain '.' or '..' as a folder"),
        ("submit a.mp4 --language eng", "language: 'eng' is written en here"),
        ("submit a.mp4 --language English", "language: 'English' is written en here"),
        ("submit a.mp4 --language pt-BR", "language: 'pt-BR' is written pt here"),
        ("submit a.mp4 --languages de,EN", "languages.1: 'EN' is written en here"),
        ("submit a.mp4 --option language=xx", "vi, yi, yo, yue, zh"),
    ],
)
def test_a_mistake_is_said_with_the_words_of_the_command_line(arguments, sentence):
    outcome = CliRunner().invoke(cli, [*arguments.split(), "--config", "/no.cfg"])
    assert (outcome.exit_code, outcome.stderr.splitlines()[-1].endswith(sentence)) == (2, True), outcome.stderr


def test_the_codes_of_languages_are_those_that_a_transcript_can_have():
    from faster_whisper.tokenizer import _LANGUAGE_CODES

    assert set(NAMES) == set(_LANGUAGE_CODES)
    assert set(SHORTER.values()) - set(_LANGUAGE_CODES) == set()
    assert set(SHORTER) & set(_LANGUAGE_CODES) == set()


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("status", "[default: 10; 1 to 1,000]"),
        ("status", "SAVEPATHs, else all buckets"),
        ("retry", "SAVEPATHs, else all buckets"),
        ("submit", "-1,000 to 1,000]"),
        ("limit", "at least 1"),
        ("show", "[OPTIONS] SAVEPATH\n"),
        ("search", "[OPTIONS] WORDS...\n"),
    ],
)
def test_the_help_has_no_words_of_python(command, words):
    shown = CliRunner().invoke(cli, [command, "--help"]).output
    usage, _, rest = shown.partition("\n")
    assert words in usage + "\n" + " ".join(rest.split())


async def test_a_local_file_that_the_bucket_lacks_is_a_hint_to_upload_it(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "talk 1.mp4").touch()
    report = SubmitReport()
    report.add({"talk 1.mp4": "missing"})
    report.print([], dry_run=True, default_bucket="videos")
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].endswith(
        "there is no such object; a file of this computer has that name: upload it and submit it "
        "with: orchestrator submit --upload 'talk 1.mp4'"
    )
    assert lines[1] == "0 would be submitted: 1 missing"


async def test_what_may_not_be_looked_for_on_this_computer_is_no_hint(tmp_path, monkeypatch, capsys):
    (tmp_path / "closed").mkdir(mode=0)
    monkeypatch.chdir(tmp_path)
    report = SubmitReport()
    report.add({"closed/a.mp4": "missing"})
    user = os.geteuid()
    os.seteuid(user or 65534)  # to root, nothing is closed
    try:
        report.print([], dry_run=False, default_bucket="videos")
    finally:
        os.seteuid(user)
    assert capsys.readouterr().out.startswith("missing   closed/a.mp4: there is no such object\n")


async def test_a_single_failure_is_said_with_its_numbers(submit, sql, commands):
    await submit("a.mp4")
    message = "a.mp4: 1812.4 s are declared"
    await sql("update jobs set state = 'failed', error_code = 'x', error_message = %s, finished_at = now()", message)
    assert "1 job, x: 1812.4 s are declared\n" in (await commands.run("failed")).out
