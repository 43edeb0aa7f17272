"""``dataset make``: what is selected, what is continued, and what is refused."""

import asyncio
import json
import os
import pty
import re
import shutil
import signal
import sys
from contextlib import asynccontextmanager

import pytest
from pyarrow import parquet
from typer.testing import CliRunner

from orchestrator.cli.main import cli
from orchestrator.database.sql import fetch_value
from orchestrator.exports.dataset.build import build_shard
from orchestrator.exports.dataset.layout import DatasetFolder
from orchestrator.exports.dataset.plan import ShardPlan
from orchestrator.jobs import datasets
from reelscribe.errors import StreamCut
from reelscribe.http.peers.extractor_client import ExtractorClient
from tests.orchestrator.commands import read_all
from tests.orchestrator.dataset.conftest import files, members, said


@pytest.fixture
async def talks(put_noise, store_speech):
    """Three recordings of 4 s with an utterance each."""
    for number, name in enumerate(("a.wav", "talks/b.wav", "talks/c.wav")):
        put_noise(name, 4.0, seed=number)
        await store_speech(name, said((1, 2)), seconds=4.0)


@pytest.fixture
def make(commands, tmp_path):
    async def make(*arguments: str, folder: str = "data"):
        return await commands.run("dataset", "make", "speech", *arguments, "--output", str(tmp_path / folder))

    return make


def records(folder) -> list[dict]:
    return [json.loads(content) for name, content in members(folder) if name.endswith(".json")]


async def test_a_dry_run_says_what_would_be_built_and_leaves_nothing(talks, make, sql, tmp_path):
    for arguments, recordings in {
        ("--all",): 3, ("--prefix", "talks/"): 2, ("a.wav",): 1, ("--all", "--limit", "2"): 2,
        ("--where", "savepath like '%b.wav'"): 1, ("--prefix", "talks/", "--where", "duration < 1"): 0,
    }.items():  # fmt: skip
        outcome = await make(*arguments, "--dry-run", "--json")
        planned = json.loads(outcome.out)
        assert (planned["recordings"], planned["utterances"]) == (recordings, recordings), arguments
        assert outcome.code == (0 if recordings else 1)
    assert await sql("select * from datasets") == []
    assert not (tmp_path / "data").exists()


async def test_a_list_gives_labels_splits_and_speakers(talks, make, building, tmp_path):
    (tmp_path / "list.csv").write_text(
        "savepath,label,split,speaker\ntalks/c.wav,yes,train,ann\na.wav,no,te/st,\na.wav,no,test,\na.wav,again,test,\n,x,y,z\n"
    )
    async with building():
        outcome = await make("--manifest", str(tmp_path / "list.csv"))
    assert outcome.code == 0, outcome.err
    assert "3 without a sample (2 bad_row, 1 duplicate)" in outcome.out
    found = {record["savepath"]: record for record in records(tmp_path / "data")}
    assert {name: (one["label"], one["split"], one["speaker"]) for name, one in found.items()} == {
        "talks/c.wav": ("yes", "train", "ann"), "a.wav": ("no", "test", ""),
    }  # fmt: skip
    assert {"shards/train-000000.tar", "shards/test-000000.tar"} < files(tmp_path / "data").keys()


async def test_run_again_it_says_what_is_there_and_other_settings_are_refused(
    talks, make, building, tmp_path, commands
):
    async with building():
        first = await make("--all")
    again = await make("--all")
    assert (again.code, again.out) == (0, first.out)
    assert "finished before" not in first.err
    assert re.fullmatch(
        r"finished before, on \d{4}-\d\d-\d\d \d\d:\d\d; for what has come since, name another folder\n", again.err
    )
    refused = await make("--prefix", "talks/")
    assert (refused.code, "made with other settings; name another folder" in refused.err) == (1, True)
    listed = json.loads((await commands.run("dataset", "list", "--json")).out)
    manifest = json.loads((tmp_path / "data" / "manifest.json").read_text())
    assert [(one["kind"], one["version"], one["samples"]) for one in listed] == [("speech", manifest["version"], 3)]


