"""A backup is one file of one moment; it is complete or not there."""

import asyncio
import fcntl
import os
import re
import signal
import subprocess
import sys
import tarfile
from typing import Any

import psycopg
import pytest

from orchestrator.database.backups import programs
from orchestrator.database.backups.archive import Backup, new_backup
from orchestrator.database.packaged import PROGRAMS
from orchestrator.errors import DatabaseProgramFailed, InUse, NotWritten
from tests.orchestrator.database.backups.conftest import killed, locked, sessions


async def test_a_backup_holds_a_dump_the_settings_and_what_to_compare_them_with(filled, contents, backup, monkeypatch):
    monkeypatch.setenv("REELSCRIBE_TRANSCRIBER__EXTRACTOR_URL", "http://someone:hunter2@storage:8888")
    file = await backup()
    manifest = Backup(file).manifest
    assert manifest.contents == contents()
    assert (manifest.contents.of("media"), manifest.contents.of("segments")) == (3, 3)
    with tarfile.open(file) as tar:
        settings = tar.extractfile("config.cfg").read().decode()
        dump = tar.extractfile("database.dump").read()
    assert "extractor_url = http://someone:***@storage:8888" in settings
    listed = subprocess.run([PROGRAMS / "pg_restore", "--list"], input=dump, capture_output=True)
    assert b"TABLE DATA public segments" in listed.stdout
    assert os.stat(file).st_mode & 0o777 == 0o600


async def test_a_backup_is_of_one_moment_while_services_write(submit, pool, contents, commands, tmp_path, target):
    await submit("before.mp4")
    before = contents()
    with locked(target.url(), "segments"):
        making = asyncio.create_task(commands.run("database", "backup", str(tmp_path / "made.backup")))
        await sessions(target, "wait_event_type = 'Lock'")
        await submit("after.mp4")
    assert (await making).code == 0
    assert before.differences(Backup(tmp_path / "made.backup").manifest.contents) == []


async def test_a_file_that_is_there_is_not_written_over_unless_asked(filled, commands, tmp_path):
    file = tmp_path / "made.backup"
    file.write_text("precious")
    refused = await commands.run("database", "backup", str(file))
    assert (refused.code, file.read_text()) == (1, "precious")
    assert "name another file, or give --replace" in refused.err
    assert (await commands.run("database", "backup", str(file), "--replace")).code == 0
    assert Backup(file).manifest.contents.of("media") == 3


async def test_a_folder_that_is_not_there_is_a_sentence(filled, commands, tmp_path):
    refused = await commands.run("database", "backup", str(tmp_path / "away" / "made.backup"))
    assert refused.code == 1
    assert "cannot be used: No such file or directory" in refused.err


@pytest.mark.parametrize("kilobytes", [100, 68_000])
def test_a_full_disk_leaves_neither_a_file_nor_a_part_of_one(tmp_path, kilobytes):
    """It is looked at before and while the file is written, and may yet fill up."""
    small = tmp_path / "small"
    small.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "none", small]).returncode:
        pytest.skip("needs the right to mount")
    try:
        with pytest.raises(NotWritten) as full, new_backup(small / "made.backup") as writer:
            writer.add("database.dump", (os.urandom(1 << 20) for _ in range(200)))
        assert "MiB of room" in full.value.message or "No space left" in full.value.message
        assert list(small.iterdir()) == []
    finally:
        subprocess.run(["umount", small], check=True)


async def test_a_disk_that_fills_up_between_two_looks_leaves_nothing(filled, orchestrator, tmp_path):
    """The limit is that of a quota: a write of more fails."""
    file = tmp_path / "made.backup"
    made = await orchestrator.start("database", "backup", str(file))
    subprocess.run(["prlimit", "--fsize=20000", "--pid", str(made.process.pid)], check=True)
    ended = await made.ends()
    assert ended.code == 1
    assert "cannot be written: File too large" in ended.err
    assert list(tmp_path.glob("made*")) == []


async def test_kill_9_leaves_no_file_that_looks_like_a_backup(filled, orchestrator, commands, tmp_path, target):
    file = tmp_path / "made.backup"
    with locked(target.url(), "segments"):
        making = await orchestrator.start("database", "backup", str(file))
        await sessions(target, "wait_event_type = 'Lock'")
        await killed(making)
        assert not file.exists()
    assert (await commands.run("database", "backup", str(file))).code == 0
    assert [found.name for found in tmp_path.glob("made*")] == ["made.backup"]


