"""Whatever a test run has started ends with it, also after ``kill -9``."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tests.guard import FOLDER
from tests.waiting import blocking_eventually

STARTS = """
import os, subprocess, sys, time
from pathlib import Path

from orchestrator.database import embedded
from tests.guard import temporary_folder
from tests.orchestrator.database.servers import postmaster
from tests.waiting import blocking_eventually

def test_that_does_not_end():
    with temporary_folder("data-") as folder, embedded.running(folder / "postgres"):
        own_session = subprocess.Popen(["sleep", "600"], start_new_session=True)
        child = "import subprocess; subprocess.run(['sleep', '601'], env={})"
        in_between = subprocess.Popen([sys.executable, "-c", child], start_new_session=True)
        left = [postmaster(folder / "postgres"), own_session.pid, in_between.pid]
        Path(os.environ["REPORT"]).write_text(f"{os.getpid()} {folder} {' '.join(map(str, left))}\\n")
        time.sleep(600)
"""


@pytest.mark.parametrize("killed", ["pytest", "its worker"])
def test_nothing_is_left_of_a_run_that_is_killed(killed: str, tmp_path: Path) -> None:
    (tmp_path / "test_starts.py").write_text(STARTS)
    report = tmp_path / "report"
    run = subprocess.Popen(
        [sys.executable, "-m", "pytest", "-p", "tests.guard", "-n", "1", "--max-worker-restart", "0", tmp_path],
        env={**os.environ, "REPORT": str(report), "PYTHONPATH": os.getcwd()}, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        worker, folder, *started = written(report).split()
        left = [psutil.Process(int(pid)) for pid in started]
        left += [child for process in left for child in process.children(recursive=True)]
        left.append(psutil.Process(int(worker)))
        assert {"postgres", "sleep"} <= {process.name() for process in left}
        os.kill(run.pid if killed == "pytest" else int(worker), signal.SIGKILL)
        gone, alive = psutil.wait_procs(left, timeout=60)
        assert (alive, len(gone)) == ([], len(left))
        blocking_eventually(lambda: not Path(folder).parent.exists())
    finally:
        run.kill()
        run.wait()


def test_the_folder_of_a_run_is_removed_when_it_ends(tmp_path: Path) -> None:
    (tmp_path / "test_ends.py").write_text(
        f"import os\ndef test_it(): open(os.environ['REPORT'], 'w').write(os.environ[{FOLDER!r}] + '\\n')"
    )
    report = tmp_path / "report"
    environment = {**os.environ, "REPORT": str(report), "PYTHONPATH": os.getcwd()}
    command: list[str | Path] = [sys.executable, "-m", "pytest", "-p", "tests.guard", "-n", "0", tmp_path]
    subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL)
    blocking_eventually(lambda: not Path(report.read_text().strip()).exists())


def test_benches_and_pictures_need_no_test_run() -> None:
    program = (
        "from tests.guard import temporary_folder\nwith temporary_folder('bench-') as folder: print(folder.is_dir())"
    )
    without = {name: value for name, value in os.environ.items() if name != FOLDER}
    assert subprocess.check_output([sys.executable, "-c", program], env=without, text=True) == "True\n"


def written(report: Path) -> str:
    blocking_eventually(lambda: report.exists() and report.read_text().endswith("\n"), within=200)
    return report.read_text()