async def test_a_folder_that_is_removed_is_planned_again(talks, make, building, tmp_path, sql):
    async with building():
        await make("--all")
        shutil.rmtree(tmp_path / "data")
        outcome = await make("--prefix", "talks/")
    assert outcome.code == 0, outcome.err
    assert len(records(tmp_path / "data")) == 2
    assert await sql("select count(*) from jobs where kind = 'shard'") == [(1,)]


async def test_a_folder_is_the_same_by_whatever_path_it_is_named(talks, make, building, tmp_path, commands, sql):
    (tmp_path / "link").symlink_to(tmp_path / "data")
    left = asyncio.create_task(make("--all", folder="none/../data"))
    while not await sql("select number from dataset_shards"):
        await asyncio.sleep(0.02)
    assert (await commands.run("dataset", "cancel", str(tmp_path / "link"))).out.startswith("cancelled 1 shard")
    assert (await left).code == 1
    async with building():
        first = await make("--all", folder="link")
    assert (first.code, "continued: 0 shards of 1 built" in first.err) == (0, True), first.err
    again = await make("--all")
    assert (again.code, again.out) == (0, first.out), again.err


async def test_a_finished_dataset_is_known_in_another_place_and_an_unfinished_one_is_not(
    talks, make, building, tmp_path, sql
):
    async with building():
        first = await make("--all")
    shutil.copytree(tmp_path / "data", tmp_path / "copy")
    again = await make("--all", folder="copy")
    assert (again.code, again.out) == (0, first.out.replace("/data", "/copy")), again.err
    unfinished = DatasetFolder.of(tmp_path / "unfinished")
    [(hash,)] = await sql("select settings_hash from datasets")
    unfinished.mark(7, hash)
    refused = await make("--all", folder="unfinished")
    assert (refused.code, "under another path or by another database, and is not finished" in refused.err) == (1, True)


async def test_a_folder_with_the_manifest_of_another_program_is_left_alone(talks, make, tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "manifest.json").write_text('{"name": "app"}')
    outcome = await make("--all")
    assert (outcome.code, "has files that are no dataset" in outcome.err) == (1, True)


async def test_a_file_in_place_of_the_folder_is_a_sentence(talks, make, tmp_path):
    (tmp_path / "data").write_text("a list")
    outcome = await make("--all")
    assert (outcome.code, "cannot be the folder of a dataset: Not a directory" in outcome.err) == (1, True)


async def test_a_reader_of_the_plan_that_leaves_is_no_failure(archive, orchestrator, tmp_path):
    rows = [f"{number},1,dog,train" for number in range(1000)]  # more than is written later
    (tmp_path / "list.csv").write_text("\n".join(rows))
    reading, writing = os.pipe()
    os.close(reading)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "orchestrator", "dataset", "make", "speech", "--manifest", str(tmp_path / "list.csv")),
        *("--output", str(tmp_path / "o"), "--plan", "/dev/stdout", "--config", str(orchestrator.config)),
        stdout=writing, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    os.close(writing)
    _, said = await process.communicate()
    assert (process.returncode, said) == (141, b"")


async def test_a_folder_of_other_files_is_left_alone(talks, make, tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "thesis.txt").write_text("mine")
    outcome = await make("--all")
    assert (outcome.code, "has files that are no dataset" in outcome.err) == (1, True)
    assert list(files(tmp_path / "data")) == ["thesis.txt"]


async def test_a_replaced_recording_is_no_sample_of_the_old_plan(talks, make, building, tmp_path, put_noise):
    put_noise("a.wav", 4.0, seed=99)
    async with building():
        outcome = await make("a.wav", "talks/b.wav")
    assert outcome.code == 0
    assert "1 without a sample (1 object_replaced)" in outcome.out
    assert [record["savepath"] for record in records(tmp_path / "data")] == ["talks/b.wav"]


async def test_shards_without_a_sample_leave_no_gap(talks, make, building, tmp_path, put_noise):
    put_noise("a.wav", 4.0, seed=99)
    async with building():
        await make("a.wav", "talks/b.wav", "talks/c.wav", "--shard-mb", "0.01")
    assert [name for name in files(tmp_path / "data") if name.endswith(".tar")] == [
        "shards/all-000000.tar", "shards/all-000001.tar",
    ]  # fmt: skip


