"""A sandbox for a child process that reads untrusted input: it reaches only what it needs, with bounded resources.

With bubblewrap (if it is installed and the kernel allows user namespaces): no network, no files but the system's
programs and libraries, read-only, and the descriptors it inherits; no capabilities, no new privileges, and it dies with
us. Without bubblewrap: no new privileges, and it dies with us (setpriv). Either way limits on CPU time, address space,
written bytes and core dumps (prlimit).
"""

import os
import resource
import shutil
import signal
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, Self

ADDRESS_SPACE_BYTES = 4 << 30
TRIAL_SECONDS = 10
SYSTEM_PATHS = ("/usr", "/lib", "/lib64", "/bin", "/etc/alternatives", "/etc/ld.so.cache")
_SIGNALS = (signal.SIGSYS, signal.SIGABRT, signal.SIGKILL, signal.SIGSEGV, signal.SIGXCPU, signal.SIGXFSZ)
_FILTER = "a system-call filter forbids what it does (SystemCallFilter of a systemd unit, seccomp of a container)"


def killed_by(exit_code: int) -> str | None:
    """The signal that ended a child, in words; None if none did.

    Args:
        exit_code: negative, or what bubblewrap exits with then: 128 and the signal's number.
    """
    if exit_code >= 0 and exit_code - 128 not in _SIGNALS:
        return None
    number = -exit_code if exit_code < 0 else exit_code - 128
    try:
        name = signal.Signals(number).name
    except ValueError:
        name = f"signal {number}"
    return f"{name}: {_FILTER}" if number == signal.SIGSYS else name


def has_run(status: bytes) -> bool:
    """Whether the program was started, by what bubblewrap wrote: it gives an exit code only if it is the program's."""
    return b'"exit-code"' in status


class SandboxBroken(Exception):
    """Bubblewrap is installed and does not work."""


@dataclass(frozen=True)
class Sandbox:
    """How to start a program in the sandbox.

    Attributes:
        bwrap: the bubblewrap command; empty if it does not work here.
        setpriv: path; used without bubblewrap.
        prlimit: path.
        weakness: why the sandbox is weaker than it could be, else None.
        broken: bubblewrap is installed and does not work here.
    """

    bwrap: tuple[str, ...] = ()
    setpriv: str | None = None
    prlimit: str | None = None
    weakness: str | None = "no sandbox was looked for"
    broken: bool = False

    @property
    def state(self) -> Literal["bubblewrap", "missing", "broken"]:
        """``missing`` and ``broken``: programs run without bubblewrap, which is not installed or does not work."""
        return "bubblewrap" if self.bwrap else "broken" if self.broken else "missing"

    def wrap(
        self,
        command: Sequence[str],
        *,
        cpu_seconds: float,
        may_write: bool = False,
        most_bytes: int | None = None,
        network: bool = False,
        status: int | None = None,
    ) -> list[str]:
        """``command``, to be run in the sandbox.

        Args:
            cpu_seconds: after which the kernel kills it.
            may_write: it may write to files that it inherits; otherwise to no file.
            most_bytes: that a file may have when it has written; None for any number.
            network: it may reach addresses of this host (names are not resolved in the sandbox).
            status: descriptor that bubblewrap writes to; :func:`has_run` reads that.
        """
        limits = self._limits(cpu_seconds, most_bytes if may_write else 0)
        return [*limits, *self._isolation(network, status), *command]

    def seeing(self, paths: Sequence[Path]) -> Self:
        """This sandbox, with more files and folders that the program may read; those that do not exist are ignored."""
        return replace(self, bwrap=(*self.bwrap, *_visible([str(path) for path in paths]))) if self.bwrap else self

    def _limits(self, cpu_seconds: float, most_bytes: int | None) -> list[str]:
        if not self.prlimit:
            return []
        _, open_files = resource.getrlimit(resource.RLIMIT_NOFILE)
        return [
            self.prlimit,
            f"--cpu={max(1, int(cpu_seconds))}",
            f"--as={ADDRESS_SPACE_BYTES}",
            f"--nofile={open_files}:{open_files}",
            "--core=0",
            *(() if most_bytes is None else (f"--fsize={most_bytes}",)),
        ]

    def _isolation(self, network: bool, status: int | None) -> list[str]:
        if self.bwrap:
            report = () if status is None else ("--json-status-fd", str(status))
            return [*self.bwrap, *report, *(("--share-net",) if network else ()), "--"]
        if self.setpriv:
            return [self.setpriv, "--no-new-privs", "--pdeathsig", "KILL", "--"]
        return []


def child_environment() -> dict[str, str]:
    """What finds a program's libraries, but no secret of ours to read and no proxy to send URLs to."""
    return {name: os.environ[name] for name in ("PATH", "LD_LIBRARY_PATH", "LANG") if name in os.environ}


def _visible(paths: Sequence[str]) -> list[str]:
    return [argument for path in paths for argument in ("--ro-bind-try", path, path)]


def find_sandbox(program: Path) -> Sandbox:
    """The best sandbox that works on this host, tried by running ``program -version`` in it."""
    setpriv, prlimit = shutil.which("setpriv"), shutil.which("prlimit")
    bwrap = shutil.which("bwrap")
    if not bwrap:
        return Sandbox((), setpriv, prlimit, "bubblewrap is not installed")
    arguments = (
        *(bwrap, "--unshare-all", "--die-with-parent", "--cap-drop", "ALL", "--proc", "/proc", "--dev", "/dev"),
        *_visible(SYSTEM_PATHS),
        *_visible((str(program), str(program.resolve()), str(program.resolve().parent.parent / "lib"))),
    )
    isolated = Sandbox(arguments, setpriv, prlimit, None)
    try:
        subprocess.run(
            isolated.wrap([str(program), "-version"], cpu_seconds=TRIAL_SECONDS),
            check=True,
            capture_output=True,
            stdin=subprocess.DEVNULL,
            timeout=TRIAL_SECONDS,
        )
    except (OSError, subprocess.SubprocessError) as failure:
        return Sandbox((), setpriv, prlimit, f"bubblewrap does not work here: {_why(failure)}", broken=True)
    return isolated


def _why(failure: OSError | subprocess.SubprocessError) -> str:
    if isinstance(failure, subprocess.CalledProcessError) and (killer := killed_by(failure.returncode)):
        return f"killed by {killer}"
    output = getattr(failure, "stderr", b"") or b""
    return (output.decode(errors="replace").strip().splitlines()[-1:] or [str(failure)])[0][:200]


def check_sandbox(sandbox: Sandbox) -> str | SandboxBroken:
    """The line of ``check``: what programs that read untrusted input run in, or why that is not as it should be."""
    if sandbox.state == "bubblewrap":
        return "bubblewrap: no network, no files but the system's programs and libraries"
    if sandbox.state == "broken":
        return SandboxBroken(f"{sandbox.weakness}; ffmpeg would run without it")
    return f"{sandbox.weakness}: ffmpeg runs with limits and no new privileges, but sees all files; install bubblewrap"
