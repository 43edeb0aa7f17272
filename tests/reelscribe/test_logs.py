"""Log lines: for people, as JSON, and for systemd's journal."""

import json
import os
import re
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest

from reelscribe.log_context import noted, noting

PROGRAM = """
import logging
from reelscribe import logs

logs.configure()
logging.getLogger("extractor_api").info("path resolved: %s", "a.mp4")
logging.getLogger("httpx").info("every request of ours")
for reason in ("refused", "refused", "refused", "Permission denied"):
    logging.getLogger("psycopg.pool").warning("error connecting: %s", reason)
logging.getLogger("extractor_api").warning("two\\nlines")
logging.getLogger("extractor_api").warning("%s is obeyed by a terminal", "\\x1b[31mred\\u202e.mp4")
"""


def test_a_command_that_logs_only_errors_shows_no_warning_of_psycopg():
    """It sets its own level to warnings when it is imported, whatever the one of all loggers is."""
    logging_one = (
        "import logging; from reelscribe import logs; logs.configure(logging.ERROR)\n"
        'import psycopg; logging.getLogger("psycopg").warning("error ignored in rollback")'
    )
    completed = subprocess.run([sys.executable, "-c", logging_one], capture_output=True, text=True, check=True)
    assert completed.stderr == ""


def test_each_message_is_one_plain_line_on_standard_error():
    completed = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    stamp = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d"
    assert re.fullmatch(
        rf"{stamp} INFO    path resolved: a\.mp4\n"
        rf"{stamp} WARNING error connecting: refused\n{stamp} WARNING error connecting: Permission denied\n"
        rf"{stamp} WARNING two\n    lines\n"  # continued lines are indented
        rf"{stamp} WARNING \\x1b\[31mred\\u202e\.mp4 is obeyed by a terminal\n",
        completed.stderr,
    )
    assert completed.stdout == ""


ABOUT = """
import logging, sys
from reelscribe import log_context, logs

logs.configure(logging.DEBUG, sys.argv[1], "worker")
log = logging.getLogger("orchestrator.worker")
log.info("before")
with log_context.noting(job=12, savepath="talks/a\\nb.mp4", request_id="job-12.1-5eed"):
    log.warning("12 segments")
    log.debug("talks/a\\nb.mp4: done")
    try:
        {}["missing"]
    except KeyError:
        log.exception("two\\nlines")
log.critical("after")
"""


def test_as_text_a_line_says_which_job_savepath_and_request_it_is_about():
    lines = run(ABOUT, "text").splitlines()
    assert [line.split(" ", 2)[2] for line in lines[:2]] == [
        "INFO    before",
        "WARNING 12 segments [job 12, savepath talks/a\\nb.mp4, request job-12.1-5eed]",
    ]
    assert lines[2].endswith("DEBUG   talks/a")  # tornado indents what follows
    assert lines[3] == "    b.mp4: done [job 12, request job-12.1-5eed]"
    assert lines[-1].endswith("CRITICAL after")


def test_what_a_terminal_would_obey_is_shown_in_an_error_too():
    program = """
import logging
from reelscribe import logs

logs.configure()
try:
    raise ValueError("\\x1b[2J.mp4\\nno \\x07")
except ValueError:
    logging.getLogger("orchestrator.worker").exception("failed")
"""
    logged = run(program)
    assert logged.endswith("    ValueError: \\x1b[2J.mp4\n    no \\x07\n")
    assert not re.search("[\x1b\x07]", logged)


def test_as_json_each_message_is_one_object():
    lines = [json.loads(line) for line in run(ABOUT, "json").splitlines()]
    about = {"job": 12, "savepath": "talks/a\nb.mp4", "request_id": "job-12.1-5eed"}
    of_worker = {"service": "worker", "logger": "orchestrator.worker"}
    assert "KeyError" in lines[3].pop("exception")
    for line in lines:
        since = datetime.now(UTC) - datetime.fromisoformat(line.pop("time"))
        assert timedelta(0) <= since < timedelta(minutes=1)
    assert lines == [
        {**of_worker, "level": "info", "message": "before"},
        {**of_worker, "level": "warning", "message": "12 segments", **about},
        {**of_worker, "level": "debug", "message": "talks/a\nb.mp4: done", **about},
        {**of_worker, "level": "error", "message": "two\nlines", **about},
        {**of_worker, "level": "critical", "message": "after"},
    ]


@pytest.mark.parametrize("form", ["text", "json"])
def test_the_journal_gets_the_severity_of_each_line_and_no_time_twice(tmp_path, form):
    journal = tmp_path / "journal"
    with journal.open("wb") as stream:
        found = os.fstat(stream.fileno())
        command = [sys.executable, "-c", ABOUT, form]
        environment = {**os.environ, "JOURNAL_STREAM": f"{found.st_dev}:{found.st_ino}"}
        subprocess.run(command, stderr=stream, env=environment, check=True)
    lines = [(line[:3], line[3:]) for line in journal.read_text().splitlines()]
    if form == "json":
        assert [severity for severity, _ in lines] == ["<6>", "<4>", "<7>", "<3>", "<2>"]
        assert json.loads(lines[0][1])["message"] == "before"
    else:
        assert lines[0] == ("<6>", "before")
        assert {severity for severity, text in lines if "KeyError" in text or "Traceback" in text} == {"<3>"}


def test_another_stream_than_the_journals_has_no_severities(monkeypatch):
    monkeypatch.setenv("JOURNAL_STREAM", "1:2")
    assert "<" not in run(ABOUT, "text").partition("Traceback")[0]


def test_what_is_noted_ends_with_its_block():
    with noting(job=1), noting(attempt=2):
        assert noted() == {"job": 1, "attempt": 2}
    assert noted() == {}


def run(program: str, *arguments: str) -> str:
    """What a program writes on standard error."""
    command = [sys.executable, "-c", program, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stderr
