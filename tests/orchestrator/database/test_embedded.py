"""The PostgreSQL of our own: shared, stopped by the last one, and none the worse for kill -9."""

import asyncio
import errno
import json
import os
import pwd
import shutil
import signal
import stat
import sys
from contextlib import ExitStack, closing, suppress
from pathlib import Path

import psycopg
import pytest

from orchestrator.database import embedded
from orchestrator.errors import DatabaseUnavailable
from tests.orchestrator.commands import Orchestrator, gone, processes_of
from tests.orchestrator.database.servers import insert, kept, postmaster
from tests.waiting import eventually

HOLD = """
import sys, time
from pathlib import Path
from orchestrator.database import embedded
with embedded.running(Path(sys.argv[1])):
    print("up", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def orchestrator(tmp_path: Path, data_dir: Path) -> Orchestrator:
    config = tmp_path / "config.cfg"
    config.write_text(f"[database]\ndata_dir = {data_dir}\n")
    return Orchestrator(config)


@pytest.fixture
def give_up_soon(monkeypatch):
    """On a server that does not answer."""
    monkeypatch.setattr(embedded, "ANSWER_SECONDS", 1.0)
    monkeypatch.setattr(embedded, "CONNECT_SECONDS", 2)


def is_kept(url: str) -> bool:
    """Whether the server answers; what was stored is there then."""
    with suppress(psycopg.OperationalError):
        assert kept(url) == [1]
        return True
    return False


async def holder(data_dir: Path) -> asyncio.subprocess.Process:
    """Another process that uses the server until its standard input is closed."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", HOLD, str(data_dir)), stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout
    assert await process.stdout.readline() == b"up\n"
    return process


async def test_commands_at_the_same_time_share_one_server_and_leave_none(orchestrator, data_dir):
    submissions = (orchestrator.run("submit", f"{number}.mp4", "a.mp4") for number in range(8))
    assert [outcome.code for outcome in await asyncio.gather(*submissions)] == [0] * 8
    assert await gone(data_dir)
    assert json.loads((await orchestrator.run("status", "--json")).out)["totals"] == {"queued": 9}
    assert await gone(data_dir)


def test_a_new_server_has_buffers_that_a_long_submission_does_not_fill(data_dir):
    with embedded.running(data_dir) as url, psycopg.connect(url) as connection:
        assert connection.execute("show wal_buffers").fetchone() == ("32MB",)


@pytest.mark.parametrize("name", ["my videos", "R&D 100%", "it's=a;b?", "%41", "ünï #+@:"])
async def test_the_name_of_the_folder_may_have_any_characters_that_a_shell_or_a_url_knows(name, data_dir):
    folder = data_dir / name / "postgres"
    for expected in ([1], [1, 2]):
        with embedded.running(folder) as url:
            insert(url, len(expected))
            assert kept(url) == expected
        assert await gone(folder)


@pytest.mark.parametrize("character", ["$", '"', "`", "\\", ","])
def test_a_character_with_which_postgresql_does_not_start_is_named(character, data_dir):
    with (
        pytest.raises(DatabaseUnavailable, match=r"its path has .*, with which PostgreSQL does not start"),
        embedded.running(data_dir / f"a{character}b"),
    ):
        pytest.fail("it has started")


async def test_a_full_disk_keeps_no_one_from_a_server_that_runs(data_dir, monkeypatch):
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    user = await holder(data_dir)
    monkeypatch.setattr(Path, "write_text", full)
    with embedded.running(data_dir) as url:
        insert(url, 1)
    await user.communicate(b"")
    assert await gone(data_dir)


async def test_the_last_one_out_stops_the_server(data_dir):
    first, second = await holder(data_dir), await holder(data_dir)
    await first.communicate(b"")
    assert processes_of(data_dir) != []
    await second.communicate(b"")
    assert await gone(data_dir)


async def test_kill_9_of_its_user_loses_nothing_and_the_next_one_stops_it(data_dir):
    user = await holder(data_dir)
    with embedded.running(data_dir) as url:
        insert(url, 1)
        user.kill()
        await user.wait()
    assert await gone(data_dir)
    user = await holder(data_dir)
    user.kill()
    await user.wait()
    with embedded.running(data_dir) as url:
        assert kept(url) == [1]
    assert await gone(data_dir)


async def test_kill_9_of_the_server_itself_is_repaired_by_the_next_start(data_dir):
    with embedded.running(data_dir) as url:
        insert(url, 1)
        os.kill(postmaster(data_dir), signal.SIGKILL)
    assert await gone(data_dir)
    with embedded.running(data_dir) as url:
        assert kept(url) == [1]


