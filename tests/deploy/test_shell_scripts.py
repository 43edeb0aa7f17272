"""The shell scripts that install Reelscribe."""

import shutil
import subprocess
from pathlib import Path

import pytest

SCRIPTS = sorted((Path(__file__).parents[2] / "deploy").rglob("*.sh"))


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name)
def test_shellcheck_has_nothing_to_say(script: Path) -> None:
    if not shutil.which("shellcheck"):
        pytest.skip("needs shellcheck")
    checked = subprocess.run(["shellcheck", script], capture_output=True, text=True)
    assert checked.stdout + checked.stderr == ""
