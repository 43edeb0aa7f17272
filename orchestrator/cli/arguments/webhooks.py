"""The arguments of ``webhooks``."""

from enum import StrEnum
from typing import Annotated

import typer

from orchestrator.cli.options import JsonOption
from reelscribe.command_line import CommandLine, ConfigOption


class DeliveryStateName(StrEnum):
    """The states of a message."""

    pending = "pending"
    delivered = "delivered"
    failed = "failed"


def register(cli: typer.Typer) -> None:
    """Add these commands."""
    webhooks = CommandLine(rich_markup_mode=None, invoke_without_command=True)
    webhooks.callback()(list_deliveries)
    webhooks.command(epilog="Example: orchestrator webhooks retry 12 13")(retry)
    webhooks.command(epilog="Example: orchestrator webhooks test https://example.com/hooks/reelscribe")(test)
    cli.add_typer(webhooks, name="webhooks", epilog="Example: orchestrator webhooks --state failed")


def list_deliveries(
    context: typer.Context,
    state: Annotated[
        DeliveryStateName | None, typer.Option(help="Only those in this state.", show_default="all")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="How many, the newest first.")] = 20,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """List the messages to those who are notified of the end of jobs: whether they were delivered, and why not."""
    if context.invoked_subcommand:
        return
    from orchestrator.cli.submission import webhooks as work

    work.show(state.value if state else None, limit, as_json, config)


def retry(
    ids: Annotated[list[int], typer.Argument(metavar="ID", help="Of the list.", show_default=False)],
    config: ConfigOption = None,
) -> None:
    """Send messages now, also those that were delivered or given up."""
    from orchestrator.cli.submission import webhooks as work

    work.retry(ids, config)


def test(
    url: Annotated[str | None, typer.Argument(metavar="URL", show_default=False)] = None,
    configured: Annotated[bool, typer.Option("--configured", help="All URLs of [webhooks] in config.cfg.")] = False,
    config: ConfigOption = None,
) -> None:
    """Send a signed message of the type ping from here, and say what was answered; exit code 1 if it is refused."""
    from orchestrator.cli.submission import webhooks as work

    work.test(url, configured, config)
