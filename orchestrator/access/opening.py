"""Commands that reach the orchestrator either way: over HTTP if a server is named, else through its database."""

import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NoReturn

from orchestrator.access.database import DatabaseAccess
from orchestrator.access.interface import Access
from orchestrator.session import chosen_server, open_session, run_with_settings
from reelscribe.settings.loading import Settings


def run(
    config: Path | None, work: Callable[[Access], Awaitable[int]], by: str = "", *, creates: bool = False
) -> NoReturn:
    """Do the work of a command, as :func:`orchestrator.session.run` does.

    Args:
        by: who changes something, as the database notes it; a server notes the name of the token.
        creates: see there.
    """

    async def opened(chosen: Settings) -> int:
        async with open_access(chosen, by, creates) as access:
            return await work(access)

    run_with_settings(config, opened, logging.ERROR)


@asynccontextmanager
async def open_access(chosen: Settings, by: str, creates: bool) -> AsyncIterator[Access]:
    """The orchestrator that a command is for.

    Raises:
        ServiceError: it cannot be reached.
        SettingsError: the token file is unusable.
    """
    if server := chosen_server(chosen):
        from orchestrator.access.http import connected  # what no command on the orchestrator's own host needs

        async with connected(*server) as over_http:
            yield over_http
        return
    async with open_session(chosen, creates) as session:
        yield DatabaseAccess(session, by)