WRITES = """
import pathlib, sys, time
from orchestrator.database.backups.archive import new_backup
with new_backup(pathlib.Path(sys.argv[1])):
    print(flush=True)
    time.sleep(600)
"""


async def test_what_a_killed_backup_has_left_is_named_by_the_next_in_its_folder(filled, commands, tmp_path):
    file = tmp_path / "made.backup"
    with subprocess.Popen([sys.executable, "-c", WRITES, str(file)], stdout=subprocess.PIPE) as writing:
        assert writing.stdout and writing.stdout.readline() == b"\n"
        while_written = await commands.run("database", "backup", str(tmp_path / "first.backup"))
        writing.kill()
    assert (while_written.code, while_written.err) == (0, "")
    other = await commands.run("database", "backup", str(tmp_path / "other.backup"))
    left = f"a backup that was killed has left {file}.partial, 0 MiB; remove that file\n"
    assert (other.code, other.err) == (0, left)
    again = await commands.run("database", "backup", str(file))
    assert (again.code, again.err) == (0, "")


async def test_a_stopped_backup_leaves_nothing(filled, orchestrator, tmp_path, target):
    with locked(target.url(), "segments"):
        making = await orchestrator.start("database", "backup", str(tmp_path / "made.backup"))
        await sessions(target, "wait_event_type = 'Lock'")
        stopped = await making.ends(signal.SIGTERM)
    assert (stopped.code, stopped.out, stopped.err) == (130, "", "")
    assert list(tmp_path.glob("made*")) == []


def test_a_second_backup_into_the_same_file_is_refused(tmp_path):
    with new_backup(tmp_path / "made.backup"), pytest.raises(InUse, match="another process is writing"):
        new_backup(tmp_path / "made.backup").__enter__()


def test_a_backup_that_is_finished_while_another_begins_is_not_written_over(tmp_path, monkeypatch):
    first, finish = new_backup(tmp_path / "made.backup"), fcntl.flock
    writer = first.__enter__()
    writer.add("config.cfg", [b"precious"])

    def after_the_first(*arguments: Any) -> None:
        monkeypatch.undo()
        first.__exit__(None, None, None)
        finish(*arguments)

    monkeypatch.setattr(fcntl, "flock", after_the_first)
    with pytest.raises(InUse, match="another process is writing"):
        new_backup(tmp_path / "made.backup", replaces=True).__enter__()
    assert b"precious" in (tmp_path / "made.backup").read_bytes()
    with pytest.raises(NotWritten, match="is there already"):
        new_backup(tmp_path / "made.backup").__enter__()
    assert [file.name for file in tmp_path.iterdir()] == ["made.backup"]


def test_no_password_is_an_argument_or_a_variable_of_the_child(database_url, tmp_path):
    """pg_dump itself runs, behind a script that notes what it was given."""
    secret = "pass:wo\\rd with spaces "
    noting = tmp_path / "pg_dump"
    noting.write_text(
        f"#!/bin/sh\ntr '\\0' '\\n' </proc/$$/environ >{tmp_path}/environ\ntr '\\0' '\\n' </proc/$$/cmdline "
        f'>{tmp_path}/cmdline\ncat $PGPASSFILE >{tmp_path}/passfile\nexec {PROGRAMS}/pg_dump "$@"\n'
    )
    noting.chmod(0o755)
    with psycopg.connect(database_url, password=secret, autocommit=True) as connection:
        connection.execute("begin isolation level repeatable read")
        [(snapshot,)] = connection.execute("select pg_export_snapshot()").fetchall()
        dumped = b"".join(programs.dump(programs.Program(noting, 18, False), connection, snapshot))
    assert dumped.startswith(b"PGDMP")
    given = (tmp_path / "environ").read_text() + (tmp_path / "cmdline").read_text()
    assert "PGPASSFILE=/dev/fd/" in given and "wo" + "\\rd" not in given
    assert (tmp_path / "passfile").read_text() == "*:*:*:*:pass\\:wo\\\\rd with spaces \n"


def test_a_program_that_is_too_old_is_a_sentence_with_the_package_to_install(database_url):
    with psycopg.connect(database_url) as connection, pytest.raises(DatabaseProgramFailed) as refused:
        programs.find_program("pg_dump", 99, connection)
    assert re.search(
        r"the newest pg_dump on this host is of version \d+, and 99 or newer is needed; install it: "
        "apt-get install postgresql-client-99",
        refused.value.message,
    )
