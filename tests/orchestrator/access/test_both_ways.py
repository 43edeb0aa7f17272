"""The same commands through the database and over HTTP: the same output, the same exit codes."""

import asyncio
import re
import shutil
import ssl
import subprocess
from contextlib import asynccontextmanager
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import make_conninfo
from tornado.testing import bind_unused_port

from orchestrator.cli.main import COMMANDS, OVER_HTTP
from orchestrator.page.routes import make_app
from orchestrator.services.run import make_service
from orchestrator.session import open_session
from reelscribe.http.server.connections import ServiceServer
from reelscribe.settings.loading import load_settings
from reelscribe.trust import Trust, trust
from tests.orchestrator.cli.filled_archive import fill
from tests.orchestrator.commands import InProcess
from tests.orchestrator.conftest import run_worker
from tests.s3_server import http_server

SECRET, READER = "s3cret-that-no-one-may-see", "r3ader-that-no-one-may-see"

SCENARIOS = {
    "reading": """
status
status --json
status talks/a.mp4
status talks/a.mp4 --watch
status failed.mp4 --json
status unknown.mp4
status --state failed --json
status --state running
status --prefix talks/ --json
status --bucket more
status --limit 2
list
list --json
list --language de
list --limit 1
list --after talks/a.mp4 --json
list --bucket more
list --prefix unknown
show talks/a.mp4
show talks/a.mp4 --json
show talks/a.mp4 --format srt
show talks/a.mp4 --timestamps --as-heard
show cut.mp4
show queued.mp4
show failed.mp4
show unknown.mp4 --bucket more
search horse
search horse --json
search horse --limit 1
search horse --language de --prefix talks/
search unicorn
export talks/a.mp4
export talks/a.mp4 --format docx
export cut.mp4 talks/a.mp4 unknown.mp4 --format jsonl --output -
export --all --format jsonl --output -
export --all --format jsonl --language de --output -
export --all --min-confidence 0.99 --format jsonl --output -
export --all --format srt --output DIR
export --prefix talks/ --format json --output DIR --json
export talks/a.mp4 queued.mp4 --name {stem}.{format} --output DIR
export --prefix unknown --output DIR
vocabulary list
vocabulary list --json
""",
    "submitting": """
submit new.mp4
submit new.mp4 --json
submit talks/a.mp4 queued.mp4 failed.mp4 new.mp4
submit talks/a.mp4 queued.mp4 failed.mp4 new.mp4 --json --priority 3 --language de
submit talks/a.mp4 --wait
submit talks/a.mp4 --wait --json
submit talks/a.mp4 --force
submit new.mp4 --webhook https://example.com/hook
submit --from-file LIST
status --json
""",
    "retrying": """
retry unknown.mp4
retry failed.mp4 queued.mp4 --json
retry failed.mp4
retry --all-failed --json
retry --all-failed
retry --code unknown
status --json
""",
    "retrying by code": """
retry --code object_not_found --bucket more
retry --code object_not_found
status --json
""",
    "cancelling": """
cancel queued.mp4
cancel queued.mp4 failed.mp4 --json
cancel --prefix q
cancel --prefix q --json
cancel --all
cancel --all --yes
retry queued.mp4
status --json
""",
    "deleting": """
delete talks/a.mp4
delete talks/a.mp4 unknown.mp4 --yes
delete talks/a.mp4 --yes
show talks/a.mp4
delete talks/a.wav failed.mp4 --yes --json
delete talks/a.mp4 --yes
status --json
""",
    "vocabularies": """
vocabulary requeue --dry-run
vocabulary set --prefix talks/ Okafor Ilse
vocabulary set Okafor --json
vocabulary add --prefix raw/ Ilse
vocabulary remove --prefix raw/ Ann
vocabulary remove --prefix raw/
vocabulary remove --prefix none/ Ann
vocabulary requeue --dry-run --json
vocabulary requeue
vocabulary requeue --yes --json
vocabulary requeue --yes
status --json
""",
}


@pytest.fixture(scope="module")
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


@pytest.fixture(scope="module")
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


def comparable(output: str) -> str:
    """What was printed, without the moments at which it was made and the name of who made it."""
    output = re.sub(r"20\d\d-\d\d-\d\d[ T]\d\d:\d\d(:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d))?", "TIME", output)
    return re.sub(r'"changed_by": ".*"', '"changed_by": NAME', output)


async def carried_out(way: InProcess, line: str, folder: Path):
    """What a command returns, prints and writes."""
    words = {"DIR": str(folder / "exported"), "LIST": str(folder / "list.txt")}
    (folder / "list.txt").write_text("new.mp4\n/wrong\n\nqueued.mp4\n")
    outcome = await way.run(*[words.get(word, word) for word in line.split()])
    written = {
        str(path.relative_to(folder)): path.read_bytes() for path in folder.glob("exported/**/*") if path.is_file()
    }
    shutil.rmtree(folder / "exported", ignore_errors=True)
    return outcome.code, comparable(outcome.out), comparable(outcome.err), written


