"""yt-dlp in a process of its own, that cannot outlive this one: what is asked of it, and what it answers."""

import asyncio
import json
import os
import resource
import signal
import ssl
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from pathlib import Path
from tempfile import NamedTemporaryFile, TemporaryFile, _TemporaryFileWrapper
from typing import Any, Self

from pydantic import BaseModel

from orchestrator.ingest import child as child_program
from orchestrator.ingest.environment import Environment, NotInstalled
from orchestrator.ingest.failures import DownloadFailed, FailureKind, failure_of, sentence
from orchestrator.ingest.names import NAMELESS
from reelscribe.child_process import end_with_parent
from reelscribe.errors import SettingsError
from reelscribe.media import ffmpeg
from reelscribe.settings.loading import Settings

MOST_ENTRIES = 100_000
"""Of one list."""
LONGEST_ANSWER = 1 << 20
SILENCE_SECONDS = 3600.0
"""After which yt-dlp hangs: listing a large channel and joining large files take long, and say nothing meanwhile."""
STOP_SECONDS = 5.0
SPARE_BYTES = 1 << 20
"""By which a file may exceed max_bytes before the system refuses it, if yt-dlp has not."""
PASSED_ON = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "SSL_CERT_FILE", "SSL_CERT_DIR")
PROXIES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")


class Found(BaseModel):
    """What is at an address: a recording that can be fetched by its number, or a link (without one) to more."""

    in_list: bool
    media: str
    number: int | None
    extractor: str
    id: str
    url: str
    title: str
    extension: str
    live: bool


class Progress(BaseModel):
    """Bytes of a download so far, and in total if that is known."""

    bytes: int
    total: int | None


class Downloader:
    """Asks yt-dlp, one thing at a time. Its process starts when it is first needed, and again if it has ended."""

    def __init__(self, settings: Settings, environment: Environment) -> None:
        self._settings = settings.ingest
        self._environment = environment
        self._arguments = arguments(settings)
        self._process: asyncio.subprocess.Process | None = None
        self._errors = TemporaryFile()  # noqa: SIM115
        self._trusted = trusted(settings.auth.tls_ca) if settings.auth.tls_ca else None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.stop()
        self._errors.close()
        if self._trusted:
            self._trusted.close()

    async def look(self, url: str, is_list: bool, named_host: str | None) -> list[Found]:
        """What is at an address.

        Args:
            is_list: take the list, if the address is of a recording in a list.
            named_host: of the address that the user named and that led here; it may have a private address, and no
                other host may.

        Raises:
            DownloadFailed: there is nothing, or it cannot be asked.
            NotInstalled: yt-dlp does not run.
        """
        answers = self._ask({"look": url, "list": is_list, "host": named_host}, fetched=False, named_site=False)
        return [Found.model_validate(answer["found"]) async for answer in answers if "found" in answer]

    async def fetch(self, found: Found, folder: Path, show: Callable[[Progress], None]) -> Path:
        """Download into a folder of its own, where an earlier attempt may have left a part; the finished file.

        Raises:
            DownloadFailed: it could not be downloaded; the part stays.
            NotInstalled: yt-dlp does not run.
        """
        named_site = found.extractor.lower() not in NAMELESS
        stored = ""
        request = {"fetch": found.number, "folder": str(folder)}
        async for answer in self._ask(request, fetched=True, named_site=named_site):
            if "progress" in answer:
                show(Progress.model_validate(answer["progress"]))
            elif "stored" in answer:
                stored = answer["stored"]["name"]
        path = folder / Path(stored).name
        if not path.is_file() or path.is_symlink():
            raise DownloadFailed(FailureKind.OUTDATED, "yt-dlp has left no file")
        return path

    async def stop(self) -> None:
        """End yt-dlp, and what it has started; its part of a download stays."""
        process, self._process = self._process, None
        if process is None:
            return
        for number in (signal.SIGTERM, signal.SIGKILL):
            with suppress(ProcessLookupError):
                os.killpg(process.pid, number)
            with suppress(TimeoutError):
                await asyncio.shield(asyncio.wait_for(process.wait(), STOP_SECONDS))
                return

    async def _ask(self, request: dict[str, Any], fetched: bool, named_site: bool) -> AsyncIterator[dict[str, Any]]:
        process = self._process or await self._start()
        assert process.stdin
        try:
            process.stdin.write(json.dumps(request).encode() + b"\n")
            await process.stdin.drain()
            while True:
                answer = await self._answer(process)
                if failure := answer.get("failure"):
                    raise failure_of(failure, fetched, named_site)
                yield answer
                if "end" in answer or "stored" in answer:
                    return
        except (ConnectionError, EOFError) as ended:
            reason = await self._ended()
            raise DownloadFailed(FailureKind.NETWORK, f"yt-dlp's process ended: {reason}") from ended
        except ValueError as garbled:
            await self.stop()
            raise DownloadFailed(FailureKind.OUTDATED, "yt-dlp's process gave no answer that can be read") from garbled

    async def _start(self) -> asyncio.subprocess.Process:
        self._errors.seek(0)
        self._errors.truncate()
        with_parent, most = end_with_parent(), self._settings.max_bytes

        def in_child() -> None:
            with_parent()
            resource.setrlimit(resource.RLIMIT_FSIZE, (most + SPARE_BYTES,) * 2)

        try:
            process = await asyncio.create_subprocess_exec(
                *(str(self._environment.python), "-I", "-X", "utf8", child_program.__file__),
                stdin=PIPE,
                stdout=PIPE,
                stderr=self._errors,
                env=self._variables(),
                start_new_session=True,  # Ctrl-C of a terminal is ours to handle
                preexec_fn=in_child,
                limit=LONGEST_ANSWER,
            )
        except OSError as missing:
            raise not_installed() from missing
        self._process = process
        assert process.stdin
        try:
            process.stdin.write(json.dumps(self._arguments).encode() + b"\n")
            greeting = await self._answer(process)
        except (ConnectionError, EOFError) as ended:
            raise NotInstalled(f"yt-dlp does not run ({await self._ended()}); {HOW}") from ended
        if failure := greeting.get("failure"):
            await self.stop()
            raise SettingsError([f"[ingest]: yt-dlp does not take these settings: {sentence(str(failure['message']))}"])
        return process

    async def _answer(self, process: asyncio.subprocess.Process) -> dict[str, Any]:
        assert process.stdout
        try:
            async with asyncio.timeout(SILENCE_SECONDS):
                line = await process.stdout.readline()
        except TimeoutError:
            await self.stop()
            raise DownloadFailed(FailureKind.NETWORK, f"yt-dlp has done nothing for {SILENCE_SECONDS:g} s") from None
        if not line:
            raise EOFError
        answer: dict[str, Any] = json.loads(line)
        return answer

    async def _ended(self) -> str:
        """The last thing that it has said, once it has ended."""
        await self.stop()
        self._errors.seek(0)
        lines = self._errors.read().decode(errors="replace").split("\n")
        return next((line.strip() for line in reversed(lines) if line.strip()), "it said nothing")

    def _variables(self) -> dict[str, str]:
        """Of the environment, what it needs: no secrets of ours, no plugins."""
        wanted = {*PASSED_ON, *PROXIES, *(name.upper() for name in PROXIES)}
        kept = {name: value for name, value in os.environ.items() if name in wanted}
        path = os.pathsep.join([str(self._environment.python.parent), kept.get("PATH", os.defpath)])
        trusted = {"SSL_CERT_FILE": self._trusted.name} if self._trusted else {}
        return {**kept, **trusted, "PATH": path, "YTDLP_NO_PLUGINS": "1"}


