"""The command ``check``."""

import asyncio
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import typer

from orchestrator.cli.checks import own_checks
from orchestrator.cli.console import print_json
from orchestrator.database.pool import CONNECTION_ERRORS, one_line
from orchestrator.errors import DatabaseUnavailable, NoTables, OlderTables
from orchestrator.session import open_session
from orchestrator.worker.transcriber_client import TranscriberClient
from reelscribe import logs
from reelscribe.asking import asking_client, check_token
from reelscribe.command_line import print_check, report_settings_errors
from reelscribe.errors import ServiceError
from reelscribe.http.access.tokens import Tokens
from reelscribe.http.peers.extractor_client import ExtractorClient
from reelscribe.program import work_begins
from reelscribe.settings.config_file import choose_config
from reelscribe.settings.loading import Settings, load_settings
from reelscribe.text.urls import without_password


def check(as_json: bool, config: Path | None) -> None:
    """Check config, database, extractor, each transcriber, and their sandboxes, one line each; exit 1 if one fails."""
    logs.configure(logging.CRITICAL)
    with report_settings_errors():
        chosen = load_settings(choose_config(config))
        tokens = Tokens.from_file(chosen.auth.token_file)
    work_begins()
    results = asyncio.run(_check(chosen, tokens, silently=as_json))
    if as_json:
        print_json([result._asdict() for result in results])
    raise typer.Exit(0 if all(result.ok for result in results) else 1)


class CheckResult(NamedTuple):
    """Whether one thing works; ``message`` says what it is, or why not."""

    subject: str
    ok: bool
    message: str


async def _check(chosen: Settings, tokens: Tokens, silently: bool) -> list[CheckResult]:
    results: list[CheckResult] = []

    def report(subject: str, found: str | ServiceError) -> None:
        results.append(CheckResult(subject, isinstance(found, str), str(found)))
        if not silently:
            print_check(subject, found)

    report("config", "a token is asked for" if tokens else "read; no token is asked for")
    if file := chosen.webhooks.secret_file:
        report("webhooks", own_checks.signing(file))
    try:
        async with open_session(chosen) as session, session.pool.connection() as connection:
            version = connection.info.server_version // 10_000
            workers = await session.queue.count_workers()
            report("database", f"PostgreSQL {version}; {workers} worker(s) at work")
    except NoTables as empty:
        report("database", f"{empty.message}; the user may")
    except OlderTables as older:
        report("database", older.message)
    except ServiceError as failure:
        report("database", failure)
    except CONNECTION_ERRORS as refused:
        report("database", DatabaseUnavailable(one_line(refused)))
    async with ExtractorClient(chosen.listing_url, tokens) as extractor, asking_client(tokens) as http:
        shown = without_password(chosen.listing_url)
        try:
            health = await extractor.health()
            await check_token(http, f"the extractor at {shown}", chosen.listing_url, tokens)
        except ServiceError as failure:
            report("extractor", failure)
        else:
            found = f"{health['machine']} at {shown} is {health['status']}"
            problems = "; ".join(health["problems"])
            report("extractor", ServiceError(f"{found}: {problems}") if problems else found)
            if not problems:
                for bucket, answer in (await own_checks.buckets(chosen, tokens)).items():
                    report(bucket, answer)
            report("sandbox of the extractor", _sandbox(health))
    if (of_ingest := await own_checks.ingest(chosen)) is not None:
        report("ingest", of_ingest)
    for subject, problem in (await own_checks.result_buckets(chosen)).items():
        report(subject, ServiceError(problem) if problem else "is there")
    section = chosen.orchestrator
    async with TranscriberClient(tokens, section.progress_timeout) as transcriber, asking_client(tokens) as http:
        for url in section.transcriber_urls:
            shown = without_password(url)
            try:
                health = await transcriber.health(url)
                await check_token(http, f"the transcriber at {shown}", url, tokens)
                report(
                    shown,
                    f"model {health.get('model')}, {health.get('free')} of {health.get('capacity')} slots free",
                )
            except ServiceError as failure:
                report(shown, failure)
            else:
                report(f"sandbox of {shown}", _sandbox(health))
    return results


def _sandbox(health: Mapping[str, Any]) -> str | ServiceError:
    """What a service reports of the sandbox in which its ffmpeg reads untrusted input."""
    state, warnings = health.get("sandbox"), health.get("warnings")
    said = "; ".join(map(str, warnings)) if isinstance(warnings, list) else ""
    if state == "broken":
        return ServiceError(said)
    return said if state == "missing" else str(state or "not reported")
