"""A restore is proved before it takes the place of the database, and what was there before is never lost."""

import asyncio
import json
import os
import pty
import subprocess
import sys
import tarfile
from io import BytesIO

import psycopg
import pytest

from orchestrator.database import embedded
from orchestrator.database.backups import restoring
from orchestrator.database.backups.archive import Backup
from orchestrator.database.backups.target import Target
from orchestrator.errors import BackupUnusable, DatabaseProgramFailed, DatabaseUnavailable, InUse, NotWritten
from tests.orchestrator.commands import gone, processes_of, read_all
from tests.orchestrator.database.backups.conftest import contents_of, fill, killed, nothing, sessions, small_disk
from tests.waiting import eventually


def forget(url: str) -> None:
    with psycopg.connect(url) as connection:
        connection.execute("delete from media where savepath = 'talk.mp4'")


def kept(target: Target) -> list[str]:
    with target.server() as server:
        return [one.name for one in target.kept(server)]


async def test_what_was_lost_comes_back_and_what_is_replaced_is_kept(filled, backup, commands, contents, target):
    file, before = await backup(), contents()
    forget(target.url())
    after = contents()
    restored = await commands.run("database", "restore", str(file), "--yes")
    assert (restored.code, restored.err) == (0, "")
    assert before.differences(contents()) == []
    [name] = kept(target)
    assert f"what was there before is kept as {name}" in restored.out
    assert after.differences(contents_of(target.url(name))) == []

    returned = await commands.run("database", "kept", "--return", name)
    assert returned.code == 0
    assert after.differences(contents()) == []
    [other] = kept(target)
    assert returned.err.strip() == f"{name} is {target.name} again; what was there is kept as {other}"
    removed = await commands.run("database", "kept", "--remove", other, "--yes")
    assert (removed.code, kept(target)) == (0, [])
    unknown = await commands.run("database", "kept", "--remove", target.name, "--yes")
    assert (unknown.code, unknown.err) == (1, f"no database {target.name} is kept; none is\n")


async def test_the_help_says_that_a_backup_is_a_program_of_whoever_made_it(commands):
    said = " ".join((await commands.run("database", "restore", "--help")).out.split())
    assert "Restore only what you have made: a backup is a program" in said and "So it is with --check." in said


async def test_a_database_that_is_in_use_is_left_alone(filled, backup, commands, contents, target):
    file = await backup()
    forget(target.url())
    after = contents()
    with psycopg.connect(target.url(), application_name="reelscribe"):
        refused = await commands.run("database", "restore", str(file), "--yes")
    assert refused.code == 1
    assert f"the database {target.name} is in use (reelscribe on " in refused.err
    assert after.differences(contents()) == []
    assert kept(target) == []


async def test_a_service_that_starts_during_a_restore_is_not_cut_off(filled, backup, contents, target, monkeypatch):
    """The new database is not put in its place then."""
    file, put_in_place = await backup(), Target.put_in_place
    after = contents()

    def with_a_service(*arguments):
        with psycopg.connect(target.url(), application_name="reelscribe"):
            return put_in_place(*arguments)

    monkeypatch.setattr(Target, "put_in_place", with_a_service)
    with pytest.raises(InUse) as refused:
        restoring.replace_with(target, Backup(file), nothing)
    assert "reelscribe on " in refused.value.message
    assert after.differences(contents()) == []
    with target.server() as server:
        assert server.execute("select from pg_database where datname = %s", (target.unfinished,)).fetchone() is None


def changed(file, name: str, change) -> None:
    """The same backup with other bytes in one of its files; the manifest says nothing of it."""
    with tarfile.open(file) as tar:
        found = {member.name: tar.extractfile(member).read() for member in tar}
    found[name] = change(found[name])
    with tarfile.open(file, "w", format=tarfile.GNU_FORMAT) as tar:
        for key, content in found.items():
            member = tarfile.TarInfo(key)
            member.size = len(content)
            tar.addfile(member, BytesIO(content))


def one_row_less(manifest: bytes) -> bytes:
    read = json.loads(manifest)
    read["contents"]["tables"]["public.segments"]["rows"] -= 1
    return json.dumps(read).encode()


def no_dump(manifest: bytes) -> bytes:
    read = json.loads(manifest)
    del read["members"]["database.dump"]
    return json.dumps(read).encode()


