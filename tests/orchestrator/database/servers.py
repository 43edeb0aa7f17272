"""A PostgreSQL of our own as tests look into it."""

from pathlib import Path

import psycopg


def postmaster(data_dir: Path) -> int:
    return int((data_dir / "postmaster.pid").read_text().split()[0])


def insert(url: str, number: int) -> None:
    with psycopg.connect(url) as connection:
        connection.execute("create table if not exists kept (number int)")
        connection.execute("insert into kept values (%s)", (number,))


def kept(url: str) -> list[int]:
    with psycopg.connect(url) as connection:
        return [row[0] for row in connection.execute("select number from kept order by 1")]
