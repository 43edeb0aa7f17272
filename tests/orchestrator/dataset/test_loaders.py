"""What loaders make of a dataset: the real ones, with their own idea of samples and types."""

import subprocess
import sys

import duckdb
import pandas
import pytest

from tests.orchestrator.dataset.conftest import said

WEBDATASET = """
import sys, webdataset
found = webdataset.WebDataset(sys.argv[1], shardshuffle=False).decode()
for sample in found:
    print(sample["__key__"], len(sample["wav"]), sample["json"]["text"], sample["json"]["duration"])
"""
DATASETS = """
import sys, datasets
from datasets.packaged_modules.webdataset.webdataset import WebDataset
WebDataset.AUDIO_EXTENSIONS = []  # a column of Audio needs torchcodec, which needs torch
datasets.disable_progress_bars()
found = datasets.load_dataset("webdataset", data_files=sys.argv[1], split="train", cache_dir=sys.argv[2])
for sample in found:
    print(sample["__key__"], len(sample["wav"]), sample["json"]["text"], sample["json"]["duration"])
print(found.features["json"]["duration"].dtype, found.features["json"]["speaker"].dtype)
"""


@pytest.fixture
async def dataset(put_noise, store_speech, commands, building, tmp_path):
    """Two shards of seven utterances; the first are one second long, and no speaker is known of them."""
    lines = ["savepath,speaker"]
    for number in range(7):
        name = f"{number}.wav"
        put_noise(name, 3.0, seed=number)
        await store_speech(name, said((0.5, 1.5 if number < 5 else 1.75)), seconds=3.0)
        lines.append(f"{name},{'ann' if number == 6 else ''}")
    (tmp_path / "list.csv").write_text("\n".join(lines))
    arguments = ["--manifest", str(tmp_path / "list.csv"), "--margin", "0", "--shard-mb", "0.2"]
    async with building():
        made = await commands.run("dataset", "make", "speech", *arguments, "--output", str(tmp_path / "data"))
    assert made.code == 0, made.err
    return tmp_path / "data"


def run(script: str, *arguments: str) -> list[list[str]]:
    ended = subprocess.run([sys.executable, "-c", script, *arguments], capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    return [line.split() for line in ended.stdout.splitlines()]


def test_webdataset_datasets_pandas_and_duckdb_read_the_same(dataset, tmp_path):
    by_duckdb = duckdb.sql(
        f"select key, text, duration from '{dataset}/index/*.parquet' order by shard, key"
    ).fetchall()
    expected = [[key, text, str(duration)] for key, text, duration in by_duckdb]
    assert sorted(duration for _, _, duration in expected) == ["1.0"] * 5 + ["1.25"] * 2
    frame = pandas.read_parquet(dataset / "index")
    assert sorted(frame["key"]) == sorted(key for key, _, _ in expected)
    read = run(WEBDATASET, str(dataset / "shards" / "all-{000000..000001}.tar"))
    assert sorted([key, *rest] for key, _, *rest in read) == sorted(expected)
    *read, types = run(DATASETS, str(dataset / "shards" / "*.tar"), str(tmp_path / "cache"))
    assert sorted([key, *rest] for key, _, *rest in read) == sorted(expected)
    assert types == ["float64", "string"]
