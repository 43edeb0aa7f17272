"""CPU time of commands that do little, over that of an earlier commit, both in one run: make bench-startup

Prints a table and writes bench/results/startup.json.
"""

import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from bench import hardware
from bench.database import temporary_database
from orchestrator.database.pool import prepare

ROOT = Path(__file__).parent.parent
RESULTS = Path(__file__).parent / "results" / "startup.json"
BEFORE = "3047e81"
"""The last commit at which every command imported everything."""
LIMIT_SECONDS = 0.25
HELP_RATIO, WORK_RATIO = 0.35, 0.5
COMPLETION = "import sys; sys.argv[0] = 'orchestrator'; from orchestrator.__main__ import main; main()"
COMPLETED = {"_ORCHESTRATOR_COMPLETE": "complete_bash", "COMP_WORDS": "orchestrator sta", "COMP_CWORD": "1"}


def main(
    before: Annotated[str, typer.Option(help="Commit to compare with.")] = BEFORE,
    rounds: Annotated[int, typer.Option(min=1, help="Runs of each command, of which the median counts.")] = 9,
    quick: Annotated[bool, typer.Option("--quick", help="Just enough to show that it runs; nothing is saved.")] = False,
) -> None:
    """Measure how much CPU time commands take that do little."""
    rounds = 1 if quick else rounds
    with tempfile.TemporaryDirectory(prefix="reelscribe-bench-") as name, temporary_database() as (folder, url):
        prepare(url)
        config = folder / "config.cfg"
        config.write_text(f"[database]\nurl = {url}\n")
        old = Path(name) / "before"
        subprocess.run(["git", "-C", ROOT, "worktree", "add", "--quiet", "--detach", old, before], check=True)
        try:
            rows = [measure(title, command, old, rounds) for title, command in commands(config).items()]
        finally:
            subprocess.run(["git", "-C", ROOT, "worktree", "remove", "--force", old], check=True)
    report = {"machine": hardware.describe(), "before": before, "rounds": rounds, "commands": rows}
    show(report)
    if not quick:
        RESULTS.write_text(json.dumps(report, indent=1) + "\n")


def commands(config: Path) -> dict[str, tuple[list[str], dict[str, str]]]:
    """What is measured: arguments of Python, and variables of the environment."""
    with_config = ["--config", str(config)]
    return {
        "orchestrator --help": (["-m", "orchestrator", "--help"], {}),
        "orchestrator --version": (["-m", "orchestrator", "--version"], {}),
        "orchestrator status --help": (["-m", "orchestrator", "status", "--help"], {}),
        "completion of orchestrator sta": (["-c", COMPLETION], COMPLETED),
        "extractor-api --help": (["-m", "extractor_api", "--help"], {}),
        "transcriber --help": (["-m", "transcriber", "--help"], {}),
        "orchestrator status": (["-m", "orchestrator", "status", *with_config], {}),
        "orchestrator submit a.mp4": (["-m", "orchestrator", "submit", "a.mp4", *with_config], {}),
    }


def measure(title: str, command: tuple[list[str], dict[str, str]], old: Path, rounds: int) -> dict[str, Any]:
    """The medians of both commits, which alternate; the first run of each, which compiles, does not count."""
    arguments, variables = command
    seconds: dict[Path, list[float]] = {old: [], ROOT: []}
    for _ in range(rounds + 1):
        for root, measured in seconds.items():
            measured.append(cpu_seconds([sys.executable, *arguments], root, variables))
    before, now = (statistics.median(measured[1:]) for measured in seconds.values())
    works = title.endswith(("status", ".mp4"))
    limit = WORK_RATIO if works else HELP_RATIO
    return {
        "command": title,
        "before_s": round(before, 3),
        "now_s": round(now, 3),
        "ratio": round(now / before, 3),
        "limit_ratio": limit,
        "limit_s": None if works else LIMIT_SECONDS,
    }


def cpu_seconds(command: list[str], root: Path, variables: dict[str, str]) -> float:
    """CPU time of a command of the sources in ``root``, that of its children included."""
    environment = {**os.environ, **variables, "PYTHONPATH": str(root)}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, cwd=root.parent, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def show(report: dict[str, Any]) -> None:
    """Print the report as a table."""
    console = Console(highlight=False)
    console.print(f"{report['machine']}; CPU time, medians of {report['rounds']} runs; before: {report['before']}")
    table = Table()
    for heading in ("command", "before", "now", "limit", "ratio", "limit of it"):
        table.add_column(heading, justify="left" if heading == "command" else "right")
    for row in report["commands"]:
        limit = f"{row['limit_s']:.2f} s" if row["limit_s"] else ""
        figures = (f"{row['before_s']:.2f} s", f"{row['now_s']:.2f} s", limit, f"{row['ratio']:.2f}")
        table.add_row(row["command"], *figures, f"{row['limit_ratio']:.2f}")
    console.print(table)


if __name__ == "__main__":
    typer.run(main)
