"""An archive, an orchestrator that serves it, and commands on a host that reaches it over HTTP only."""

import asyncio
import ssl
from contextlib import asynccontextmanager
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import make_conninfo
from tornado.testing import bind_unused_port

from orchestrator.page.routes import make_app
from orchestrator.services.run import make_service
from orchestrator.session import open_session
from reelscribe.http.server.connections import ServiceServer
from reelscribe.settings.loading import load_settings
from tests.orchestrator.access.filled_archive import fill
from tests.orchestrator.commands import InProcess

SECRET, READER = "s3cret-that-no-one-may-see", "r3ader-that-no-one-may-see"


@pytest.fixture(scope="package")
def copied(postgres: str):
    """Makes copies of an archive that is filled once; their URLs."""
    names = ["over_http"]
    with psycopg.connect(make_conninfo(postgres, dbname="postgres"), autocommit=True) as connection:
        connection.execute("create database over_http template reelscribe")
        asyncio.run(fill(postgres.replace("/reelscribe?", "/over_http?")))

        def copy() -> str:
            names.append(name := f"over_http_{len(names)}")
            connection.execute(f"create database {name} template over_http")
            return postgres.replace("/reelscribe?", f"/{name}?")

        yield copy
        for name in names:
            connection.execute(f"drop database {name} with (force)")


@pytest.fixture(scope="package")
def archive(copied) -> str:
    """One that tests only read."""
    return copied()


@pytest.fixture(autouse=True)
def in_this_process(monkeypatch, tmp_path) -> None:
    """Commands set no signals here, and both ways know the same public URL and the same secret of webhooks."""
    monkeypatch.setattr(asyncio.SelectorEventLoop, "add_signal_handler", lambda *_: None)
    monkeypatch.setattr("reelscribe.logs.configure", lambda *_: None)
    (tmp_path / "hook.txt").write_text("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n")
    monkeypatch.setenv("REELSCRIBE_ORCHESTRATOR__PUBLIC_URL", "https://orchestrator.example.com")
    monkeypatch.setenv("REELSCRIBE_WEBHOOKS__SECRET_FILE", str(tmp_path / "hook.txt"))


@asynccontextmanager
async def serving(folder: Path, url: str, tls: ssl.SSLContext | None = None, token_file: str = "tokens.txt"):
    """An orchestrator that serves an archive; its URL."""
    (folder / "tokens.txt").write_text(f"{SECRET} ann\n{READER} bob read\n")
    (folder / "server.cfg").write_text(f"[database]\nurl = {url}\n[auth]\ntoken_file = {token_file}\n")
    async with open_session(load_settings(folder / "server.cfg")) as session:
        service = make_service(session)
        service.public_url = session.settings.orchestrator.public_url
        server = ServiceServer(make_app(service), ssl_options=tls)
        socket, port = bind_unused_port()
        server.add_socket(socket)
        yield f"{'https' if tls else 'http'}://localhost:{port}"
        server.stop()
        await server.close_all_connections()
        await service.media.close()
        await service.uploads.close()


class OverHttp(InProcess):
    """Commands on another host: the config.cfg there names no database that could be used."""

    def __init__(self, folder: Path, url: str) -> None:
        super().__init__(folder / "client.cfg")
        self.config.write_text("[database]\nurl = postgresql://nowhere.invalid/none\n")
        (folder / "token.txt").write_text(f"{SECRET}\n")
        self.options = ("--server", url, "--token-file", str(folder / "token.txt"))

    async def run(self, *arguments: str, stdin: str | None = None):
        return await super().run(*self.options, *arguments, stdin=stdin)


@pytest.fixture
async def server(archive, tmp_path):
    async with serving(tmp_path, archive) as url:
        yield url


@pytest.fixture
def over_http(server, tmp_path) -> OverHttp:
    return OverHttp(tmp_path, server)