async def test_kill_9_of_the_server_and_its_user_together_loses_nothing(data_dir):
    user = await holder(data_dir)
    with embedded.running(data_dir) as url:
        insert(url, 1)
        user.kill()
        os.kill(postmaster(data_dir), signal.SIGKILL)
        await user.wait()
    with embedded.running(data_dir) as url:
        assert kept(url) == [1]
    assert await gone(data_dir)


async def test_a_server_that_is_killed_while_it_is_in_use_is_started_again(data_dir):
    with embedded.running(data_dir) as url:
        insert(url, 1)
        killed = postmaster(data_dir)
        os.kill(killed, signal.SIGKILL)
        await eventually(lambda: is_kept(url))
        assert postmaster(data_dir) != killed
    assert await gone(data_dir), "the last one out stops the new one too"


async def test_the_next_start_waits_for_a_child_that_outlives_the_killed_server(data_dir):
    with embedded.running(data_dir) as url:
        insert(url, 1)
        with closing(psycopg.connect(url, autocommit=True)) as busy:
            busy.pgconn.send_query(b"select count(*) from generate_series(1, 10000000) n where n::text::numeric < 0")
            await asyncio.sleep(0.3)
            os.kill(postmaster(data_dir), signal.SIGKILL)
            with embedded.running(data_dir) as url:
                assert kept(url) == [1]


@pytest.mark.parametrize("whose", ["another program", "another PostgreSQL", "nobody"])
async def test_a_postmaster_pid_of_before_a_reboot_is_not_taken_for_the_server(whose, data_dir):
    with embedded.running(data_dir) as url:
        insert(url, 1)
    with ExitStack() as stack:
        pid = os.getpid()
        if whose == "another PostgreSQL":
            stack.enter_context(embedded.running(data_dir.with_name("other")))
            pid = postmaster(data_dir.with_name("other"))
        elif whose == "nobody":
            pid = 4_000_000
        lines = (pid, data_dir, 1, 5432, data_dir, "", "1 1", "ready")
        for name in ("postmaster.pid", ".s.PGSQL.5432.lock"):
            (data_dir / name).write_text("".join(f"{line}\n" for line in lines))
            shutil.chown(data_dir / name, data_dir.owner())
        with embedded.running(data_dir) as url:
            assert kept(url) == [1]


@pytest.mark.parametrize("text", ["", "4000000\nhalf of"])
async def test_a_postmaster_pid_that_a_crash_cut_off_does_no_harm(text, data_dir):
    with embedded.running(data_dir) as url:
        insert(url, 1)
    (data_dir / "postmaster.pid").write_text(text)
    with embedded.running(data_dir) as url:
        assert kept(url) == [1]


async def test_an_initialisation_that_was_interrupted_is_begun_again(data_dir):
    unfinished = data_dir.with_name(".postgres.new")
    unfinished.mkdir(parents=True)
    (unfinished / "PG_VERSION").write_text("18\n")
    with embedded.running(data_dir) as url:
        insert(url, 1)


async def test_as_root_the_server_runs_as_another_user(data_dir):
    with embedded.running(data_dir):
        owner = (data_dir / "PG_VERSION").stat().st_uid
    assert pwd.getpwuid(owner).pw_name == ("pgserver" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name)


@pytest.mark.skipif(os.geteuid() != 0, reason="any other user runs PostgreSQL as himself")
async def test_as_root_only_a_command_that_may_make_a_database_opens_the_way_to_it(data_dir, capsys):
    closed = data_dir.parent.parent
    with embedded.running(data_dir):
        pass
    closed.chmod(0o700)
    with pytest.raises(DatabaseUnavailable) as refused, embedded.running(data_dir, creates=False):
        pass
    assert f"it cannot enter {closed}, which holds {data_dir}: name another folder" in refused.value.message
    assert stat.S_IMODE(closed.stat().st_mode) == 0o700
    with embedded.running(data_dir):
        assert f"as the user pgserver, in root's group, it may pass {closed} now (chmod g+x)" in capsys.readouterr().err
    assert stat.S_IMODE(closed.stat().st_mode) == 0o710


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has folders of others in its way")
async def test_as_root_a_closed_folder_of_another_user_stays_closed(data_dir):
    closed = data_dir.parent.parent
    closed.chmod(0o700)
    os.chown(closed, 1234, 1234)
    with pytest.raises(DatabaseUnavailable, match=f"it cannot enter {closed}"), embedded.running(data_dir):
        pass
    assert (stat.S_IMODE(closed.stat().st_mode), list(closed.iterdir())) == (0o700, [])


async def test_a_command_that_only_reads_makes_no_database(orchestrator, data_dir):
    for arguments in (["status"], ["submit", "a.mp4", "--dry-run"], ["check"]):
        outcome = await orchestrator.run(*arguments)
        assert (outcome.code, outcome.err.count("\n")) == (1, arguments != ["check"])
        said = outcome.err + outcome.out
        assert f"there is no database yet in [database] data_dir {data_dir}: orchestrator up" in said
    assert not data_dir.parent.exists()


