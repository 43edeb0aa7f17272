"""What a command prints is the same bytes on a terminal and off it, in a file and in a pipe; a reader may leave early.

One process imports the commands once; each run is a fork of it, on a real pseudo-terminal. Every fourth command is also
read by a reader that has left, and by a disk that is full.
"""

import asyncio
import json
import os
import pty
import signal
import subprocess
import sys
import threading
import time
from functools import partial

import pytest

from orchestrator.cli.bars import bars
from orchestrator.cli.options import confirmed
from tests.orchestrator.commands import read_until
from tests.reelscribe.http.process import begin_session
from tests.waiting import TIMEOUT_SECONDS

PROGRAM = """
import fcntl, json, os, pkgutil, pty, select, struct, sys, tempfile, termios
from importlib import import_module
from orchestrator import cli
from orchestrator.__main__ import main as command

import orchestrator.database.schema, orchestrator.exports.files, rich.live, rich.progress, rich.table
for found in pkgutil.iter_modules(cli.__path__):
    if found.name != "services":
        import_module("orchestrator.cli." + found.name)
os.environ.update(TERM="xterm")


def run(arguments, on_terminal, out):
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("4H", 24, 80, 0, 0))
    said, saying = os.pipe()
    child = os.fork()
    if child == 0:
        os.setsid()
        fcntl.ioctl(theirs, termios.TIOCSCTTY, 0)
        os.dup2(theirs if on_terminal else os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(out, 1)
        os.dup2(theirs if on_terminal else saying, 2)
        os.closerange(3, 100)
        sys.argv = ["orchestrator", *arguments]
        try:
            command()
        except SystemExit as left:
            os._exit(left.code or 0)
        os._exit(99)
    os.close(theirs), os.close(saying), os.close(out)
    shown = b""
    read = ours if on_terminal else said
    while select.select([read], [], [], 60)[0]:
        try:
            if not (some := os.read(read, 65536)):
                break
        except OSError:  # the other end of the terminal is closed
            break
        shown += some
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    os.close(ours), os.close(said)
    return code, shown.decode()


def into_pipe(arguments, on_terminal):
    reading, writing = os.pipe()
    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, 1 << 20)
    code, shown = run(arguments, on_terminal, writing)
    with os.fdopen(reading, "rb") as pipe:
        return code, pipe.read().decode(), shown


def into_file(arguments):
    with tempfile.TemporaryFile() as file:
        code, shown = run(arguments, True, os.dup(file.fileno()))
        file.seek(0)
        return code, file.read().decode(), shown


def into_full_disk(arguments):
    code, shown = run(arguments, False, os.open("/dev/full", os.O_WRONLY))
    return code, "", shown


def into_closed_pipe(arguments):
    reading, writing = os.pipe()
    os.close(reading)
    code, shown = run(arguments, False, writing)
    return code, "", shown


results = []
for number, arguments in enumerate(json.load(sys.stdin)):
    ways = [into_pipe(arguments, False), into_file(arguments)]
    ways += [into_pipe(arguments, True)]
    if number % 4 == 0:
        ways += [into_closed_pipe(arguments), into_full_disk(arguments)]
    results.append([arguments, *ways])
json.dump(results, sys.stdout)
"""

COMMANDS = (
    "export a/one.mp4 --format srt",
    "export a/one.mp4 --output - --format json",
    "export --all --output - --format jsonl",
    "show a/one.mp4 --format srt",
    "status",
    "status --json",
    "show a/one.mp4 --json",
    "search words --json",
    "search words",
    "status a/one.mp4",
    "failed",
    "failed --json",
    "list",
    "list --json",
    "verify --all",
    "verify --all --json",
    "submit a/one.mp4 --dry-run --json",
    "retry a/one.mp4",
    "cancel a/one.mp4 --json",
    "cancel --prefix none/ --json",
    "delete --code none --json --yes",
    "pause --prefix archive/ --json",
    "limit 2 --prefix archive/",
    "resume --prefix none/ --json",
    "submit a/one.mp4 --wait --json",
    "export --all --output FOLDER --json",
    "prune --dry-run --json",
    "check --json",
    "config",
    "config --default",
)


