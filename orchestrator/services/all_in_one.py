"""All three services on one host: extractor and transcriber as child processes, the orchestrator in this process."""

import asyncio
import logging
import os
import signal
import ssl
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path

import httpx
from pydantic import ValidationError

from orchestrator.api.handlers import OrchestratorService
from orchestrator.services.run import make_service, serve_service
from orchestrator.session import Session, print_error
from reelscribe.child_process import end_with_parent
from reelscribe.contracts.messages import Health
from reelscribe.logs import Form
from reelscribe.settings.config_file import CONFIG_VARIABLE, find_config
from reelscribe.settings.shared import Listener
from reelscribe.trust import unverified_context

log = logging.getLogger(__name__)

POLL_SECONDS = 0.2
KILL_AFTER_SECONDS = 5.0
"""How much longer than its ``grace_seconds`` a service may take to stop."""
LESS_MEMORY = {
    "extractor-api": "fewer at the same time ([extraction] max_ffmpeg, max_decoders)",
    "transcriber": "a smaller [transcriber] model or fewer max_jobs",
}
"""What makes each service need less of it."""


class Child:
    """One service in a process of its own, its log lines passed on: text with its name before it, JSON as it is.

    Args:
        log_form: of its lines.
    """

    def __init__(self, name: str, process: asyncio.subprocess.Process, listener: Listener, log_form: Form) -> None:
        self.name = name
        self._process = process
        self._grace_seconds = listener.grace_seconds
        self._before_line = f"{name:<13} | " if log_form == "text" else ""
        host = "127.0.0.1" if listener.host in ("0.0.0.0", "::", "") else listener.host
        scheme = "https" if listener.tls_cert else "http"
        self.url = f"{scheme}://{f'[{host}]' if ':' in host else host}:{listener.port}"
        self._lines = asyncio.create_task(self._pass_lines_on())

    async def healthy(self) -> None:
        """Return once it answers, however long it loads; what it lacks is in its own log."""
        # It is ours and on this host; its certificate is made for the name that others know it by.
        async with httpx.AsyncClient(timeout=2, verify=unverified_context()) as http:
            while True:
                try:
                    health = Health.model_validate_json((await http.get(f"{self.url}/healthz")).content)
                    if health.status in ("ok", "degraded"):
                        return
                except (httpx.HTTPError, ssl.SSLError, ValidationError):
                    pass
                await asyncio.sleep(POLL_SECONDS)

    async def died(self) -> str:
        """Return once it ended by itself, with the sentence that says so."""
        code = await self._process.wait()
        await asyncio.wait([self._lines])
        if code == -signal.SIGKILL:
            return (
                f"{self.name} was ended by SIGKILL, which it cannot report: if no one sent it, the kernel did because "
                f"memory was short, as dmesg says then; {LESS_MEMORY[self.name]} helps"
            )
        how = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
        return f"{self.name} {how}; its last lines above say why"

    async def stop(self) -> None:
        """End it: politely, then not."""
        if self._process.returncode is None:
            self._process.terminate()
            try:
                async with asyncio.timeout(self._grace_seconds + KILL_AFTER_SECONDS):
                    await self._process.wait()
            except TimeoutError:
                self._process.kill()
                await self._process.wait()
        await asyncio.wait([self._lines])

    async def _pass_lines_on(self) -> None:
        assert self._process.stdout
        while not self._process.stdout.at_eof():
            try:
                line = await self._process.stdout.readline()
            except ValueError:  # longer than a line of a log is
                continue
            if line:
                with suppress(OSError):  # the terminal is closed
                    print(self._before_line + line.decode(errors="replace"), end="", file=sys.stderr, flush=True)


async def bring_up(session: Session, config: Path | None) -> int:
    """Run all three services until SIGTERM or SIGINT, or until one of them ends. Returns the exit code."""
    settings, service = session.settings, make_service(session)
    found = find_config(config)
    arguments = ["--config", str(found)] if found else []
    form = settings.log.format
    sentences: list[str] = []
    async with AsyncExitStack() as stack:
        children = [
            await stack.enter_async_context(_child(name, module, arguments, listener, form))
            for name, module, listener in (
                ("extractor-api", "extractor_api", settings.server),
                ("transcriber", "transcriber", settings.transcriber),
            )
        ]
        ours = asyncio.create_task(serve_service(session, service))
        ready = asyncio.create_task(_announce(children, service))
        deaths = [asyncio.create_task(child.died()) for child in children]
        try:
            await asyncio.wait([ours, *deaths], return_when=asyncio.FIRST_COMPLETED)
            sentences = [death.result() for death in deaths if death.done()]
            for sentence in sentences:
                print_error(sentence)
            service.stopping.set()
            await ours
        finally:
            for task in (ours, ready, *deaths):
                task.cancel()
            await asyncio.wait([ours, ready, *deaths])
    if sentences:
        print_error("all services were stopped; jobs continue when orchestrator up is started again")
    return 1 if sentences else 0


async def _announce(children: Sequence[Child], service: OrchestratorService) -> None:
    await asyncio.gather(*(child.healthy() for child in children))
    await service.listening.wait()
    log.info("all services are ready; try: orchestrator submit SAVEPATH --wait")
    log.info("open the page: %s/", (service.public_url or service.address).rstrip("/"))


@asynccontextmanager
async def _child(
    name: str, module: str, arguments: list[str], listener: Listener, log_form: Form
) -> AsyncIterator[Child]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", module, *arguments),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        start_new_session=True,  # Ctrl-C is for us; we end them in the right order
        env=os.environ if arguments else {**os.environ, CONFIG_VARIABLE: ""},  # that there is none has been said
        preexec_fn=end_with_parent(),
    )
    child = Child(name, process, listener, log_form)
    try:
        yield child
    finally:
        await asyncio.shield(child.stop())
