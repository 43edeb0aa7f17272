"""Shards are jobs: several workers build one dataset, and whoever is killed at whatever moment, it is the same."""

import asyncio
import json
import random
import signal

import pytest

from tests.orchestrator.dataset.conftest import files, members, said

OF_A_RECORDING = 20


@pytest.fixture
def many_utterances(put_noise, store_speech):
    """Recordings whose utterances are a shard each, with --shard-mb 0.01."""

    async def store(count: int) -> None:
        for first in range(0, count, OF_A_RECORDING):
            said_there = [said((n + 0.2, n + 0.6)) for n in range(min(OF_A_RECORDING, count - first))]
            name, seconds = f"{first}.wav", len(said_there) + 1.0
            put_noise(name, seconds=seconds, seed=first)
            await store_speech(name, *said_there, seconds=seconds)

    return store


async def built(sql) -> int:
    [(count,)] = await sql("select count(sha256) from dataset_shards")
    return count


async def until_built(sql, least: int) -> None:
    while await built(sql) < least:
        await asyncio.sleep(0.02)


def arguments(folder) -> list[str]:
    return ["dataset", "make", "speech", "--all", "--shard-mb", "0.01", "--output", str(folder)]


@pytest.mark.parametrize(
    "shards",
    [
        pytest.param(60, marks=pytest.mark.timeout(900)),
        pytest.param(1000, marks=[pytest.mark.slow, pytest.mark.timeout(2400)]),
    ],
)
async def test_no_shard_is_lost_or_made_twice_if_one_of_three_workers_is_killed(
    many_utterances, orchestrator, commands, sql, tmp_path, shards
):
    await many_utterances(shards)
    making = asyncio.create_task(commands.run(*arguments(tmp_path / "killed")))
    workers = [await orchestrator.start("worker") for _ in range(3)]
    await until_built(sql, shards // 10)
    workers[0].process.kill()
    outcome = await making
    for worker in workers[1:]:
        await worker.ends(signal.SIGTERM)
    assert outcome.code == 0, outcome.err
    assert await sql("select state, count(*) from jobs where kind = 'shard' group by state") == [("done", shards)]
    keys = [name for name, _ in members(tmp_path / "killed") if name.endswith(".json")]
    assert len(set(keys)) == len(keys) == shards
    manifest = json.loads((tmp_path / "killed" / "manifest.json").read_text())
    assert [shard["name"] for shard in manifest["shards"]] == [f"all-{number:06d}.tar" for number in range(shards)]


async def test_killed_again_and_again_and_run_again_it_is_the_same(
    many_utterances, orchestrator, commands, building, sql, tmp_path
):
    await many_utterances(6)
    async with building():
        assert (await commands.run(*arguments(tmp_path / "whole"))).code == 0
    moments = random.Random(13)
    for _ in range(2):  # a shard whose worker is lost three times has failed
        making, worker = await orchestrator.start(*arguments(tmp_path / "data")), await orchestrator.start("worker")
        await asyncio.sleep(moments.uniform(1.5, 4))
        for command in (making, worker):
            if command.process.returncode is None:
                command.process.kill()
            await command.process.wait()
    async with building():
        outcome = await commands.run(*arguments(tmp_path / "data"))
    assert outcome.code == 0, outcome.err
    assert files(tmp_path / "data") == files(tmp_path / "whole")


async def test_a_worker_that_may_build_none_leaves_them_to_others(
    many_utterances, orchestrator, commands, building, sql, submit, job_in, tmp_path, monkeypatch
):
    await many_utterances(2)
    making = asyncio.create_task(commands.run(*arguments(tmp_path / "data")))
    while not await sql("select queue_job from jobs where kind = 'shard' and queue_job is not null"):
        await asyncio.sleep(0.02)
    monkeypatch.setenv("REELSCRIBE_ORCHESTRATOR__MAX_SHARDS", "0")
    worker = await orchestrator.start("worker")
    await worker.says("worker: takes as many jobs")
    await job_in((await submit("new.wav")).id, "running", "done", "failed")  # it looks into the queue
    assert await sql("select distinct attempt from jobs where kind = 'shard'") == [(0,)]
    async with building():
        assert (await making).code == 0
    await worker.ends(signal.SIGTERM)
