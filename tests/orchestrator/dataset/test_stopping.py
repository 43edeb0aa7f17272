"""What is left when a shard or a dataset is not finished: nothing, or something that the next run puts right."""

import asyncio
import subprocess
import time
import tracemalloc
from pathlib import Path
from types import SimpleNamespace

import pytest

from orchestrator.cli.dataset import make as make_module
from orchestrator.cli.dataset import planning
from orchestrator.database.sql import fetch_value
from orchestrator.errors import NotWritten, Superseded
from orchestrator.exports.dataset import finish as finish_module
from orchestrator.exports.dataset import tables
from orchestrator.exports.dataset.build import build_shard
from orchestrator.exports.dataset.plan import Item, ShardPlan
from orchestrator.exports.dataset.shard_work import ShardBuilder
from orchestrator.jobs import datasets, transitions
from reelscribe.http.access.tokens import Tokens
from reelscribe.http.peers.extractor_client import ExtractorClient
from tests.orchestrator.dataset.conftest import files
from tests.orchestrator.dataset.test_folders import PLAN, build_dataset


def shard_of(*savepaths: str) -> ShardPlan:
    """A shard that holds nothing but rows about what went wrong."""
    items = [
        Item(id=name, key=name, bucket="videos", savepath=name, code="bad_row", mistake="wrong") for name in savepaths
    ]
    return ShardPlan(plan=PLAN, number=0, split="all", items=items)


async def build(folder: Path, shard: ShardPlan) -> None:
    async with ExtractorClient("http://127.0.0.1:9") as extractor:
        await build_shard(shard, extractor, folder)


@pytest.fixture
async def planned(pool, tmp_path):
    """A dataset of six shards, and its row."""
    folder, splits = build_dataset(tmp_path / "data", 60)
    async with pool.connection() as connection:
        settings = PLAN.model_dump(mode="json")
        id = await datasets.insert_dataset(connection, PLAN.kind, str(folder.root), settings, PLAN.hash())
        for number, split in enumerate(splits):
            shard = shard_of(f"{number}.wav")
            stored = [item.model_dump(mode="json") for item in shard.items]
            await datasets.insert_shard(connection, id, number, split, stored)
    folder.mark(id, PLAN.hash())
    async with pool.connection() as connection:
        return folder, await datasets.dataset_in(connection, str(folder.root))


async def test_an_attempt_that_is_over_changes_no_file(planned, pool, sql, queue):
    folder, _ = planned
    before = files(folder.building)
    [(id,)] = await sql("select job_id from dataset_shards where number = 0")
    async with pool.connection() as connection:
        await queue.put(connection, [id])
        queue_job = await fetch_value(connection, "select queue_job from jobs where id = %s", (id,))
        attempt = await transitions.begin(connection, queue_job, id)
        await transitions.lose_worker(connection, id, 1, 3)
    with pytest.raises(Superseded):
        await ShardBuilder(pool, "http://127.0.0.1:9", Tokens()).work(attempt)
    assert files(folder.building) == before


