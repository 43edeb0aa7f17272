"""Which orchestrator a command is for: the one of this host's config.cfg, or one that is reached over HTTP."""

from contextvars import ContextVar
from pathlib import Path
from typing import NamedTuple


class ServerOptions(NamedTuple):
    """What the options say of it.

    Attributes:
        url: base URL of its HTTP API; None: as the environment and config.cfg say.
        token_file: file with the token to send; likewise.
    """

    url: str | None = None
    token_file: Path | None = None


NO_OPTIONS = ServerOptions()
SERVER: ContextVar[ServerOptions] = ContextVar("server", default=NO_OPTIONS)
"""Of the command that runs: its options are read before anything that is slow to import."""