async def test_a_shard_waits_while_the_extractor_is_away(talks, orchestrator, building, archive, tmp_path):
    url, archive.url = archive.url, "http://127.0.0.1:9"
    command = await orchestrator.start("dataset", "make", "speech", "--all", "--output", str(tmp_path / "data"))
    async with building():
        await command.says("waiting: the extractor at http://127.0.0.1:9 does not answer")
    archive.url = url
    async with building():
        ended = await command.ends()
    assert ended.code == 0, ended.err
    assert len(records(tmp_path / "data")) == 3


async def test_a_stream_that_breaks_off_is_tried_again_and_then_a_row(talks, make, tmp_path, archive):
    """What was written of the item before is removed."""
    await make("--all", "--plan", str(tmp_path / "plan.jsonl"))
    shard = ShardPlan.model_validate_json((tmp_path / "plan.jsonl").read_text())
    async with ExtractorClient(archive.url) as extractor:
        intact = await build_shard(shard, extractor, tmp_path / "intact")
        broken = Broken(extractor, {"a.wav": 2, "talks/b.wav": 9})
        built = await build_shard(shard, broken, tmp_path / "broken")  # type: ignore[arg-type]
    assert (intact.samples, intact.failed, built.samples, built.failed) == (3, 0, 2, 1)
    [row] = parquet.read_table(tmp_path / "broken" / "000000_failed.parquet").to_pylist()
    assert (row["savepath"], row["error_code"]) == ("talks/b.wav", "stream_cut")
    assert [row["savepath"] for row in parquet.read_table(tmp_path / "broken" / "000000.parquet").to_pylist()] == [
        "a.wav", "talks/c.wav",
    ]  # fmt: skip


class Broken:
    """An extractor whose streams of some recordings break off at their end, so often."""

    def __init__(self, extractor, cuts: dict[str, int]) -> None:
        self._extractor = extractor
        self._cuts = cuts

    def __getattr__(self, name):
        return getattr(self._extractor, name)

    @asynccontextmanager
    async def extract(self, request):
        async with self._extractor.extract(request) as audio:
            if self._cuts.get(request.savepath, 0) > 0:
                self._cuts[request.savepath] -= 1
                chunks = audio.chunks

                async def cut():
                    async for chunk in chunks():
                        yield chunk
                    raise StreamCut("it broke off")

                audio.chunks = cut
            yield audio


async def test_a_worker_without_the_folder_leaves_it_to_others(talks, make, building, tmp_path, sql):
    making = asyncio.create_task(make("--all"))
    while not await sql("select number from dataset_shards"):
        await asyncio.sleep(0.02)
    shutil.rmtree(tmp_path / "data")
    async with building():
        outcome = await making
    assert outcome.code == 1
    assert "is not the folder of dataset" in outcome.err
    assert "1 shard could not be built; run the command again to try again" in outcome.err


async def test_it_can_be_left_cancelled_and_continued(talks, orchestrator, commands, building, tmp_path, make):
    command = await orchestrator.start("dataset", "make", "speech", "--all", "--output", str(tmp_path / "data"))
    await command.says("no worker is running")
    left = await command.ends(signal.SIGINT)
    assert (left.code, "the shards are built without you; run the command again" in left.err) == (130, True)
    cancelled = await commands.run("dataset", "cancel", str(tmp_path / "data"))
    assert (cancelled.code, cancelled.out) == (0, "cancelled 1 shard; 0 are built and stay\n")
    assert (await commands.run("dataset", "cancel", str(tmp_path / "none"))).code == 1
    async with building():
        continued = await make("--all")
    assert continued.code == 0, continued.err
    assert "continued: 0 shards of 1 built" in continued.err


async def test_a_command_that_waits_says_that_its_dataset_was_cancelled(talks, orchestrator, commands, tmp_path):
    command = await orchestrator.start("dataset", "make", "speech", "--all", "--output", str(tmp_path / "data"))
    await command.says("no worker is running")
    assert (await commands.run("dataset", "cancel", str(tmp_path / "data"))).code == 0
    left = await command.ends()
    assert (left.code, left.out) == (1, "")
    assert "cancelled: 1 shard of 1; run the command again to continue" in left.err
    assert "could not be built" not in left.err


