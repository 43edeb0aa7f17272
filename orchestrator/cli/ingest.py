"""The command ``ingest``: recordings from the web into the bucket and the queue."""

import asyncio
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn, TextIO

import typer

from orchestrator.cli.console import out, print_json, visible
from orchestrator.cli.options import STANDARD_INPUT, checked, usage, validated
from orchestrator.cli.submission.ingest_view import IngestBar, IngestLines, IngestView, Silence, summary
from orchestrator.ingest import lists
from orchestrator.ingest.downloader import Downloader, not_installed
from orchestrator.ingest.environment import ENVIRONMENT, Environment, NotInstalled
from orchestrator.ingest.failures import FailureKind
from orchestrator.ingest.ingestion import Ingestion, Request, Result
from orchestrator.ingest.names import mistake_in_address
from orchestrator.jobs import ingested
from orchestrator.jobs.models import Options
from orchestrator.session import Session, print_error, run
from reelscribe import logs
from reelscribe.command_line import report_settings_errors
from reelscribe.errors import ServiceError
from reelscribe.program import work_begins
from reelscribe.settings.config_file import choose_config
from reelscribe.settings.loading import Settings, load_settings
from reelscribe.stop_signals import INTERRUPTED_EXIT_CODE

SETUP, LIST, RESUME = "setup", "list", "resume"
SETUP_EXIT_CODE, LATER_EXIT_CODE = 3, 75
LISTED = 1000
"""Rows that ``ingest list`` prints at most."""


def ingest(
    urls: list[str] | None,
    channel: list[str] | None,
    playlist: list[str] | None,
    csv: str | None,
    limit: int | None,
    again: bool,
    into: str | None,
    priority: int | None,
    language: str | None,
    bucket: str | None,
    as_json: bool,
    config: Path | None,
) -> None:
    """Download recordings and submit them; or what one of the words asks for."""
    if urls and urls[0] in (SETUP, LIST, RESUME):
        if len(urls) > 1 or channel or playlist or csv or limit or again or into or language or priority is not None:
            usage(f"{urls[0]} takes no addresses, and none of these options")
        {SETUP: _set_up, LIST: _list, RESUME: _resume}[urls[0]](as_json, config)
    listed = [*(channel or ()), *(playlist or ())]
    for url in [*(urls or ()), *listed]:
        if mistake := mistake_in_address(url):
            usage(visible(f"{url} {mistake}"))
    requests = [Request(url) for url in urls or ()] + [Request(url, is_list=True) for url in listed]
    requests += [Request(url) for url in _addresses(csv)] if csv else []
    if not requests:
        usage("name at least one address, or a list of them with --channel, --playlist or --csv")
    folder = into.strip("/") + "/" if into and into.strip("/") else ""
    checked(f"{folder}a", "--into")
    options = validated(Options, **({} if language is None else {"language": language}))

    async def work(session: Session) -> int:
        environment = _environment(session.settings)
        if not environment.python.exists():
            print_error(not_installed().message)
            return SETUP_EXIT_CODE
        submission = session.submissions.begin(session.bucket(bucket), options, priority)
        results: list[Result] = []
        try:
            with _view(as_json) as view:
                async with Downloader(session.settings, environment) as downloader:
                    ingestion = Ingestion(
                        *(session.settings, session.pool, submission, downloader, view, folder, limit, again)
                    )
                    results = ingestion.results
                    for request in requests:
                        await ingestion.take(request)
        except NotInstalled as broken:
            print_error(broken.message)
            return SETUP_EXIT_CODE
        except asyncio.CancelledError:
            print_error(f"interrupted after: {summary(results)}; run it again to continue")
            raise
        finally:
            if as_json:
                print_json({"totals": _totals(results), "recordings": [each.model_dump() for each in results]})
        if not as_json:
            print(summary(results))
        return exit_code(results)

    run(config, work, creates=True)