@pytest.mark.parametrize(
    ("file", "content", "sentence"),
    [
        ("PG_VERSION", "13\n", "was made by PostgreSQL 13, this is 18: bring it over with pg_upgrade"),
        ("PG_VERSION", "many\n", "its PG_VERSION is no version number"),
        ("holiday.jpg", "sun", "it holds files that are not PostgreSQL's"),
    ],
)
async def test_a_folder_that_is_not_ours_is_left_alone(file, content, sentence, data_dir):
    data_dir.mkdir(parents=True)
    (data_dir / file).write_text(content)
    with pytest.raises(DatabaseUnavailable) as refused, embedded.running(data_dir):
        pass
    assert sentence in refused.value.message
    assert [path.name for path in data_dir.iterdir()] == [file]


async def test_a_file_in_the_way_is_one_sentence(data_dir, orchestrator):
    data_dir.parent.mkdir(parents=True)
    data_dir.write_text("in the way")
    outcome = await orchestrator.run("status")
    assert outcome.code == 1
    assert f"[database] data_dir {data_dir} cannot be used" in outcome.err


if os.geteuid() == 0:  # no other user can give a folder to another user

    async def test_a_database_that_is_given_to_another_user_meanwhile_is_not_taken_back(data_dir):
        with embedded.running(data_dir):
            shutil.chown(data_dir, "nobody")
            os.kill(postmaster(data_dir), signal.SIGKILL)
            await asyncio.sleep(3 * embedded.GUARD_SECONDS)
            assert data_dir.owner() == "nobody"

    async def test_a_database_of_another_user_is_left_alone(data_dir, orchestrator):
        with embedded.running(data_dir) as url:
            insert(url, 1)
        everything = [data_dir, *data_dir.rglob("*")]
        for path in everything:
            shutil.chown(path, "nobody")
        outcome = await orchestrator.run("status")
        assert (outcome.code, outcome.err) == (
            1,
            f"[database] data_dir {data_dir} belongs to the user nobody; run the command as that user: "
            "sudo -u nobody orchestrator ...\n",
        )
        assert {path.owner() for path in everything} == {"nobody"}

    async def test_an_empty_folder_of_another_user_is_left_alone(data_dir, orchestrator):
        data_dir.mkdir(parents=True)
        shutil.chown(data_dir, "nobody")
        assert "belongs to the user nobody" in (await orchestrator.run("status")).err
        assert (data_dir.owner(), list(data_dir.iterdir())) == ("nobody", [])


async def test_an_empty_folder_is_used(data_dir):
    data_dir.mkdir(parents=True)
    with embedded.running(data_dir) as url:
        insert(url, 1)


async def test_a_folder_that_can_no_longer_be_read_is_reported_in_sentences(
    data_dir, orchestrator, commands, give_up_soon
):
    service = await orchestrator.start("worker")
    await service.says("takes as many jobs as")
    data_dir.chmod(0)
    try:
        assert (await commands.run("status")).code == 1
        await service.says("Permission denied")
        outcome = await service.ends(signal.SIGTERM)
    finally:
        data_dir.chmod(0o700)
    assert "Permission denied" in outcome.err
    assert await gone(data_dir)


async def test_a_server_that_hangs_is_reported_and_how_to_end_it(data_dir, commands, give_up_soon):
    with embedded.running(data_dir) as url:
        insert(url, 1)
        hung = postmaster(data_dir)
        os.kill(hung, signal.SIGSTOP)
        try:
            outcome = await commands.run("status")
        finally:
            os.kill(hung, signal.SIGCONT)
    assert outcome.code == 1
    assert f"PostgreSQL (process {hung}) runs there but has not answered for 1 s" in outcome.err
    assert f"kill -9 {hung}" in outcome.err


async def test_a_server_that_says_that_it_starts_is_waited_for(data_dir, give_up_soon):

    def use() -> list[int]:
        with embedded.running(data_dir) as url:
            return kept(url)

    with embedded.running(data_dir) as url:
        insert(url, 1)
        ready, server = (data_dir / "postmaster.pid").read_text(), postmaster(data_dir)
        os.kill(server, signal.SIGSTOP)
        (data_dir / "postmaster.pid").write_text(ready.replace("ready", "starting"))
        using = asyncio.create_task(asyncio.to_thread(use))
        await asyncio.sleep(3)
        assert not using.done()
        (data_dir / "postmaster.pid").write_text(ready)
        os.kill(server, signal.SIGCONT)
        assert await using == [1]
