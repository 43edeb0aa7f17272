"""pg_dump and pg_restore: which of those on this host can be used, and running them as children.

Those inside the package of the embedded PostgreSQL are always there; they speak no TLS, which a server of yours may
want. All that they need to connect is in memory that only they can read: no password is an argument, a variable or a
file on the disk.
"""

import os
import re
import subprocess
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import cache
from pathlib import Path
from shutil import which
from typing import IO, Any

import psycopg

from orchestrator.database.packaged import PROGRAMS
from orchestrator.errors import DatabaseProgramFailed, DatabaseUnavailable
from reelscribe.child_process import end_with_parent

PASSED_ON = (
    *("host", "hostaddr", "port", "dbname", "user", "options", "target_session_attrs"),
    *("sslmode", "sslrootcert", "sslcert", "sslkey", "sslcrl", "sslpassword", "channel_binding"),
    *("gssencmode", "krbsrvname", "connect_timeout", "keepalives_idle", "keepalives_interval", "keepalives_count"),
)
"""Parameters that every pg_dump since version 14 knows; it refuses those that it does not."""
CHUNK_BYTES = 1 << 20
REASON_BYTES = 4096
NOT_KNOWN_TO_OLDER_SERVERS = '"transaction_timeout"'
"""A setting that pg_restore 17 and newer make first, whatever the server is; those before 17 do not have it."""
DEBIAN = Path("/usr/lib/postgresql")


class Program:
    """One of these programs."""

    def __init__(self, path: Path, version: int, speaks_tls: bool) -> None:
        self.path, self.version, self.speaks_tls = path, version, speaks_tls


def find_program(name: str, least: int, connection: psycopg.Connection[Any]) -> Program:
    """The program that can be used with this server: the oldest that is not too old.

    Args:
        name: ``pg_dump`` or ``pg_restore``.
        least: the oldest version that will do.

    Raises:
        DatabaseProgramFailed: there is none.
    """
    needs_tls = bool(connection.pgconn.ssl_in_use)
    found = [program for program in _programs(name) if program.speaks_tls or not needs_tls]
    if usable := [program for program in found if program.version >= least]:
        return min(usable, key=lambda program: program.version)
    newest = max((program.version for program in found), default=None)
    there = f"the newest {name} on this host is of version {newest}" if newest else f"there is no {name} on this host"
    raise DatabaseProgramFailed(
        f"{there}, and {least} or newer is needed{' with TLS' if needs_tls else ''}; install it: "
        f"apt-get install postgresql-client-{least}"
    )


def _programs(name: str) -> Iterator[Program]:
    installed = {Path(found)} if (found := which(name)) else set()
    installed |= set(DEBIAN.glob(f"*/bin/{name}"))
    yield from (Program(path, version, True) for path in sorted(installed) if (version := _version(path)))
    own = PROGRAMS / name
    if version := _version(own):
        yield Program(own, version, False)


@cache
def _version(path: Path) -> int | None:
    with suppress(OSError, subprocess.SubprocessError):
        said = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=20).stdout
        if written := re.search(r"\(PostgreSQL\) (\d+)", said):
            return int(written[1])
    return None


def dump(program: Program, connection: psycopg.Connection[Any], snapshot: str) -> Iterator[bytes]:
    """The dump of the database of this connection as a snapshot of it sees it, in PostgreSQL's custom form.

    Raises:
        DatabaseProgramFailed: pg_dump has failed; what was yielded is not all.
    """
    options = ["--format=custom", "--compress=1", f"--snapshot={snapshot}", "--no-password"]
    with _running(program, options, connection, stdout=subprocess.PIPE) as process:
        assert process.stdout
        while chunk := process.stdout.read(CHUNK_BYTES):
            yield chunk