@pytest.mark.parametrize("scenario", SCENARIOS)
async def test_the_same_commands_do_the_same_both_ways(scenario, copied, tmp_path):
    (tmp_path / "host.cfg").write_text(f"[database]\nurl = {copied()}\n")
    on_database = InProcess(tmp_path / "host.cfg")
    async with serving(tmp_path, copied()) as url:
        over_http = OverHttp(tmp_path, url)
        for line in SCENARIOS[scenario].strip().splitlines():
            here, there = [await carried_out(way, line, tmp_path) for way in (on_database, over_http)]
            assert there == here, line
            assert here[1] or here[2], line


def test_every_command_that_has_a_way_over_http_is_compared():
    lines = "".join(SCENARIOS.values()).split("\n")
    assert {line.split()[0] for line in lines if line} == OVER_HTTP


async def test_submit_wait_follows_the_job_over_http(copied, tmp_path, transcriber):
    url = copied()
    async with serving(tmp_path, url) as server, run_worker(url, (transcriber.url,), 5):
        outcome = await OverHttp(tmp_path, server).run("submit", "new.mp4", "--wait")
    assert (outcome.code, "done      new.mp4: 30.0 s" in outcome.err) == (0, True)


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("submit --prefix talks/", "submit --prefix or --all"),
        ("submit a.mp4 --dry-run", "submit --dry-run"),
        ("submit --upload FILE", "submit --upload"),
        ("retry talks/a.mp4 --allow-incomplete", "retry --allow-incomplete"),
        ("retry --code busy --reason x", "--reason"),
        ("delete --prefix talks/ --yes", "delete --prefix or --code"),
        ("show talks/a.mp4 --history", "show --history"),
        ("export --all --format parquet --output DIR", "export --format parquet"),
        ("failed", "this command"),
        ("prune --yes", "this command"),
        ("retention plan", "this command"),
        ("worker", "this command"),
    ],
)
async def test_what_has_no_way_over_http_says_that_it_needs_the_database(line, what, over_http, tmp_path):
    (tmp_path / "a.mp4").write_bytes(b"video")
    words = {"FILE": str(tmp_path / "a.mp4"), "DIR": str(tmp_path / "out")}
    outcome = await over_http.run(*[words.get(word, word) for word in line.split()])
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.err.startswith(f"{what} needs the orchestrator's database: run it on the orchestrator's own host")


@pytest.mark.parametrize("command", [command for command in COMMANDS if command not in OVER_HTTP])
async def test_no_other_command_takes_a_server(command, tmp_path):
    if command in ("dataset", "ingest", "webhooks", "retention", "database"):
        return  # groups: their commands do
    outcome = await InProcess(tmp_path / "none.cfg").run(command, "--server", "http://localhost:1")
    assert (outcome.code, outcome.err.startswith("this command needs the orchestrator's database")) == (2, True)


async def test_the_server_comes_from_the_environment_or_from_config_cfg_too(over_http, server, monkeypatch, tmp_path):
    plain = InProcess(over_http.config)
    with monkeypatch.context() as patch:
        patch.setenv("REELSCRIBE_SERVER", server)
        assert (await plain.run("list", "--token-file", str(tmp_path / "token.txt"))).code == 0
        refused = await plain.run("failed")
        assert (refused.code, "REELSCRIBE_SERVER" in refused.err) == (2, True)
    over_http.config.write_text(f"{over_http.config.read_text()}[client]\nserver = {server}\ntoken_file = token.txt\n")
    assert (await plain.run("list")).code == 0
    assert (await plain.run("failed")).code == 2
    wrong = await plain.run("list", "--server", "localhost:8890")
    assert (wrong.code, "--server: 'localhost:8890' is not a base URL" in wrong.err) == (2, True)


async def test_a_token_file_without_a_server_is_not_ignored(over_http, tmp_path):
    for command in (("list", "--token-file", str(tmp_path / "none")), ("--token-file", str(tmp_path / "none"), "list")):
        outcome = await InProcess(over_http.config).run(*command)
        assert (outcome.code, outcome.out) == (2, "")
        assert outcome.err.startswith("--token-file: no server is named") and "--server URL" in outcome.err