def exit_code(results: Sequence[Result]) -> int:
    """What a script has to know: what can be done about what is missing."""
    outcomes = {result.outcome for result in results}
    if any(result.reason is FailureKind.OUTDATED for result in results):
        print_error("yt-dlp does not understand a source; it may be out of date: orchestrator ingest setup")
        return SETUP_EXIT_CODE
    if "failed" in outcomes:
        return 1
    if "later" in outcomes:
        return LATER_EXIT_CODE
    return 0 if outcomes & {"stored", "there"} else 1


def _totals(results: Sequence[Result]) -> dict[str, int]:
    words = ("stored", "there", "gone", "failed", "later")
    return {word: sum(result.outcome == word for result in results) for word in words}


def _environment(settings: Settings) -> Environment:
    return Environment(settings.ingest.data_dir / ENVIRONMENT)


def _addresses(csv: str) -> list[str]:
    """Those of a list; else the command ends."""
    try:
        with _opened(csv) as file:
            found = list(lists.addresses(file))
    except OSError as unreadable:
        usage(f"{csv} cannot be read: {unreadable.strerror}")
    except UnicodeDecodeError:
        usage(f"{csv} is not UTF-8 text")
    except lists.Malformed as malformed:
        usage(f"{csv} is no CSV file: {malformed}")
    if not found:
        usage(f"{csv} holds no address")
    return [address for _, address in found]


@contextmanager
def _opened(csv: str) -> Iterator[TextIO]:
    if csv == STANDARD_INPUT:
        yield sys.stdin
    else:
        with open(csv, encoding="utf-8", newline="") as file:
            yield file


def _view(as_json: bool) -> IngestView:
    if sys.stderr.isatty():
        return IngestBar()
    return Silence() if as_json else IngestLines()


def _set_up(as_json: bool, config: Path | None) -> NoReturn:
    """Make or update yt-dlp's environment; no database is needed."""
    logs.configure()
    with report_settings_errors():
        chosen = load_settings(choose_config(config))
    work_begins()
    environment = _environment(chosen)
    report: Callable[[str], None] = (lambda line: None) if as_json else print_error
    try:
        version = asyncio.run(environment.update(report))
    except ServiceError as failed:
        print_error(failed.message)
        raise typer.Exit(1) from None
    except KeyboardInterrupt:
        raise typer.Exit(INTERRUPTED_EXIT_CODE) from None
    if as_json:
        print_json({"version": version, "folder": str(environment.folder)})
    else:
        print(f"yt-dlp {version} in {environment.folder}")
    raise typer.Exit(0)


def _list(as_json: bool, config: Path | None) -> NoReturn:
    """What is known of the web, and which sources are left alone."""

    async def work(session: Session) -> int:
        async with session.pool.connection() as connection:
            rows = await ingested.newest(connection, LISTED)
            pauses = await ingested.pauses(connection)
        if as_json:
            sources = {source: {"until": until.isoformat(), "message": why} for source, (until, why) in pauses.items()}
            print_json({"recordings": [row.model_dump(mode="json") for row in rows], "left_alone": sources})
            return 0
        console = out()
        for row in rows:
            what = row.savepath if row.state == "stored" else f"{row.url}: {row.message or 'not finished'}"
            console.print(visible(f"{row.state:<10} {what}"), markup=False)
        for source, (until, why) in pauses.items():
            console.print(
                visible(f"left alone {source} until {until.astimezone():%Y-%m-%d %H:%M:%S}: {why}"), markup=False
            )
        return 0

    run(config, work)


def _resume(as_json: bool, config: Path | None) -> NoReturn:
    """Ask all sources again."""

    async def work(session: Session) -> int:
        async with session.pool.connection() as connection:
            ended = await ingested.end_pauses(connection)
        if as_json:
            print_json({"resumed": ended})
        else:
            print(f"asked again: {visible(', '.join(ended))}" if ended else "no source was left alone")
        return 0

    run(config, work)