@pytest.fixture
async def transcripts(store_transcript, submit, sql):
    await store_transcript("a/one.mp4", *(f"Words, number {number}." for number in range(2)))
    await store_transcript("b/two.mp4", "More words.")
    await submit("broken.mp4")
    await sql(
        "update transcriptions set state = 'failed', error_code = 'no_audio_track', error_message = 'no sound',"
        " finished_at = now() where state = 'queued'"
    )
    await sql("update jobs set created_at = now() - interval '9 days', finished_at = finished_at - interval '9 days'")


async def test_what_is_printed_does_not_depend_on_a_terminal_and_may_be_cut(orchestrator, transcripts, tmp_path):
    config = orchestrator.config.read_text().replace(
        "[orchestrator]", "[orchestrator]\nextractor_url=http://127.0.0.1:9"
    )
    orchestrator.config.write_text(config)
    runs = [
        [*command.replace("FOLDER", str(tmp_path / "o")).split(), "--config", str(orchestrator.config)]
        for command in COMMANDS
    ]
    program = [sys.executable, "-c", PROGRAM]
    done = subprocess.run(program, input=json.dumps(runs), capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stderr
    for arguments, (code, printed, said), file, pipe, *further in json.loads(done.stdout):
        assert printed and "Traceback" not in said and "\x1b" not in printed, (arguments, said)
        assert code == (1 if arguments[0] in ("check", "resume", "delete") else 0), (arguments, said)
        assert file[:2] == pipe[:2] == [code, printed], arguments
        if further:
            closed, full = further
            assert (closed[0], "Traceback" in closed[2], "Exception" in closed[2]) == (141, False, False), closed
            last_line = full[2].splitlines()[-1]
            assert (full[0], last_line) == (1, "standard output cannot be written: No space left on device"), full
            assert "Traceback" not in full[2]


async def test_a_terminal_that_closes_ends_what_follows_jobs_without_a_word(orchestrator, tmp_path):
    for number, arguments in enumerate((["submit", "a.mp4", "--wait"], ["status", "--watch"])):
        ours, theirs = pty.openpty()
        with (tmp_path / "said").open("w+") as said:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "orchestrator", *arguments, "--config", str(orchestrator.config)),
                stdout=theirs,
                stderr=said if number else theirs,
                env={**os.environ, "TERM": "xterm"},
                preexec_fn=partial(begin_session, theirs),
            )
            os.close(theirs)
            await asyncio.to_thread(read_until, ours, "queued")
            os.close(ours)
            code = await asyncio.wait_for(process.wait(), 60)
            said.seek(0)
            assert (code, said.read()) == (130, ""), arguments


async def test_sigterm_ends_a_command_that_asks(orchestrator, submit):
    await submit("a.mp4")
    ours, theirs = pty.openpty()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "orchestrator", "delete", "a.mp4", "--config", str(orchestrator.config)),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    shown = await asyncio.to_thread(read_until, ours, "[y/N]")
    process.terminate()
    assert await asyncio.wait_for(process.wait(), 60) == 130, shown
    os.close(ours)


def test_a_signal_that_interrupts_no_read_ends_a_question(monkeypatch):
    """As one that comes just before the read, or in another thread."""
    unanswered, never_written = os.pipe()
    with os.fdopen(unanswered) as questioned:
        monkeypatch.setattr(sys, "stdin", questioned)
        threading.Timer(0.5, lambda: signal.pthread_kill(threading.get_ident(), signal.SIGTERM)).start()
        began = time.monotonic()
        with pytest.raises(KeyboardInterrupt):
            confirmed("Remove it?", yes=False)
        assert time.monotonic() - began < TIMEOUT_SECONDS  # and not because the test has timed out
    os.close(never_written)


def test_what_is_printed_while_a_bar_is_shown_stays_on_standard_output(monkeypatch, capsys):
    monkeypatch.setenv("FORCE_COLOR", "1")  # rich takes standard error for a terminal then
    with bars() as progress:
        progress.add_task("")
        print("data")
    assert capsys.readouterr().out == "data\n"
