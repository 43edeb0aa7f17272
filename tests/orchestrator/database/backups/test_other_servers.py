"""From the embedded database to a server of one's own, of another version, with a password and TLS; and back."""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from orchestrator.database.backups import making, restoring
from orchestrator.database.backups.archive import Backup
from orchestrator.database.backups.target import Target
from orchestrator.errors import DatabaseProgramFailed
from reelscribe.child_process import end_with_parent
from tests.orchestrator.database.backups.conftest import contents_of, nothing

OF_DISTRIBUTION = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
PASSWORD = "se:c\\ret word"
TLS = """\
ssl = on
ssl_cert_file = 'server.crt'
ssl_key_file = 'server.key'
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of an empty database of a user who may create others, on the PostgreSQL of this distribution."""
    if not OF_DISTRIBUTION or os.geteuid() != 0:
        pytest.skip("needs a PostgreSQL of the distribution, and the right to be its user")
    programs = OF_DISTRIBUTION[-1]
    folder = Path("/tmp") / f"reelscribe-server-{os.getpid()}"
    folder.mkdir()
    shutil.chown(folder, "postgres")
    port = free_port()
    try:
        data = folder / "data"
        run: dict[str, Any] = {"user": "postgres", "cwd": folder, "check": True, "capture_output": True}
        (folder / "password").write_text("administrator")
        initdb = ["--no-sync", "--auth=scram-sha-256", f"--pwfile={folder}/password", "--encoding=UTF8", "--locale=C"]
        subprocess.run([str(programs / "initdb"), *initdb, "-D", str(data)], **run)
        certificate = ["-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost", "-days", "2"]
        made = ["-keyout", str(data / "server.key"), "-out", str(data / "server.crt")]
        subprocess.run(["openssl", "req", *certificate, *made], **run)
        settings = f"port = {port}\nlisten_addresses = '127.0.0.1'\nunix_socket_directories = ''\nfsync = off\n"
        with (data / "postgresql.conf").open("a") as file:
            file.write(settings + TLS)
        (data / "pg_hba.conf").write_text("host all all 127.0.0.1/32 scram-sha-256\n")
        process = subprocess.Popen(
            [programs / "postgres", "-D", data],
            user="postgres",
            cwd=folder,
            stderr=subprocess.DEVNULL,
            preexec_fn=end_with_parent(),
        )
        try:
            administrator = f"postgresql://postgres:administrator@127.0.0.1:{port}/postgres?sslmode=require"
            with connected(administrator) as connection:
                connection.execute(f"create role reel login createdb password '{PASSWORD}'")
                connection.execute("create database reelscribe owner reel")
            yield f"postgresql://reel:se%3Ac%5Cret%20word@127.0.0.1:{port}/reelscribe?sslmode=require"
        finally:
            process.terminate()
            process.wait(60)
    finally:
        shutil.rmtree(folder)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def connected(url: str, seconds: float = 60) -> "psycopg.Connection[tuple[object, ...]]":
    deadline = time.monotonic() + seconds
    while True:
        try:
            return psycopg.connect(url, autocommit=True)
        except psycopg.OperationalError:
            if time.monotonic() > deadline:
                raise
        time.sleep(0.05)


@pytest.fixture
def newest(server: str) -> int:
    """The newest version of the programs that speak TLS."""
    return int(OF_DISTRIBUTION[-1].parent.name)


async def test_from_the_embedded_database_to_a_server_of_ones_own_and_back(
    filled, backup, contents, server, newest, target, tmp_path
):
    """The first without TLS, which the programs of the embedded PostgreSQL do not speak; the way back with it."""
    before = contents()
    plain = Target(server.replace("sslmode=require", "sslmode=disable"), None)
    assert restoring.replace_with(plain, Backup(await backup()), nothing) is None  # nothing was in it
    assert before.differences(contents_of(server)) == []
    with psycopg.connect(server) as connection:
        assert connection.pgconn.ssl_in_use
        connection.execute("update segments set text = 'Corrected there.' where text = 'Nothing else.'")
    changed = contents_of(server)
    file = tmp_path / "theirs.backup"
    made = making.make_backup(Target(server, None), file, "", False, nothing)
    assert (made.server_version, made.dumped_by) == (newest, newest)
    assert restoring.replace_with(target, Backup(file), nothing)
    assert changed.differences(contents()) == []
    assert PASSWORD.encode() not in file.read_bytes()


async def test_a_dump_of_a_newer_server_needs_its_programs_if_tls_is_asked_for(filled, backup, server, newest):
    """Those of the embedded PostgreSQL speak none."""
    made = Backup(await backup())
    if newest >= made.manifest.dumped_by:
        pytest.skip("they are as new")
    with pytest.raises(DatabaseProgramFailed) as refused:
        restoring.replace_with(Target(server, None), made, nothing)
    assert f"{made.manifest.dumped_by} or newer is needed with TLS; install it: apt-get install postgresql-client-" in (
        refused.value.message
    )
