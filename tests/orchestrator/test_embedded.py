"""The PostgreSQL of our own: shared, stopped by the last one, and none the worse for kill -9."""

import asyncio
import os
import pwd
import signal
import sys
from pathlib import Path

import psycopg
import pytest

from orchestrator import embedded
from orchestrator.errors import DatabaseUnavailable
from tests.orchestrator.commands import Orchestrator, gone, processes_of

HOLD = """
import sys, time
from pathlib import Path
from orchestrator import embedded
with embedded.running(Path(sys.argv[1])):
    print("up", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def orchestrator(tmp_path: Path, data_dir: Path) -> Orchestrator:
    config = tmp_path / "config.cfg"
    config.write_text(f"[database]\ndata_dir = {data_dir}\n")
    return Orchestrator(config)


async def holder(data_dir: Path) -> asyncio.subprocess.Process:
    """Another process that uses the server until its standard input is closed."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", HOLD, str(data_dir)), stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout
    assert await process.stdout.readline() == b"up\n"
    return process


def insert(url: str, number: int) -> None:
    with psycopg.connect(url) as connection:
        connection.execute("create table if not exists kept (number int)")
        connection.execute("insert into kept values (%s)", (number,))


def kept(url: str) -> list[int]:
    with psycopg.connect(url) as connection:
        return [row[0] for row in connection.execute("select number from kept order by 1")]


async def test_commands_at_the_same_time_share_one_server_and_leave_none(orchestrator, data_dir):
    outcomes = await asyncio.gather(*(orchestrator.run("submit", f"{number}.mp4", "a.mp4") for number in range(3)))
    assert [outcome.code for outcome in outcomes] == [0, 0, 0]
    assert await gone(data_dir)
    assert (await orchestrator.run("status")).out.splitlines()[-1] == "4 queued"
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
        os.kill(int((data_dir / "postmaster.pid").read_text().split()[0]), signal.SIGKILL)
    assert await gone(data_dir)
    with embedded.running(data_dir) as url:
        assert kept(url) == [1]


async def test_a_process_id_that_was_reused_since_the_crash_is_not_taken_for_the_server(data_dir):
    with embedded.running(data_dir) as url:
        insert(url, 1)
    (data_dir / "postmaster.pid").write_text(f"{os.getpid()}\n{data_dir}\n1\n5432\n{data_dir}\n\n1 1\nready\n")
    with embedded.running(data_dir) as url:
        assert kept(url) == [1]


async def test_an_initialisation_that_was_interrupted_is_begun_again(data_dir):
    unfinished = data_dir.with_name(".postgres.new")
    unfinished.mkdir(parents=True)
    (unfinished / "PG_VERSION").write_text("18\n")
    with embedded.running(data_dir) as url:
        insert(url, 1)


async def test_as_root_the_server_runs_as_somebody_else(data_dir):
    with embedded.running(data_dir):
        owner = (data_dir / "PG_VERSION").stat().st_uid
    assert pwd.getpwuid(owner).pw_name == ("pgserver" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name)


@pytest.mark.parametrize(
    ("file", "content", "sentence"),
    [
        ("PG_VERSION", "13\n", "was made by PostgreSQL 13, this is 18: name another folder in [database] data_dir"),
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
