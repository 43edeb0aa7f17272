"""The sandbox of a child process: what it cannot do in there, and what still holds without bubblewrap."""

import os
import platform
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from reelscribe.media.ffmpeg import FFmpeg
from reelscribe.media.processes.sandbox import Sandbox, check_sandbox, child_environment, find_sandbox, killed_by

SHELL = Path("/bin/sh")


@pytest.fixture(scope="module")
def sandbox(local_ffmpeg: FFmpeg) -> Sandbox:
    found = find_sandbox(local_ffmpeg.path)
    if found.weakness:
        pytest.skip(found.weakness)
    return found


def run(sandbox: Sandbox, script: str, **options: object) -> "subprocess.CompletedProcess[str]":
    wrapped = sandbox.wrap([str(SHELL), "-c", script], cpu_seconds=5, **options)  # type: ignore[arg-type]
    return subprocess.run(wrapped, capture_output=True, text=True, close_fds=False)


def test_no_file_of_ours_can_be_read(sandbox: Sandbox, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("secret")
    assert "No such file" in run(sandbox, f"cat {secret}").stderr
    assert "No such file" in run(sandbox, "cat /etc/passwd").stderr


def test_more_files_can_be_made_visible_but_not_writable(sandbox: Sandbox, tmp_path: Path) -> None:
    (tmp_path / "library").mkdir()
    (tmp_path / "library" / "part").write_text("shown")
    (tmp_path / "secret").write_text("secret")
    seeing = sandbox.seeing([tmp_path / "library", tmp_path / "missing"])
    assert run(seeing, f"cat {tmp_path}/library/part").stdout == "shown"
    assert run(seeing, f"echo x > {tmp_path}/library/part").returncode != 0
    assert "No such file" in run(seeing, f"cat {tmp_path}/secret").stderr
    assert "No such file" in run(sandbox, f"cat {tmp_path}/library/part").stderr, "the other sandbox is as before"


def test_an_inherited_descriptor_can(sandbox: Sandbox, tmp_path: Path) -> None:
    (tmp_path / "input").write_text("given")
    with (tmp_path / "input").open() as file:
        os.set_inheritable(file.fileno(), True)
        assert run(sandbox, f"cat /proc/self/fd/{file.fileno()}").stdout == "given"


def test_no_connection_can_be_made(sandbox: Sandbox) -> None:
    assert run(sandbox, "cat /proc/net/dev").stdout.count(":") == 1, "only its own loopback"
    assert run(sandbox, "cat /proc/net/dev", network=True).stdout.count(":") >= 1


def test_nothing_can_be_written(sandbox: Sandbox, tmp_path: Path) -> None:
    assert run(sandbox, "echo x > /usr/x").returncode != 0
    assert not Path("/usr/x").exists()
    with (tmp_path / "output").open("wb") as file:
        os.set_inheritable(file.fileno(), True)
        script = f"echo x > /proc/self/fd/{file.fileno()}"
        assert run(sandbox, script).returncode != 0, "not even to what it inherits"
        assert (tmp_path / "output").read_text() == ""
        assert run(sandbox, script, may_write=True).returncode == 0
    assert (tmp_path / "output").read_text() == "x\n"


def test_it_has_no_capabilities_and_gains_no_privileges(sandbox: Sandbox) -> None:
    status = run(sandbox, "cat /proc/self/status").stdout
    assert "CapEff:\t0000000000000000" in status
    assert "NoNewPrivs:\t1" in status


def test_it_sees_no_other_process(sandbox: Sandbox) -> None:
    pids = run(sandbox, "for p in /proc/[0-9]*; do echo $p; done").stdout.split()
    assert len(pids) <= 3


def test_endless_work_is_ended(sandbox: Sandbox) -> None:
    wrapped = sandbox.wrap([str(SHELL), "-c", "while :; do :; done"], cpu_seconds=1)
    assert subprocess.run(wrapped, capture_output=True, timeout=20).returncode in (137, 152)


def test_memory_without_end_is_refused() -> None:
    limited = Sandbox(prlimit=shutil.which("prlimit"))
    hungry = [sys.executable, "-c", "x = bytearray(6 << 30)"]
    completed = subprocess.run(limited.wrap(hungry, cpu_seconds=30), capture_output=True, text=True)
    assert "MemoryError" in completed.stderr


def test_the_limit_of_open_files_is_the_highest_allowed() -> None:
    limited = Sandbox(prlimit=shutil.which("prlimit"))
    wrapped = limited.wrap([str(SHELL), "-c", "ulimit -n; ulimit -c"], cpu_seconds=5)
    shown = subprocess.run(wrapped, capture_output=True, text=True).stdout.split()
    assert shown == [str(resource.getrlimit(resource.RLIMIT_NOFILE)[1]), "0"]


def test_the_environment_holds_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REELSCRIBE_MINIO__SECRET_KEY", "secret")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    assert set(child_environment()) <= {"PATH", "LD_LIBRARY_PATH", "LANG"}


def test_without_bubblewrap_it_still_dies_with_us_and_gains_no_privileges() -> None:
    weak = Sandbox(setpriv=shutil.which("setpriv"), prlimit=shutil.which("prlimit"))
    assert "NoNewPrivs:\t1" in run(weak, "cat /proc/self/status").stdout


def test_a_kernel_that_refuses_the_sandbox_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refusing = tmp_path / "bwrap"
    refusing.write_text("#!/bin/sh\necho 'bwrap: No permissions to create new namespace' >&2\nexit 1\n")
    refusing.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    found = find_sandbox(SHELL)
    assert not found.bwrap
    assert "No permissions to create new namespace" in str(found.weakness)


def test_if_bubblewrap_is_missing_that_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_sandbox(SHELL) == Sandbox(weakness="bubblewrap is not installed")


MOUNT = {"x86_64": 165, "aarch64": 40}
UNDER_A_FILTER = """
import ctypes, struct, sys
from pathlib import Path
from reelscribe.media.processes.sandbox import check_sandbox, find_sandbox

# Load the number of the system call; if it is mount, kill the process, else allow the call.
forbidden = int(sys.argv[1])
instructions = (0x20, 0, 0, 0, 0x15, 0, 1, forbidden, 0x06, 0, 0, 0x80000000, 0x06, 0, 0, 0x7FFF0000)
program = struct.pack("=" + "HBBI" * 4, *instructions)
filter = ctypes.create_string_buffer(program)
header = ctypes.create_string_buffer(struct.pack("=HxxxxxxQ", 4, ctypes.addressof(filter)))
libc = ctypes.CDLL(None, use_errno=True)
assert libc.prctl(38, 1, 0, 0, 0) == 0  # no new privileges, which a filter needs
assert libc.prctl(22, 2, ctypes.c_void_p(ctypes.addressof(header)), 0, 0) == 0, ctypes.get_errno()
found = find_sandbox(Path("/bin/true"))
print(found.state, check_sandbox(found))
"""


def test_a_death_by_a_system_call_filter_is_named(sandbox: Sandbox) -> None:
    command = [sys.executable, "-c", UNDER_A_FILTER, str(MOUNT[platform.machine()])]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.stdout.startswith(
        "broken bubblewrap does not work here: killed by SIGSYS: a system-call filter forbids"
    ), done.stderr


@pytest.mark.parametrize(
    ("exit_code", "killer"), [(0, None), (1, None), (234, None), (-9, "SIGKILL"), (137, "SIGKILL"), (-40, "signal 40")]
)
def test_what_ended_a_child_is_known_by_its_exit_code(exit_code: int, killer: str | None) -> None:
    assert killed_by(exit_code) == killer


def test_a_missing_sandbox_is_no_failure_and_a_broken_one_is(sandbox: Sandbox) -> None:
    assert check_sandbox(sandbox) == "bubblewrap: no network, no files but the system's programs and libraries"
    assert isinstance(check_sandbox(Sandbox(weakness="bubblewrap is not installed")), str)
    assert isinstance(check_sandbox(Sandbox(weakness="it does not work", broken=True)), Exception)
