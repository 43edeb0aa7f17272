"""Databases of one PostgreSQL: the embedded one, or that of ``TEST_POSTGRESQL``."""

import itertools
import os
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from orchestrator.database import embedded
from tests.guard import temporary_folder

SERVER = os.environ.get("TEST_POSTGRESQL")
"""Another server, as its superuser, to test with other versions: postgresql://postgres:@HOST/postgres?port=…"""
_numbers = itertools.count(os.getpid() * 10000)


@contextmanager
def empty() -> Iterator[str]:
    """The URL of a database for this process of the tests."""
    if not SERVER:
        with temporary_folder("reelscribe-test-") as folder, embedded.running(folder / "data") as url:
            yield url
        return
    name = f"reelscribe_{os.getpid()}"
    with psycopg.connect(SERVER, autocommit=True) as connection:
        connection.execute(f"create database {name} encoding 'UTF8' template template0")
        yield on_the_server_of(SERVER, name)
        connection.execute(f"drop database {name} with (force)")


@contextmanager
def copy_of(url: str) -> Iterator[str]:
    """The URL of a copy of a database without connections."""
    name = f"test_{next(_numbers)}"
    with psycopg.connect(make_conninfo(url, dbname="postgres"), autocommit=True) as connection:
        template = conninfo_to_dict(url)["dbname"]
        files = "strategy file_copy" if connection.info.server_version >= 150000 else ""  # 14 has no other way
        connection.execute(f"create database {name} template {template} {files}")
        yield on_the_server_of(url, name)
        connection.execute(f"drop database {name} with (force)")


def on_the_server_of(url: str, name: str) -> str:
    """The URL of another database there."""
    return urlsplit(url)._replace(path=f"/{name}").geturl()
