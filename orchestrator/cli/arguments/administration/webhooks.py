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
    webhooks = CommandLine(rich_markup_mode=None, no_args_is_help=True)
    webhooks.command("list", epilog="Example: orchestrator webhooks list --state failed")(list_deliveries)
    webhooks.command(epilog="Example: orchestrator webhooks retry 12 13")(retry)
    webhooks.command(epilog="Example: orchestrator webhooks test https://example.com/hooks/reelscribe")(test)
    cli.add_typer(
        webhooks,
        name="webhooks",
        help="Messages to those who are notified of the end of jobs.",
        epilog="Example: orchestrator webhooks list --state failed",
    )


def list_deliveries(
    state: Annotated[
        DeliveryStateName | None, typer.Option(help="Only those in this state.", show_default="all")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="How many, the newest first.")] = 20,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """List messages: to whom, about what, whether they were delivered, and why not."""
    from orchestrator.cli.submission import webhooks as work

    work.show(state.value if state else None, limit, as_json, config)


def retry(
    ids: Annotated[list[int], typer.Argument(metavar="ID", help="As list shows it.", show_default=False)],
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Send messages now, also those that were delivered or given up."""
    from orchestrator.cli.submission import webhooks as work

    work.retry(ids, as_json, config)


def test(
    url: Annotated[str | None, typer.Argument(metavar="URL", show_default=False)] = None,
    configured: Annotated[bool, typer.Option("--configured", help="All URLs of [webhooks] in config.cfg.")] = False,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Send a signed message of the type ping from here, and say what was answered; exit code 1 if it is refused."""
    from orchestrator.cli.submission import webhooks as work

    work.test(url, configured, as_json, config)