def restore(program: Program, connection: psycopg.Connection[Any], content: Iterable[bytes]) -> None:
    """Fill the empty database of this connection from a dump.

    Raises:
        DatabaseProgramFailed: pg_restore has failed; some of it may be there.
    """
    older = connection.info.server_version // 10_000 < 17 <= program.version
    options = ["--no-owner", "--no-privileges", "--no-password", f"--dbname={connection.info.dbname}"]
    options += [] if older else ["--exit-on-error"]
    with _running(program, options, connection, stdin=subprocess.PIPE, ignores_settings=older) as process:
        assert process.stdin
        with suppress(BrokenPipeError):  # it has failed, and says why
            for chunk in content:
                process.stdin.write(chunk)
            process.stdin.close()


@contextmanager
def _running(
    program: Program,
    options: list[str],
    connection: psycopg.Connection[Any],
    *,
    ignores_settings: bool = False,
    stdin: int | None = None,
    stdout: int | None = None,
) -> Iterator[subprocess.Popen[bytes]]:
    with ExitStack() as stack:
        variables, descriptors = _access(connection, stack)
        said = stack.enter_context(tempfile.TemporaryFile())
        process = subprocess.Popen(
            [program.path, *options],
            env={**os.environ, **variables, "LC_ALL": "C.UTF-8"},
            pass_fds=descriptors,
            stderr=said,
            preexec_fn=end_with_parent(),
            stdin=stdin,
            stdout=stdout,
        )
        try:
            yield process
            process.communicate() if process.stdin is None else process.wait()
        finally:
            if process.poll() is None:
                process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout):
                with suppress(OSError):
                    if pipe:
                        pipe.close()
        errors = _errors(said)
        if ignores_settings:
            errors = [line for line in errors if NOT_KNOWN_TO_OLDER_SERVERS not in line]
        if errors or (process.returncode and not ignores_settings):
            reason = errors[0] if errors else f"it ended with {process.returncode}"
            raise DatabaseProgramFailed(f"{program.path.name} {program.version} has failed: {reason}")


def _errors(said: IO[bytes]) -> list[str]:
    """What it has said, one line for each error."""
    said.seek(0)
    lines = said.read(64 * REASON_BYTES).decode(errors="replace").splitlines()
    found = [line.split(" error: ", 1)[1] for line in lines if re.match(r"pg_\w+: error: ", line)]
    return [line[:REASON_BYTES] for line in found]


def _access(connection: psycopg.Connection[Any], stack: ExitStack) -> tuple[dict[str, str], tuple[int, ...]]:
    """The variables of a child that connects as this connection did, and the descriptors that it needs for that.

    Raises:
        DatabaseUnavailable: a parameter cannot be passed on.
    """
    parameters = {key: value for key, value in connection.info.get_parameters().items() if key in PASSED_ON}
    parameters |= {"application_name": "reelscribe"}
    password = connection.info.password
    if any("\n" in value for value in (*parameters.values(), password)):
        raise DatabaseUnavailable(
            "[database] url: a value with a line end cannot be passed on to PostgreSQL's programs"
        )
    service = "[reelscribe]\n" + "".join(f"{key}={value}\n" for key, value in parameters.items())
    variables = {"PGSERVICE": "reelscribe", "PGSERVICEFILE": _in_memory(service, stack)}
    if password:
        escaped = re.sub(r"([\\:])", r"\\\1", password)
        variables["PGPASSFILE"] = _in_memory(f"*:*:*:*:{escaped}\n", stack)
    return variables, tuple(int(name.rpartition("/")[2]) for name in variables.values() if name.startswith("/dev/fd/"))


def _in_memory(text: str, stack: ExitStack) -> str:
    """The name of a file without a name, which a child that inherits its descriptor can read."""
    descriptor = os.memfd_create("reelscribe", os.MFD_CLOEXEC)
    stack.callback(os.close, descriptor)
    os.fchmod(descriptor, 0o600)
    os.write(descriptor, text.encode())
    return f"/dev/fd/{descriptor}"