def trusted(authorities: Path) -> "_TemporaryFileWrapper[bytes]":
    """A file of the certificates that this system trusts and of these, for OpenSSL; closing it removes it."""
    system = ssl.get_default_verify_paths().cafile  # those in its folder are trusted in any case
    file = NamedTemporaryFile(prefix="reelscribe-", suffix=".pem")  # noqa: SIM115
    for path in (Path(system) if system else None, authorities):
        if path and path.is_file():
            file.write(path.read_bytes() + b"\n")
    file.flush()
    return file


HOW = "install it with: orchestrator ingest setup"


def not_installed() -> NotInstalled:
    """There is none."""
    return NotInstalled(f"yt-dlp is not installed for ingest; {HOW}")


def arguments(settings: Settings) -> list[str]:
    """How yt-dlp is called: nothing of the user's own configuration, no plugins, no commands after a download, no
    cookies but those that are named, and no attempts of its own: they would join two versions of a file.
    """
    section = settings.ingest
    try:
        joins = ["--ffmpeg-location", str(ffmpeg.find(settings.extraction.ffmpeg))]
    except SettingsError:
        joins = []
    cookies = ["--cookies", str(section.cookies_file)] if section.cookies_file else ["--no-cookies"]
    # yt-dlp's own list of authorities has none of ours
    certificates = ["--compat-options", "no-certifi"] if settings.auth.tls_ca else []
    return [
        *("--ignore-config", "--no-plugin-dirs", "--no-exec", "--no-cookies-from-browser", "--no-cache-dir"),
        *(
            "--abort-on-error",
            "--flat-playlist",
            "--playlist-end",
            str(MOST_ENTRIES),
            "--no-mtime",
            "--continue",
        ),
        *("--retries", "0", "--extractor-retries", "0", "--socket-timeout", str(section.timeout)),
        *("--sleep-requests", str(section.sleep_requests), "--max-filesize", str(section.max_bytes)),
        *("--format", section.format or ("bv*+ba/b" if joins else "b")),
        *joins,
        *cookies,
        *certificates,
    ]
