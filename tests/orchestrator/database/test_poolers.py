"""Behind a real PgBouncer: sessions of one's own are used, shared ones are refused with what to do."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import quote

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict
from tornado.testing import bind_unused_port

from orchestrator.database.pool import prepare
from orchestrator.errors import DatabaseUnavailable

PGBOUNCER = shutil.which("pgbouncer") or ("/usr/sbin/pgbouncer" if os.path.exists("/usr/sbin/pgbouncer") else None)
UNPRIVILEGED = 65534
"""PgBouncer refuses to run as root."""

pytestmark = pytest.mark.skipif(not PGBOUNCER, reason="pgbouncer is not installed")


@contextmanager
def pgbouncer(url: str, mode: str) -> Iterator[str]:
    """Run it in this mode before the server of a database; the URL of that database through it."""
    server = conninfo_to_dict(url)
    reserved, port = bind_unused_port()
    reserved.close()
    with TemporaryDirectory(prefix="reelscribe-test-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        (folder / "users").write_text('"postgres" ""\n')
        config = folder / "pgbouncer.ini"
        config.write_text(
            f"[databases]\n* = host={server['host']} port={server.get('port', 5432)}\n"
            f"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\nauth_type = trust\n"
            f"auth_file = {folder}/users\npool_mode = {mode}\nserver_idle_timeout = 1\n"
        )
        user = UNPRIVILEGED if os.geteuid() == 0 else None
        process = subprocess.Popen([str(PGBOUNCER), str(config)], stderr=subprocess.PIPE, text=True, user=user)
        try:
            assert process.stderr
            for line in process.stderr:
                if "process up" in line:
                    break
            yield f"postgresql://postgres:@127.0.0.1/{quote(str(server['dbname']))}?port={port}"
        finally:
            process.kill()
            process.communicate()


@pytest.fixture
def reachable(database_url: str) -> str:
    """PgBouncer runs as another user than PostgreSQL, which must be let into the folder of its socket."""
    host = str(conninfo_to_dict(database_url)["host"])
    if host.startswith("/"):
        Path(host).chmod(0o711)
    return database_url


def test_sessions_of_a_pooler_are_used(reachable: str) -> None:
    with pgbouncer(reachable, "session") as url:
        prepare(url)
        with psycopg.connect(url) as connection:
            assert connection.execute("select count(*) from jobs").fetchone() == (0,)


@pytest.mark.parametrize("mode", ["transaction", "statement"])
def test_shared_connections_are_refused_with_what_to_do(mode: str, reachable: str) -> None:
    with pgbouncer(reachable, mode) as url, pytest.raises(DatabaseUnavailable, match="pool_mode = session"):
        prepare(url)
