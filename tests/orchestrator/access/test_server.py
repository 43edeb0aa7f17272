"""--server and --token-file: which orchestrator a command asks, and what it says if it cannot."""

import re
import ssl
import subprocess
from pathlib import Path

import pytest

from orchestrator.cli.main import COMMANDS, OVER_HTTP
from reelscribe.trust import Trust, trust
from tests.orchestrator.access.conftest import READER, SECRET, OverHttp, serving
from tests.orchestrator.commands import InProcess
from tests.s3_server import http_server


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
    assert (outcome.code, f'"{url}/media/' in outcome.out, "hush" in outcome.out) == (0, True, False)


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
        assert (refused.code, refused.err.count("\n")) == (1, 1)
        assert refused.err.endswith("; name the authority of its certificate in [auth] tls_ca\n")
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
