"""The Python environment that yt-dlp is in: of its own, so that it is updated without touching ours."""

import asyncio
import sys
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import Callable
from pathlib import Path

from reelscribe.errors import ServiceError

REQUIREMENT = "yt-dlp[default]"
WITH_DENO = "yt-dlp[deno]=="
"""Installed after it, with its version: if deno cannot be had, pip would take an old yt-dlp without such an extra."""
MARK = "pyvenv.cfg"
ENVIRONMENT = "environment"
"""Of ``[ingest] data_dir``."""


class NotInstalled(ServiceError):
    """There is no yt-dlp, or it cannot be installed."""

    code = "not_installed"


class Environment:
    """yt-dlp's environment.

    Args:
        folder: of it; need not exist yet.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.python = folder / "bin" / "python"

    async def version(self) -> str | None:
        """Of its yt-dlp; None if there is none that runs."""
        try:
            return await self._run(
                str(self.python), "-I", "-c", "import yt_dlp.version; print(yt_dlp.version.__version__)"
            )
        except NotInstalled:
            return None

    async def update(self, report: Callable[[str], None]) -> str:
        """Make it if there is none, and install the newest yt-dlp; its version.

        Raises:
            NotInstalled: that fails.
        """
        if not await self._has_pip():
            if self.folder.exists() and any(self.folder.iterdir()) and not (self.folder / MARK).exists():
                raise NotInstalled(f"{self.folder} holds something else; see [ingest] data_dir")
            report(f"making {self.folder}")
            self.folder.parent.mkdir(parents=True, exist_ok=True)
            await self._run(sys.executable, "-m", "venv", "--clear", str(self.folder))
        report(f"installing {REQUIREMENT}")
        await self._install(REQUIREMENT)
        version = await self.version()
        if version is None:
            raise NotInstalled(f"yt-dlp was installed in {self.folder} and does not run")
        report("installing deno, which runs the scripts of YouTube's pages")
        try:
            await self._install(WITH_DENO + version)
        except NotInstalled as failed:
            report(f"continuing without it: {failed.message}")
        return version

    async def _has_pip(self) -> bool:
        try:
            await self._run(str(self.python), "-I", "-m", "pip", "--version")
        except NotInstalled:
            return False
        return True

    async def _install(self, requirement: str) -> None:
        quietly = ("--quiet", "--disable-pip-version-check", "--no-input")
        await self._run(str(self.python), "-I", "-m", "pip", "install", *quietly, "--upgrade", requirement)

    async def _run(self, *command: str) -> str:
        """The output of a program.

        Raises:
            NotInstalled: it fails, with the last line that it has printed.
        """
        try:
            process = await asyncio.create_subprocess_exec(*command, stdin=DEVNULL, stdout=PIPE, stderr=PIPE)
        except OSError as missing:
            raise NotInstalled(f"{command[0]} does not run: {missing.strerror}") from missing
        try:
            out, err = await process.communicate()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        if process.returncode:
            lines = [line.strip() for line in err.decode(errors="replace").splitlines() if line.strip()]
            errors = [line for line in lines if line.startswith("ERROR")] or lines or ["no reason is known"]
            raise NotInstalled(errors[-1].removeprefix("ERROR: "))
        return out.decode().strip()
