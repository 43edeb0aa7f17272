"""The command ``webhooks``: the log of messages, sending one again, and a test of a receiver."""

import asyncio
import secrets
from datetime import UTC, datetime
from pathlib import Path

import typer
from rich.text import Text

from orchestrator.cli.console import counted, length, out, print_json, visible
from orchestrator.cli.options import checked_webhook, usage
from orchestrator.cli.tables import Row, Rows, local
from orchestrator.jobs import webhooks
from orchestrator.jobs.webhooks import Delivery, DeliveryState
from orchestrator.session import Session, print_error, run
from orchestrator.webhooks.messages import ping_body
from orchestrator.webhooks.sending import Reply, Sender
from orchestrator.webhooks.signing import Secrets
from reelscribe.command_line import report_settings_errors
from reelscribe.program import work_begins
from reelscribe.settings.config_file import choose_config
from reelscribe.settings.loading import load_settings
from reelscribe.settings.orchestrator import WebhooksSection

COLOURS: dict[DeliveryState, str] = {"pending": "yellow", "delivered": "green", "failed": "red"}


def show(state: DeliveryState | None, limit: int, as_json: bool, config: Path | None) -> None:
    """List deliveries, the newest first."""

    async def work(session: Session) -> int:
        async with session.pool.connection() as connection:
            found = await webhooks.deliveries(connection, state, limit=limit)
        if as_json:
            print_json([delivery.model_dump(mode="json") for delivery in found])
        elif not found:
            print(f"no message is {state}" if state else "no message was written")
        else:
            header = ("ID", "STATE", "WHEN", "EVENT", "SAVEPATH")
            out().print(Rows(header, [_row(delivery) for delivery in found], right=("ID",)))
        return 0

    run(config, work)


def retry(ids: list[int], as_json: bool, config: Path | None) -> None:
    """Have messages sent now."""

    async def work(session: Session) -> int:
        async with session.pool.connection() as connection:
            sent = await webhooks.send_again(connection, ids)
        if as_json:
            print_json({"retried": sorted(sent)})
        elif sent:
            print(f"{counted(len(sent), 'message')} will be sent by the orchestrator (serve or up)")
        for id in sorted(set(ids) - set(sent)):
            print_error(f"there is no message {id}; list them with: orchestrator webhooks list")
        return 0 if set(sent) == set(ids) else 1

    run(config, work)


def test(url: str | None, configured: bool, as_json: bool, config: Path | None) -> None:
    """Send a ping from here."""
    if (url is None) != configured:
        usage("name a URL, or give --configured")
    named = [checked_webhook(url, "URL")] if url is not None else []
    with report_settings_errors():
        section = load_settings(choose_config(config)).webhooks
        if section.secret_file is None:
            usage("set [webhooks] secret_file in config.cfg first, with which messages are signed")
        signing = Secrets.from_file(section.secret_file)
    urls = named or list(section.urls)
    if not urls:
        usage("[webhooks] urls in config.cfg is empty")
    work_begins()
    raise typer.Exit(1 if asyncio.run(_ping(urls, signing, section, as_json)) else 0)


async def _ping(urls: list[str], signing: Secrets, section: WebhooksSection, as_json: bool) -> bool:
    """Whether one of them failed."""
    replies: dict[str, Reply] = {}
    async with Sender(signing, section) as sender:
        for url in urls:
            replies[url] = reply = await sender.send(url, f"msg_{secrets.token_hex(16)}", ping_body())
            if not as_json:
                print(visible(f"{url}: {reply.failure or f'delivered (HTTP {reply.status})'}"), flush=True)
    if as_json:
        print_json([{"url": url, "status": each.status, "error": each.failure} for url, each in replies.items()])
    return any(reply.failure is not None for reply in replies.values())


def _row(delivery: Delivery) -> Row:
    when = delivery.ended_at or delivery.created_at
    cells = (
        Text(str(delivery.id)),
        Text(delivery.state, style=COLOURS[delivery.state]),
        Text(local(when)),
        Text(delivery.event),
        Text(visible(delivery.savepath)),
    )
    tried = counted(delivery.attempts, "attempt")
    if delivery.due_at and delivery.attempts:
        tried += f", the next in {length(max(0.0, (delivery.due_at - datetime.now(UTC)).total_seconds()))}"
    notes = [f"to {delivery.url} ({tried})", *([delivery.error] if delivery.error else [])]
    return Row(cells, list(map(visible, notes)))