async def test_a_finished_plan_no_longer_holds_what_was_said(talks, make, building, sql):
    async with building():
        await make("--all")
    assert await sql("select items, samples from dataset_shards") == [([], 3)]


async def test_killed_after_the_last_file_it_is_finished_by_the_next_run(talks, make, building, sql, tmp_path):
    async with building():
        first = await make("--all")
    before = files(tmp_path / "data")
    await sql("update datasets set version = null, finished_at = null")
    again = await make("--all")
    assert (again.code, again.out) == (0, first.out), again.err
    assert files(tmp_path / "data") == before
    assert await sql("select version is null from datasets") == [(False,)]


async def test_a_shard_whose_job_was_deleted_is_built_by_the_next_run(talks, make, building, sql, tmp_path):
    making = asyncio.create_task(make("--all"))
    while not making.done():
        await sql("delete from jobs where kind = 'shard'")
        await asyncio.sleep(0.1)
    assert "1 shard could not be built; run the command again" in (await making).err
    async with building():
        again = await make("--all")
    assert again.code == 0, again.err
    assert len(records(tmp_path / "data")) == 3


async def test_planning_and_finishing_may_leave_the_database_alone_for_long(pool):
    async def limit(connection) -> str:
        return await fetch_value(connection, "select current_setting('idle_in_transaction_session_timeout')")

    async with pool.connection() as connection:
        dataset = await datasets.insert_dataset(connection, "speech", "/nowhere", {}, "hash")
        assert await limit(connection) == "1d"
    async with pool.connection() as connection:
        assert await limit(connection) == "1min"
        await datasets.hold_dataset(connection, dataset)
        assert await limit(connection) == "1d"


async def test_two_commands_can_follow_one_dataset(talks, orchestrator, make, building, tmp_path):
    first = await orchestrator.start("dataset", "make", "speech", "--all", "--output", str(tmp_path / "data"))
    await first.says("no worker is running")
    async with building():
        second = await make("--all")
        left = await first.ends()
    assert (left.code, second.code) == (0, 0), left.err + second.err
    assert left.out == second.out


async def test_it_shows_a_bar_on_a_terminal(talks, orchestrator, building, tmp_path):
    ours, theirs = pty.openpty()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "orchestrator", "dataset", "make", "speech", "--all", "--output", str(tmp_path / "o")),
        *("--config", str(orchestrator.config)),
        stdout=theirs, stderr=theirs, env={**os.environ, "TERM": "xterm", "COLUMNS": "120"},
    )  # fmt: skip
    os.close(theirs)
    async with building():
        shown = await asyncio.to_thread(read_all, ours)
    assert await process.wait() == 0, shown
    assert "1/1" in shown
    assert "3 samples" in shown


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "name savepaths, or give --prefix, --all, --where or --manifest"),
        (["--all", "a.wav"], "name savepaths, or give --prefix, --all, --where or --manifest"),
        (["--where", "1 = 1"], "--where: 1 is no column"),
        (["--all", "--column", "id=x"], "--column goes with --manifest"),
        (["--manifest", "no.csv", "--column", "title=x"], "NAME is one of id, savepath"),
        (["--manifest", "no.csv", "--template", "x.mp4"], "--template must hold {id}"),
        (["--manifest", "no.csv"], "--manifest: no.csv cannot be read: No such file or directory"),
        (["--all", "--min-seconds", "9", "--max-seconds", "3"], "must not be more than"),
        (["--all", "--min-confidence", "7"], "--min-confidence: "),
        (["--all", "--pause", "nan"], "--pause: must be a finite number"),
    ],
)
def test_a_wrong_call_is_exit_code_2_and_a_sentence(arguments, sentence):
    outcome = CliRunner().invoke(cli, ["dataset", "make", "speech", *arguments, "--output", "o"])
    assert outcome.exit_code == 2, outcome.output
    assert sentence in outcome.stderr
