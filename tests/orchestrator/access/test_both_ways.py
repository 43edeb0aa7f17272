"""The same commands through the database and over HTTP: the same output, the same exit codes."""

import json
import re
import shutil
from pathlib import Path

import psycopg
import pytest

from orchestrator.cli.main import OVER_HTTP
from orchestrator.cli.submission import savepath_lists
from tests.orchestrator.access.conftest import OverHttp, serving
from tests.orchestrator.commands import InProcess
from tests.orchestrator.conftest import run_worker

SCENARIOS = {
    "reading": """
status
status --json
status talks/a.mp4
status talks/a.mp4 --watch
status failed.mp4 --json
status unknown.mp4
status --state failed --json
status --state running
status --prefix talks/ --json
status --bucket more
status --limit 2
list
list --json
list --language de
list --limit 1
list --after talks/a.mp4 --json
list --bucket more
list --prefix unknown
show talks/a.mp4
show talks/a.mp4 --json
show talks/a.mp4 --format srt
show talks/a.mp4 --timestamps --as-heard
show named/about
show named/segments --json
show cut.mp4
show queued.mp4
show failed.mp4
show unknown.mp4 --bucket more
search horse
search horse --json
search horse --limit 1
search horse --language de --prefix talks/
search unicorn
export talks/a.mp4
export talks/a.mp4 --format docx
export named/segments named/about --format jsonl --output -
export cut.mp4 talks/a.mp4 unknown.mp4 --format jsonl --output -
export --all --format jsonl --output -
export --all --format jsonl --language de --output -
export --all --min-confidence 0.99 --format jsonl --output -
export --all --format srt --output DIR
export --prefix talks/ --format json --output DIR --json
export talks/a.mp4 queued.mp4 --name {stem}.{format} --output DIR
export --prefix unknown --output DIR
vocabulary list
vocabulary list --json
""",
    "submitting": """
submit new.mp4
submit new.mp4 --json
submit talks/a.mp4 queued.mp4 failed.mp4 new.mp4
submit talks/a.mp4 queued.mp4 failed.mp4 new.mp4 --json --priority 3 --language de
submit talks/a.mp4 --wait
submit talks/a.mp4 --wait --json
submit talks/a.mp4 --force
submit new.mp4 --webhook https://example.com/hook
submit --from-file LIST
status --json
""",
    "retrying": """
retry unknown.mp4
retry unknown.mp4 queued.mp4
retry failed.mp4 queued.mp4 --json
retry failed.mp4
retry --all-failed --json
retry --all-failed
retry --code unknown
status --json
""",
    "retrying by code": """
retry --code object_not_found --bucket more
retry --code object_not_found
status --json
""",
    "cancelling": """
cancel unknown.mp4 queued.mp4 unknown.wav --json
cancel queued.mp4
cancel queued.mp4 failed.mp4 --json
cancel --prefix q
cancel --prefix q --json
cancel --all
cancel --all --yes
retry queued.mp4
status --json
""",
    "deleting": """
delete talks/a.mp4
delete talks/a.mp4 unknown.mp4 unknown.wav --yes
delete talks/a.mp4 talks/a.mp4 --yes
show talks/a.mp4
delete named/about named/segments --yes --json
delete talks/a.wav failed.mp4 --yes --json
delete talks/a.mp4 --yes
status --json
""",
    "vocabularies": """
vocabulary requeue --dry-run
vocabulary set --prefix talks/ Okafor Ilse
vocabulary set Okafor --json
vocabulary add --prefix raw/ Ilse
vocabulary remove --prefix raw/ Ann
vocabulary remove --prefix raw/
vocabulary remove --prefix none/ Ann
vocabulary remove --prefix talks/ Nemo
vocabulary remove --prefix talks/ Nemo Ilse --json
vocabulary requeue --dry-run --json
vocabulary requeue
vocabulary requeue --yes --json
vocabulary requeue --yes
status --json
""",
}


def comparable(output: str) -> str:
    """What was printed, without the moments at which it was made and the name of who made it."""
    output = re.sub(r"20\d\d-\d\d-\d\d[ T]\d\d:\d\d(:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d))?", "TIME", output)
    return re.sub(r'"changed_by": ".*"', '"changed_by": NAME', output)


async def carried_out(way: InProcess, line: str, folder: Path):
    """What a command returns, prints and writes."""
    words = {"DIR": str(folder / "exported"), "LIST": str(folder / "list.txt")}
    (folder / "list.txt").write_text("new.mp4\n/wrong\n\nqueued.mp4\n")
    outcome = await way.run(*[words.get(word, word) for word in line.split()])
    written = {
        str(path.relative_to(folder)): path.read_bytes() for path in folder.glob("exported/**/*") if path.is_file()
    }
    shutil.rmtree(folder / "exported", ignore_errors=True)
    return outcome.code, comparable(outcome.out), comparable(outcome.err), written


@pytest.mark.parametrize("scenario", SCENARIOS)
async def test_the_same_commands_do_the_same_both_ways(scenario, copied, tmp_path):
    (tmp_path / "host.cfg").write_text(f"[database]\nurl = {copied()}\n")
    on_database = InProcess(tmp_path / "host.cfg")
    async with serving(tmp_path, copied()) as url:
        over_http = OverHttp(tmp_path, url)
        for line in SCENARIOS[scenario].strip().splitlines():
            here, there = [await carried_out(way, line, tmp_path) for way in (on_database, over_http)]
            assert there == here, line
            assert here[1] or here[2], line


def test_every_command_that_has_a_way_over_http_is_compared():
    lines = "".join(SCENARIOS.values()).split("\n")
    assert {line.split()[0] for line in lines if line} == OVER_HTTP


async def test_what_a_long_list_names_twice_is_made_again_once(copied, tmp_path, monkeypatch):
    """Over HTTP it is many requests, one for each chunk."""
    monkeypatch.setattr(savepath_lists, "CHUNK", 1)
    here, there = copied(), copied()
    (tmp_path / "host.cfg").write_text(f"[database]\nurl = {here}\n")
    async with serving(tmp_path, there) as url:
        for way, database in ((InProcess(tmp_path / "host.cfg"), here), (OverHttp(tmp_path, url), there)):
            before = count_jobs(database)
            names = ("talks/a.mp4", "queued.mp4", "failed.mp4", "new.mp4", "talks/a.mp4")
            outcome = await way.run("submit", *names, "--force", "--json")
            totals = json.loads(outcome.out)["totals"]
            assert {name: count for name, count in totals.items() if count} == {"new": 4, "known": 1}
            assert count_jobs(database) - before == 4


def count_jobs(url: str) -> int:
    with psycopg.connect(url) as connection:
        return int(connection.execute("select count(*) from jobs").fetchall()[0][0])


async def test_submit_wait_follows_the_job_over_http(copied, tmp_path, transcriber):
    url = copied()
    async with serving(tmp_path, url) as server, run_worker(url, (transcriber.url,), 5):
        outcome = await OverHttp(tmp_path, server).run("submit", "new.mp4", "--wait")
    assert (outcome.code, "done      new.mp4: 30.0 s" in outcome.err) == (0, True)
