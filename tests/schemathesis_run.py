"""Schemathesis against a running service."""

import asyncio
import sys
from pathlib import Path

from tests.conftest import THOROUGH

EXAMPLES = 20 if THOROUGH else 4
"""Of each operation, in addition to those that its schema names and to the limits of all values."""


async def finds_nothing(url: str, folder: Path, *options: str, exclude: tuple[str, ...] = ()) -> str:
    """Have all its checks made but one: a schema does not say which objects there are. Returns what it prints.

    Args:
        url: of the service, which takes the token ``first``.
        folder: to run in; it leaves a folder of its own.
        exclude: further checks that are not made.
    """
    process = await asyncio.create_subprocess_exec(
        *(Path(sys.executable).parent / "schemathesis", "run", f"{url}/openapi.json"),
        *("--header", "Authorization: Bearer first", *options),
        *("--checks", "all", "--exclude-checks", ",".join(("positive_data_acceptance", *exclude)), "--warnings", "off"),
        *("--max-examples", str(EXAMPLES), "--generation-deterministic", "--request-timeout", "60", "--no-color"),
        cwd=folder,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    assert process.stdout
    said = (await process.stdout.read()).decode()
    assert await process.wait() == 0 and "No issues found" in said, said
    return said