async def test_a_token_that_is_wrong_missing_or_allows_too_little_gets_a_sentence(over_http, server, tmp_path):
    token = tmp_path / "token.txt"
    token.write_text("wr0ng-that-no-one-may-see\n")
    wrong = await over_http.run("status")
    assert (wrong.code, "does not accept the token" in wrong.err, "--token-file" in wrong.err) == (1, True, True)
    missing = await InProcess(over_http.config).run("status", "--server", server)
    assert (missing.code, "asks for a token; name the file" in missing.err) == (1, True)
    token.write_text(f"# of bob\n{READER} bob read\n")
    assert (await over_http.run("list")).code == 0
    denied = await over_http.run("submit", "new.mp4")
    assert (denied.code, "'bob' has the scope read, and this asks for submit" in denied.err) == (1, True)
    token.write_text("\n# nothing\n")
    empty = await over_http.run("list")
    assert (empty.code, empty.err) == (2, f"--token-file: {token} holds no token\n")
    assert not [said for said in (wrong, missing, denied, empty) if "may-see" in said.out + said.err]


async def test_a_server_that_is_away_older_or_something_else_gets_a_sentence(over_http, tmp_path, free_port):
    away = await over_http.run("status", "--server", f"http://localhost:{free_port}")
    assert (away.code, away.err.startswith(f"the orchestrator at http://localhost:{free_port} does not answer")) == (
        *(1, True),
    )
    not_found = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    page = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello"
    for answer, sentence in ((not_found, "is older than this command"), (page, "but no answer of its API")):
        with http_server(answer) as port:
            outcome = await over_http.run("status", "--server", f"http://127.0.0.1:{port}")
        assert (outcome.code, sentence in outcome.err, outcome.err.count("\n")) == (1, True, 1)


@pytest.mark.parametrize(
    "url",
    [
        "https://[::1",
        "https://h:99999",
        "https://h:1:2",
        "https://h..é",
        "https://1.2.3.999",
        "https://h/?a",
        "ftp://h",
        "h:1",
    ],
)
async def test_what_is_no_url_gets_a_sentence_without_its_password(tmp_path, url):
    scheme, _, host = url.rpartition("//")
    given = f"{scheme}//me:hush@{host}" if scheme else f"me:hush@{host}"
    outcome = await OverHttp(tmp_path, given).run("list")
    assert (outcome.code, outcome.out, outcome.err.count("\n")) == (2, "", 1)
    assert outcome.err.startswith("--server: '") and "is not a base URL such as http" in outcome.err
    assert "hush" not in outcome.err


async def test_links_have_no_password_of_the_url(archive, tmp_path, monkeypatch):
    monkeypatch.delenv("REELSCRIBE_ORCHESTRATOR__PUBLIC_URL")
    async with serving(tmp_path, archive, token_file="") as url:
        outcome = await OverHttp(tmp_path, url.replace("//", "//ann:hush@")).run("search", "horse", "--json")
    assert (outcome.code, f'"{url}/api/' in outcome.out, "hush" in outcome.out) == (0, True, False)


async def test_a_certificate_is_trusted_only_through_its_authority(archive, tmp_path):
    both = tmp_path / "both.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    command += ["-keyout", "-", "-days", "2", "-subj", "/CN=ours", "-addext", "subjectAltName=DNS:localhost"]
    both.write_bytes(subprocess.run(command, check=True, capture_output=True).stdout)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(both)
    async with serving(tmp_path, archive, context) as url:
        over_https = OverHttp(tmp_path, url)
        refused = await over_https.run("list")
        assert (refused.code, "certificate that is not trusted here" in refused.err) == (1, True)
        assert "[auth] tls_ca" in refused.err and refused.err.count("\n") == 1
        over_https.config.write_text(f"{over_https.config.read_text()}[auth]\ntls_ca = {both}\n")
        try:
            assert (await over_https.run("list")).code == 0
        finally:
            trust(Trust())


async def test_the_commands_and_settings_of_the_documentation_work(copied, tmp_path):
    page = (Path(__file__).parents[3] / "docs" / "operations.md").read_text()
    section = page.partition("## From another host")[2].partition("\n## ")[0]
    listed = re.findall(r"^\| (`.*?) \|", section, re.MULTILINE)
    assert {word for cell in listed for word in re.findall(r"[a-z]+", cell.partition(", with")[0])} == OVER_HTTP
    [shown], [settings] = [re.findall(rf"```{kind}\n(.*?)```", section, re.DOTALL) for kind in ("console", "ini")]
    async with serving(tmp_path, copied()) as url:
        client = OverHttp(tmp_path, url)
        (tmp_path / "token").write_text(f"{SECRET}\n")
        for line in shown.splitlines():
            command = line.removeprefix("$ orchestrator ").replace("https://orchestrator.example.com", url)
            command = command.replace("~/.config/reelscribe/token", str(tmp_path / "token"))
            if "--token-file" not in command:
                command = f"--token-file {tmp_path / 'token'} {command}"
            assert (await InProcess(client.config).run(*command.split())).code == 0, line
        settings = settings.replace("https://orchestrator.example.com", url)
        client.config.write_text(f"{client.config.read_text()}{settings}")
        assert (await InProcess(client.config).run("list")).code == 0