@pytest.mark.parametrize("names", [1, 2])
async def test_a_crash_between_two_names_is_put_right_by_the_next_build(tmp_path, monkeypatch, names):
    await build(tmp_path / "once", shard_of("a.wav", "b.wav"))
    await build(tmp_path / "twice", shard_of("older.wav"))
    older, replace, given = files(tmp_path / "twice"), Path.replace, []

    def crash(path, target):
        given.append(target)
        if len(given) > names:
            raise OSError(5, "power is gone")
        return replace(path, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", crash)
        with pytest.raises(NotWritten):
            await build(tmp_path / "twice", shard_of("a.wav", "b.wav"))
    once = files(tmp_path / "once")
    assert files(tmp_path / "twice") != older
    await build(tmp_path / "twice", shard_of("a.wav", "b.wav"))
    assert files(tmp_path / "twice") == once


async def test_a_worker_that_is_stopped_while_it_writes_leaves_nothing(tmp_path, monkeypatch):
    write_table, begun, ended, paths = tables.write_table, asyncio.Event(), asyncio.Event(), []
    loop = asyncio.get_running_loop()

    def slowly(path, *arguments):
        paths.append(path)
        loop.call_soon_threadsafe(begun.set)
        time.sleep(0.3)
        write_table(path, *arguments)
        loop.call_soon_threadsafe(ended.set)

    monkeypatch.setattr(tables, "write_table", slowly)
    building = asyncio.create_task(build(tmp_path / "shards", shard_of("a.wav")))
    await begun.wait()
    building.cancel()
    await asyncio.wait([building])
    await ended.wait()
    await asyncio.sleep(0.2)
    assert (building.cancelled(), len(paths), files(tmp_path / "shards")) == (True, 1, {})


async def test_ctrl_c_ends_what_finishes_a_dataset_and_the_next_run_continues(planned, pool, tmp_path, monkeypatch):
    folder, dataset = planned
    move, session = finish_module._move, SimpleNamespace(pool=pool)
    moving = asyncio.Event()
    loop = asyncio.get_running_loop()

    def slowly(*arguments):
        loop.call_soon_threadsafe(moving.set)
        time.sleep(0.3)
        return move(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(finish_module, "_move", slowly)
        finishing = asyncio.create_task(make_module._finish(session, folder, dataset))  # type: ignore[arg-type]
        await moving.wait()
        finishing.cancel()
        await asyncio.wait([finishing])
        await asyncio.sleep(0.5)
        moved = len(list(folder.shards.glob("*.tar")))
        await asyncio.sleep(1)
        assert len(list(folder.shards.glob("*.tar"))) == moved < 6
    await make_module._finish(session, folder, dataset)  # type: ignore[arg-type]
    whole, splits = build_dataset(tmp_path / "whole", 60)
    finish_module.finish(whole, PLAN, splits)
    assert files(folder.root) == files(whole.root)


async def test_what_a_killed_command_was_writing_is_removed_when_the_next_one_finishes(tmp_path):
    folder, splits = build_dataset(tmp_path / "killed", 10)
    folder.index.mkdir()
    for path in (folder.index / ".all-00000-of-00001.parquet.7.tmp", folder.root / ".failed.parquet.7.tmp"):
        path.write_text("half")
    finish_module.finish(folder, PLAN, splits)
    whole, splits = build_dataset(tmp_path / "whole", 10)
    finish_module.finish(whole, PLAN, splits)
    assert files(folder.root) == files(whole.root)


async def test_a_plan_is_written_shard_by_shard(tmp_path, monkeypatch, capsys):
    count, large = 100, "x" * 1_000_000

    async def many(session, selection, plan, totals):
        for number in range(count):
            item = Item(id=f"{number}", key=f"{number}", bucket="videos", savepath=f"{number}.wav", label=large)
            totals.add(item)
            yield "all", [item]

    monkeypatch.setattr(planning, "planned", many)
    tracemalloc.start()
    code = await planning.only_plan(None, None, PLAN, tmp_path / "plan.jsonl", True, False)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert code == 0
    assert most < 20_000_000
    assert (tmp_path / "plan.jsonl").read_bytes().count(b"\n") == count
    assert [path.name for path in tmp_path.iterdir()] == ["plan.jsonl"]


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("no/plan.jsonl", "No such file or directory"),
        ("p" * 250, "File name too long"),  # what is not finished has a longer name
        ("p" * 300, "File name too long"),
        ("/dev/full", "No space left on device"),
    ],
)
async def test_a_plan_that_cannot_be_written_is_a_sentence(tmp_path, monkeypatch, path, reason):
    async def one(session, selection, plan, totals):
        yield "all", [Item(id="a", key="a", bucket="videos", savepath="a.wav")]

    monkeypatch.setattr(planning, "planned", one)
    with pytest.raises(NotWritten, match=f"cannot be written: {reason}"):
        await planning.only_plan(None, None, PLAN, tmp_path / path, True, False)


async def test_a_plan_on_a_disk_that_may_only_be_read_is_a_sentence(tmp_path, monkeypatch):
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "ro", "none", tmp_path], capture_output=True).returncode:
        pytest.skip("this user may not mount a disk")
    try:
        with pytest.raises(NotWritten, match="cannot be written: Read-only file system"):
            await planning.only_plan(None, None, PLAN, tmp_path / "plan.jsonl", True, False)
    finally:
        subprocess.run(["umount", tmp_path], check=True)
