"""What a new database leaves in the log."""

import subprocess
import sys

import psycopg
from psycopg.conninfo import make_conninfo

from tests.orchestrator.databases import on_the_server_of

PREPARE = """
import sys
from orchestrator.database.pool import prepare
from reelscribe import logs
logs.configure()
prepare(sys.argv[1])
prepare(sys.argv[1])
"""


def test_a_new_database_is_one_line(postgres: str) -> None:
    maintenance = make_conninfo(postgres, dbname="postgres")
    with psycopg.connect(maintenance, autocommit=True) as connection:
        connection.execute("create database empty")
        try:
            url = on_the_server_of(postgres, "empty")
            done = subprocess.run([sys.executable, "-c", PREPARE, url], capture_output=True, text=True)
        finally:
            connection.execute("drop database empty with (force)")
    [line] = done.stderr.splitlines()
    assert line.endswith("database schema created")