DAMAGES = {
    "it is cut off": (lambda file: file.write_bytes(file.read_bytes()[:-20_000]), "is no backup, or is cut off"),
    "its end is missing": (lambda file: file.write_bytes(file.read_bytes()[: -20_000 // 512 * 512]), "is cut off"),
    "it is something else": (lambda file: file.write_bytes(b"precious" * 1000), "is no backup, or is cut off"),
    "a byte of the dump is another": (
        lambda file: changed(file, "database.dump", lambda dump: dump[:-100] + bytes([dump[-100] ^ 1]) + dump[-99:]),
        "",
    ),
    "the manifest cannot be read": (
        lambda file: changed(file, "manifest.json", lambda manifest: manifest[:-10]),
        "its manifest cannot be read",
    ),
    "the manifest is nested too deep": (
        lambda file: changed(file, "manifest.json", lambda manifest: b"[" * 1_000_000),
        "its manifest cannot be read",
    ),
    "the manifest does not prove the dump": (
        lambda file: changed(file, "manifest.json", no_dump),
        "lacks database.dump",
    ),
    "it does not hold what it says": (
        lambda file: changed(file, "manifest.json", one_row_less),
        "does not hold what it says: public.segments: 3 rows in place of 2",
    ),
}


@pytest.mark.parametrize("damage", DAMAGES)
async def test_a_backup_that_is_not_what_it_says_changes_nothing(damage, filled, backup, contents, target):
    file, before = await backup(), contents()
    do, sentence = DAMAGES[damage]
    do(file)
    with pytest.raises((BackupUnusable, DatabaseProgramFailed)) as refused:
        restoring.replace_with(target, Backup(file), nothing)
    assert sentence in refused.value.message
    assert before.differences(contents()) == []
    assert kept(target) == []


async def test_check_proves_a_backup_and_needs_no_database(filled, backup, orchestrator, tmp_path):
    """Nothing is left of the PostgreSQL that it starts, also if it is killed."""
    file = await backup()
    orchestrator.config.write_text("[database]\nurl = postgresql://127.0.0.1:9/away\n")
    proved = await orchestrator.run("database", "restore", str(file), "--check", seconds=120)
    assert (proved.code, proved.err) == (0, "")
    assert f"{file} can be restored: 3 recordings, 3 segments" in proved.out
    changed(file, "manifest.json", one_row_less)
    refused = await orchestrator.run("database", "restore", str(file), "--check", seconds=120)
    assert (refused.code, "does not hold what it says" in refused.err) == (1, True)


async def test_kill_9_during_check_leaves_no_server(filled, backup, orchestrator, tmp_path, monkeypatch, data_dir):
    file = await backup()
    folder = data_dir.parent / ("long" * 20)  # than the path of a socket may be
    folder.mkdir(parents=True)
    folder.parent.chmod(0o755)
    monkeypatch.setenv("TMPDIR", str(folder))
    checking = await orchestrator.start("database", "restore", str(file), "--check")
    while not any("pg_restore" in line or "postgres" in line for line in processes_of(folder)):
        await asyncio.sleep(0.01)
        assert checking.process.returncode is None
    await killed(checking)
    assert await gone(folder, 60)
    proved = await orchestrator.run("database", "restore", str(file), "--check", seconds=120)
    assert proved.code == 0, proved.err
    assert list(folder.iterdir()) == []


def test_progress_is_shown_on_a_terminal(filled, orchestrator, tmp_path):
    own, its = pty.openpty()
    command = [sys.executable, "-m", "orchestrator", "database", "backup", str(tmp_path / "made.backup")]
    with subprocess.Popen([*command, "--config", str(orchestrator.config)], stdout=its, stderr=its) as making:
        os.close(its)
        shown = read_all(own)
    assert making.returncode == 0
    assert "counting " in shown and "writing" in shown
    assert "3 recordings, 3 segments of " in shown


async def test_kill_9_during_a_restore_loses_nothing(filled, backup, orchestrator, commands, contents, target):
    file, before = await backup(), contents()
    restoring_it = await orchestrator.start("database", "restore", str(file), "--yes")
    await sessions(target, "application_name = 'reelscribe'", target.unfinished)
    await killed(restoring_it)
    assert before.differences(contents()) == []
    with target.server() as server:
        await eventually(lambda: target.left(server))
    remedy = f"remove it with: orchestrator database kept --remove {target.unfinished}"
    for command in (["backup", str(file), "--replace"], ["kept"]):
        assert remedy in (await commands.run("database", *command)).err
    assert remedy in (await commands.run("database", "check")).out
    removed = await commands.run("database", "kept", "--remove", target.unfinished, "--yes")
    assert (removed.code, removed.err) == (0, "no database is kept\n")


async def test_a_restore_after_one_that_was_killed_takes_its_place(
    filled, backup, orchestrator, commands, contents, target
):
    file, before = await backup(), contents()
    restoring_it = await orchestrator.start("database", "restore", str(file), "--yes")
    await sessions(target, "application_name = 'reelscribe'", target.unfinished)
    await killed(restoring_it)
    again = await commands.run("database", "restore", str(file), "--yes")
    assert (again.code, again.err) == (0, "")
    assert before.differences(contents()) == []
    with target.server() as server:
        assert server.execute("select from pg_database where datname = %s", (target.unfinished,)).fetchone() is None


async def test_a_database_that_no_restore_has_made_is_never_removed_for_its_name(filled, backup, contents, target):
    file, before = await backup(), contents()
    precious = Target(target.url(target.unfinished), None)
    with target.server() as server:
        server.execute(f'create database "{precious.name}"'.encode())
    with precious.connect() as connection:
        connection.execute("create table precious (id integer)")
    for _ in range(2):
        with pytest.raises(DatabaseUnavailable, match="which no restore has made"):
            restoring.replace_with(target, Backup(file), nothing)
    assert not target.is_empty(precious.name)
    assert before.differences(contents()) == []


async def test_what_was_restored_is_not_marked_as_unfinished(filled, backup, target):
    restoring.replace_with(target, Backup(await backup()), nothing)
    with target.server() as server:
        comments = "select shobj_description(oid, 'pg_database') from pg_database where datname = %s"
        assert server.execute(comments, (target.name,)).fetchone() == (None,)


async def test_a_database_that_is_not_there_is_made(filled, backup, contents, target):
    other = Target(target.url(f"{target.name}_elsewhere"), None)
    assert restoring.replace_with(other, Backup(await backup()), nothing) is None
    assert contents().differences(contents_of(other.url())) == []
    with target.server() as server:
        target.drop(server, other.name)


def test_two_databases_that_are_put_aside_in_the_same_second_have_names_of_their_own(filled, contents, target):
    before = contents()
    with target.server() as server:
        for _ in range(3):
            target.make_unfinished(server)
            assert target.put_in_place(server, target.unfinished)
    first, *others = kept(target)
    assert len(others) == 2
    assert before.differences(contents_of(target.url(first))) == []


async def test_both_names_change_or_none(filled, contents, target):
    before = contents()
    with target.server() as server, pytest.raises(psycopg.errors.InvalidCatalogName):
        target.put_in_place(server, "not_there")
    assert before.differences(contents()) == []


async def test_a_restore_onto_a_full_disk_loses_nothing(filled, backup, contents, tmp_path, monkeypatch, data_dir):
    """The disk of the embedded database fills up after it was looked at."""
    file, before = await backup(), contents()
    disk = data_dir.parent
    disk.mkdir()
    with small_disk(disk, 150), embedded.running(data_dir) as url:
        target = Target(url, data_dir)
        restoring.replace_with(target, Backup(file), nothing)
        assert before.differences(contents_of(url)) == []
        ballast = fill(disk)
        with pytest.raises(NotWritten) as full:
            restoring.replace_with(target, Backup(file), nothing)
        assert "MiB of room" in full.value.message
        monkeypatch.setattr(restoring, "require_room", nothing)
        with pytest.raises((psycopg.errors.DiskFull, DatabaseProgramFailed)) as broken:
            restoring.replace_with(target, Backup(file), nothing)
        assert "No space left on device" in str(broken.value)
        ballast.unlink()
        assert before.differences(contents_of(url)) == []
        restoring.replace_with(target, Backup(file), nothing)


async def test_a_user_without_the_right_gets_the_statement_for_an_administrator(filled, backup, target):
    file = await backup()
    with target.server() as server:
        server.execute("create role outsider login")
        try:
            limited = Target(target.url().replace("user=postgres", "user=outsider"), None)
            with pytest.raises(DatabaseUnavailable) as refused:
                restoring.replace_with(limited, Backup(file), nothing)
            assert refused.value.message.endswith("let an administrator run: alter role outsider createdb")
            server.execute("alter role outsider createdb")
            with pytest.raises(DatabaseUnavailable) as refused:
                restoring.replace_with(limited, Backup(file), nothing)
            assert refused.value.message.endswith(f"alter database {target.name} owner to outsider")
        finally:
            server.execute("drop role outsider")
