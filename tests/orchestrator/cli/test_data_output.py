"""What a command prints is the same bytes on a terminal and off it, in a file and in a pipe; a reader may leave early.

One process imports the commands once; each run is a fork of it, on a real pseudo-terminal. Every fourth command is also
read from a pipe on a terminal, and by a reader that has left.
"""

import json
import subprocess
import sys

import pytest

from orchestrator.cli.submission.progress import bars

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
    while readable := select.select([ours, said], [], [], 60)[0]:
        try:
            if not (some := b"".join(os.read(end, 65536) for end in readable)):
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


def into_closed_pipe(arguments):
    reading, writing = os.pipe()
    os.close(reading)
    code, shown = run(arguments, False, writing)
    return code, "", shown


results = []
for number, arguments in enumerate(json.load(sys.stdin)):
    ways = [into_pipe(arguments, False), into_file(arguments)]
    if number % 4 == 0:
        ways += [into_pipe(arguments, True), into_closed_pipe(arguments)]
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


async def test_what_is_printed_does_not_depend_on_a_terminal_and_may_be_cut(orchestrator, transcripts):
    config = orchestrator.config.read_text().replace(
        "[orchestrator]", "[orchestrator]\nextractor_url=http://127.0.0.1:9"
    )
    orchestrator.config.write_text(config)
    runs = [[*command.split(), "--config", str(orchestrator.config)] for command in COMMANDS]
    program = [sys.executable, "-c", PROGRAM]
    done = subprocess.run(program, input=json.dumps(runs), capture_output=True, text=True, timeout=110)
    assert done.returncode == 0, done.stderr
    for arguments, (code, printed, said), file, *further in json.loads(done.stdout):
        assert printed and "Traceback" not in said and "\x1b" not in printed, (arguments, said)
        assert code == (1 if arguments[0] == "check" else 0), (arguments, said)
        assert file[:2] == [code, printed], arguments
        if further:
            pipe, closed = further
            assert pipe[:2] == [code, printed], arguments
            assert (closed[0], "Traceback" in closed[2], "Exception" in closed[2]) == (141, False, False), closed


def test_what_is_printed_while_a_bar_is_shown_stays_on_standard_output(monkeypatch, capsys):
    monkeypatch.setenv("FORCE_COLOR", "1")  # rich takes standard error for a terminal then
    with bars() as progress:
        progress.add_task("")
        print("data")
    assert capsys.readouterr().out == "data\n"
