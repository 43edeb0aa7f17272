"""What others do with a dataset: Ray builds its shards, DVC keeps its versions. Both are large packages."""

import asyncio
import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.orchestrator.dataset.conftest import files, said
from tests.orchestrator.dataset.test_folders import make_dataset

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

PAGE = Path(__file__).parents[3] / "docs" / "datasets.md"


def needs(package: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(importlib.util.find_spec(package) is None, reason=f"{package} is not installed")


def run(*command, folder: Path) -> str:
    environment = {**os.environ, "PYTHONPATH": str(PAGE.parents[1]), "GIT_CONFIG_GLOBAL": "/dev/null"}
    ended = subprocess.run([*map(str, command)], cwd=folder, capture_output=True, text=True, env=environment)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


@needs("ray")
async def test_ray_builds_what_the_queue_builds(put_noise, store_speech, commands, building, archive, tmp_path):
    for number in range(3):
        put_noise(f"{number}.wav", 3.0, seed=number)
        await store_speech(f"{number}.wav", said((0.5, 1.5)), seconds=3.0)
    arguments = ["dataset", "make", "speech", "--all", "--shard-mb", "0.01", "--output"]
    async with building():
        assert (await commands.run(*arguments, str(tmp_path / "queue"))).code == 0
    planned = await commands.run(*arguments, str(tmp_path / "ray"), "--plan", str(tmp_path / "plan.jsonl"))
    assert planned.code == 0, planned.err
    [script] = re.findall(r"```python\n(import asyncio.*?)```", PAGE.read_text(), re.DOTALL)
    (tmp_path / "build.py").write_text(script)
    code = await run_meanwhile(sys.executable, "build.py", "plan.jsonl", archive.url, "ray", folder=tmp_path)
    assert code == 0
    assert files(tmp_path / "ray") == files(tmp_path / "queue")


async def run_meanwhile(*command: str, folder: Path) -> int:
    """Run a command while the extractor, which is in this process, answers it."""
    environment = {**os.environ, "PYTHONPATH": str(PAGE.parents[1]), "RAY_USAGE_STATS_ENABLED": "0"}
    process = await asyncio.create_subprocess_exec(*command, cwd=folder, env=environment)
    return await process.wait()


@needs("dvc")
def test_dvc_keeps_versions_and_brings_an_older_one_back(tmp_path):
    repository = tmp_path / "repository"
    repository.mkdir()
    dvc = [sys.executable, "-m", "dvc"]
    run("git", "init", "-q", folder=repository)
    run(*dvc, "init", "-q", folder=repository)
    run(*dvc, "remote", "add", "-d", "shelf", tmp_path / "remote", folder=repository)
    versions = {}
    for tag, sources in (("v1", 20), ("v2", 30)):
        shutil.rmtree(repository / "data", ignore_errors=True)
        make_dataset(repository / "data", sources)
        versions[tag] = files(repository / "data")
        run(*dvc, "add", "-q", "data", folder=repository)
        run(*dvc, "push", "-q", folder=repository)
        run("git", "add", "-A", folder=repository)
        author = ("-c", "user.name=a", "-c", "user.email=a@example.org")
        run("git", *author, "commit", "-qm", tag, folder=repository)
        run("git", "tag", tag, folder=repository)
    run("git", "checkout", "-q", "v1", folder=repository)
    shutil.rmtree(repository / ".dvc" / "cache")
    shutil.rmtree(repository / "data")
    run(*dvc, "pull", "-q", folder=repository)
    assert files(repository / "data") == versions["v1"] != versions["v2"]
    run(sys.executable, "-m", "orchestrator", "dataset", "verify", "data", folder=repository)
