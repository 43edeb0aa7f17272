"""What all commands share: settings, the open database, and failures reported in one sentence."""

import asyncio
import logging
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple, NoReturn

import typer
from psycopg.errors import DiskFull, InsufficientPrivilege
from pydantic import TypeAdapter, ValidationError

from orchestrator.database.pool import CONNECTION_ERRORS, Pool, one_line, open_database
from orchestrator.errors import NeedsDatabase, NewerTables
from orchestrator.exports.deletion import Deletions
from orchestrator.intake.bucket import Objects
from orchestrator.intake.submission import Submissions
from orchestrator.queue.entries import QueueEntries
from orchestrator.server import SERVER
from reelscribe import logs
from reelscribe.command_line import USAGE_EXIT_CODE, report_settings_errors
from reelscribe.errors import ServiceError, SettingsError
from reelscribe.http.access.tokens import Tokens
from reelscribe.mistakes import sentence
from reelscribe.program import work_begins
from reelscribe.settings.config_file import choose_config, find_config
from reelscribe.settings.fields import Url
from reelscribe.settings.loading import SERVER_VARIABLE, Settings, load_settings
from reelscribe.stop_signals import INTERRUPTED_EXIT_CODE, STOP_SIGNALS

NEWER_TABLES_EXIT_CODE = 3
"""Another start of the same program is of no use: the units in deploy/systemd do not try."""
CANCELLATIONS, CANCELLATION_SECONDS = 10, 0.2


class Session(NamedTuple):
    """A command at work; all of it shares its tokens, which a service reads again while it runs."""

    settings: Settings
    pool: Pool
    queue: QueueEntries
    objects: Objects
    submissions: Submissions
    deletions: Deletions
    tokens: Tokens

    def bucket(self, named: str | None) -> str:
        """The bucket that a command means."""
        return named or self.settings.paths.bucket_name


@asynccontextmanager
async def open_session(chosen: Settings, creates: bool = False, migrates: bool = False) -> AsyncIterator[Session]:
    """The database and the queue of these settings.

    Args:
        creates: the embedded database if there is none yet, and the tables of an empty one.
        migrates: the tables of an earlier version.

    Raises:
        DatabaseUnavailable: see :func:`orchestrator.database.pool.open_database`.
        SettingsError: the token file is unusable.
    """
    async with open_database(chosen.database, creates, migrates) as pool:
        queue = QueueEntries(pool, chosen.orchestrator.worker_timeout)
        tokens = Tokens.from_file(chosen.auth.token_file)
        objects = Objects(chosen.listing_url, tokens, chosen.paths.bucket_name)
        deletions = Deletions(pool, queue, chosen.minio)
        yield Session(chosen, pool, queue, objects, Submissions(pool, queue, objects), deletions, tokens)


def run(
    config: Path | None,
    work: Callable[[Session], Awaitable[int]],
    log_level: int = logging.ERROR,
    *,
    creates: bool = False,
    migrates: bool = False,
    service: str | None = None,
) -> NoReturn:
    """Do the work of a command and exit with the code it returns, or with that of its failure and a sentence.

    Args:
        creates: the embedded database if there is none yet, and the tables of an empty one; a command that only reads
            leaves none behind.
        migrates: the tables of an earlier version; a service does, and other commands say what does.
        service: that the command runs, as its log names it; ``[log]`` then says what is logged, once it is read. It
            is one of this host, whatever server other commands are for.
    """

    async def in_session(chosen: Settings) -> int:
        if service is None and chosen_server(chosen):
            raise NeedsDatabase("this command")
        async with open_session(chosen, creates, migrates) as session:
            return await work(session)

    run_with_settings(config, in_session, log_level, service)


def chosen_server(chosen: Settings) -> tuple[str, Path | None] | None:
    """URL and token file of the orchestrator that a command is for, by its options, else the environment, else
    config.cfg; None: that of this host.

    Raises:
        SettingsError: what is given is no URL, or a token for no server.
    """
    given = SERVER.get()
    url, name = given.url, "--server"
    if url is None:
        url, name = os.environ.get(SERVER_VARIABLE), SERVER_VARIABLE
    if url:
        try:
            url = TypeAdapter(Url).validate_python(url)
        except ValidationError as invalid:
            raise SettingsError([f"{name}: {sentence(invalid)}"]) from None
    else:
        url = chosen.client.server
    if given.token_file and not url:
        named_by = f"--server URL, {SERVER_VARIABLE} or [client] server"
        raise SettingsError([f"--token-file: no server is named that the token is for; name it by {named_by}"])
    return (url, given.token_file or chosen.client.token_file or chosen.auth.token_file) if url else None


def names_server() -> bool:
    """Whether the command or its environment names the server that it is for, whatever config.cfg does."""
    return bool(SERVER.get().url or os.environ.get(SERVER_VARIABLE))


def run_with_settings(
    config: Path | None,
    work: Callable[[Settings], Awaitable[int]],
    log_level: int = logging.ERROR,
    service: str | None = None,
) -> NoReturn:
    """The same for work that opens what it needs itself."""

    async def until_stopped(chosen: Settings) -> int:
        task = asyncio.current_task()
        assert task
        for number in STOP_SIGNALS:
            if number != signal.SIGINT:  # asyncio cancels the task then
                asyncio.get_running_loop().add_signal_handler(number, task.cancel)
        try:
            return await work(chosen)
        finally:
            await _end_what_is_left()

    logs.configure(log_level)
    with report_settings_errors():
        chosen = load_settings(find_config(config, only_readable=True) if names_server() else choose_config(config))
        if service:
            logs.configure(chosen.log.number, chosen.log.format, service)
        work_begins()
        try:
            code = asyncio.run(until_stopped(chosen))
        except NeedsDatabase as elsewhere:
            print_error(elsewhere.message)
            code = USAGE_EXIT_CODE
        except ServiceError as failure:
            print_error(failure.message)
            code = exit_code(failure)
        except DiskFull as full:
            print_error(f"the database has no room left on its disk: {one_line(full)}; make some, then try again")
            code = 1
        except InsufficientPrivilege as denied:
            print_error(f"the database denies it: {one_line(denied)}; see: orchestrator check")
            code = 1
        except CONNECTION_ERRORS as lost:
            print_error(f"the database went away: {one_line(lost)}; see: orchestrator check")
            code = 1
        except (KeyboardInterrupt, asyncio.CancelledError):
            code = INTERRUPTED_EXIT_CODE
    raise typer.Exit(code)


async def _end_what_is_left() -> None:
    """End what a lost database blocks: psycopg waits for it after a first cancellation, not after a second."""
    for _ in range(CANCELLATIONS):
        if not (left := asyncio.all_tasks() - {asyncio.current_task()}):
            return
        for task in left:
            task.cancel()
        ended, _ = await asyncio.wait(left, timeout=CANCELLATION_SECONDS)
        await asyncio.gather(*ended, return_exceptions=True)


def exit_code(failure: ServiceError) -> int:
    """That of a command which ended with this failure."""
    return NEWER_TABLES_EXIT_CODE if isinstance(failure, NewerTables) else 1


def print_error(sentence: str) -> None:
    """Print a sentence for the user on standard error, out of the way of data."""
    print(sentence, file=sys.stderr)
