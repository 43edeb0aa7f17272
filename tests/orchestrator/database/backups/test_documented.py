"""The commands of docs/operations.md about the database run as they are written."""

import re
import shlex
from pathlib import Path

DOCS = (Path(__file__).parents[4] / "docs" / "operations.md").read_text()
LINES = [line for block in re.findall(r"```sh\n(.*?)```", DOCS, re.DOTALL) for line in block.splitlines()]
COMMANDS = [line for line in LINES if line.startswith("orchestrator database")]


async def test_the_commands_work_as_typed_and_one_after_the_other(filled, commands, target, tmp_path):
    assert len(COMMANDS) >= 6
    for line in COMMANDS:
        typed = shlex.split(line.replace("/var/backups/reelscribe", str(tmp_path)))[1:]
        done = await commands.run(*typed)
        assert (done.code, done.err) == (0, ""), line
        assert done.out, line
