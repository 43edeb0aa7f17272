"""The commands that run Machine A: worker, serve, up, watch, check."""

import asyncio
import logging

import typer

from machine import logs, settings
from machine.auth import Tokens
from machine.command import ConfigOption, settings_errors_told, tell_check
from machine.errors import MachineError
from orchestrator.service import serve_session, watch_session, work_session
from orchestrator.session import Session, open_session, run
from orchestrator.transcribers import Transcribers
from orchestrator.up import bring_up


def register(cli: typer.Typer) -> None:
    """Add these commands."""
    cli.command(epilog="Example: orchestrator up --config config.cfg")(up)
    cli.command(epilog="Example: orchestrator serve --config /etc/reelscribe/config.cfg")(serve)
    cli.command(epilog="Example: orchestrator worker --config /etc/reelscribe/config.cfg")(worker)
    cli.command(epilog="Example: orchestrator watch --config config.cfg")(watch)
    cli.command(epilog="Example: orchestrator check")(check)


def worker(config: ConfigOption = None) -> None:
    """Take jobs out of the queue until Ctrl-C or SIGTERM. Any number of workers share one queue."""
    run(config, work_session, logging.INFO)


def serve(config: ConfigOption = None) -> None:
    """Run a worker and the HTTP API until Ctrl-C or SIGTERM."""
    run(config, serve_session, logging.INFO)


def up(config: ConfigOption = None) -> None:
    """Run all three machines on this one, in the foreground, until Ctrl-C or SIGTERM."""

    async def work(session: Session) -> int:
        return await bring_up(session, config)

    run(config, work, logging.INFO)


def watch(config: ConfigOption = None) -> None:
    """Submit what comes into the bucket's local folder, where MinIO sends no events, until Ctrl-C or SIGTERM."""
    run(config, watch_session, logging.INFO)


def check(config: ConfigOption = None) -> None:
    """Prove config, database and each Machine B, one line each; exit 1 if one of them fails."""
    logs.configure(logging.CRITICAL)
    with settings_errors_told():
        chosen = settings.load(config)
        tokens = Tokens.from_file(chosen.auth.token_file)
    proved = [tell_check("config", "a token is asked for" if tokens else "read; no token is asked for")]
    proved += asyncio.run(_check_outside(chosen, tokens))
    raise typer.Exit(0 if all(proved) else 1)


async def _check_outside(chosen: settings.Settings, tokens: Tokens) -> list[bool]:
    section = chosen.orchestrator
    proved: list[bool] = []
    try:
        async with open_session(chosen) as session, session.pool.connection() as connection:
            version = connection.info.server_version // 10_000
            workers = await session.queue.count_workers()
            proved.append(tell_check("database", f"PostgreSQL {version}; {workers} worker(s) at work"))
    except MachineError as failure:
        proved.append(tell_check("database", failure))
    async with Transcribers(section.transcriber_urls, tokens, section.progress_timeout) as transcribers:
        for url in transcribers.urls:
            try:
                health = await transcribers.health(url)
                told = f"model {health.get('model')}, {health.get('free')} of {health.get('capacity')} places free"
                proved.append(tell_check(url, told))
            except MachineError as failure:
                proved.append(tell_check(url, failure))
    return proved
