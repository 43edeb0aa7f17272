"""What is refused before a message is written, the log over HTTP, and the test of a receiver."""

import json
import ssl
import subprocess

import httpx
import pytest
from tornado.httpserver import HTTPServer
from tornado.testing import bind_unused_port
from tornado.web import Application

from orchestrator.intake.submission import CHUNK
from orchestrator.jobs import webhooks
from orchestrator.jobs.models import Options
from orchestrator.webhooks.signing import Secrets
from reelscribe.contracts.scopes import Scope
from reelscribe.errors import SettingsError
from reelscribe.http.access.tokens import Token, Tokens
from reelscribe.settings.loading import load_settings
from reelscribe.trust import Trust, trust
from tests.orchestrator.conftest import BUCKET
from tests.orchestrator.webhooks.conftest import SECRET
from tests.orchestrator.webhooks.receiver import Receiver, ReceiverHandler

WRONG = (
    "ftp://example.com/s3cret",
    "https:///s3cret",
    "https://me:s3cret@example.com/",
    "https://example.com/s3cret#",
    "https://example.com:99999/s3cret",
    "https://exa mple.com/s3cret",
    "https://exämple.com/s3cret",
    "",
    "https://example.com\\s3cret",
    "https://exa%6dple.com/s3cret",
    "https://256.1.1.1/s3cret",
    "https://[v1.a]/s3cret",
    "https://example.com/s3cret" + "x" * 2000,
)


@pytest.fixture
def signs(orchestrator, secret_file, receiver):
    """config.cfg with a secret."""
    with orchestrator.config.open("a") as config:
        config.write(f"\n[webhooks]\nsecret_file = {secret_file}\nallowed_hosts = 127.0.0.1\nurls = {receiver.url}\n")


async def test_a_url_that_cannot_be_sent_to_is_refused_without_being_repeated(
    serving, orchestrator_service, commands, signs, sql
):
    orchestrator_service.takes_webhooks = True
    async with httpx.AsyncClient(base_url=serving(Tokens())) as http:
        for url in WRONG:
            answer = await http.post("/api/jobs", json={"savepath": "a.mp4", "webhook": url})
            assert (answer.status_code, "webhook: " in answer.text, "s3cret" in answer.text) == (400, True, False), url
        for url in ("https://example.com/s3cret?a=1", "http://10.0.0.1:8080", "https://[2001:db8::1]/"):
            answer = await http.post("/api/jobs", json={"savepath": "a.mp4", "webhook": url})
            assert answer.status_code == 202, answer.text
    refused = await commands.run("submit", "a.mp4", "--webhook", WRONG[0])
    assert (refused.code, refused.err) == (2, "--webhook: is no URL that begins with http:// or https://\n")
    assert (await commands.run("submit", "a.mp4", "--webhook", "")).code == 2
    assert (await commands.run("submit", "b.mp4", "--webhook", "https://example.com/x")).code == 0
    assert await sql("select count(*) from job_webhooks") == [(4,)]


async def test_without_a_secret_no_submission_has_a_webhook(serving, commands, sql):
    async with httpx.AsyncClient(base_url=serving(Tokens())) as http:
        answer = await http.post("/api/jobs", json={"savepath": "a.mp4", "webhook": "https://example.com/"})
    assert answer.status_code == 400 and "set [webhooks] secret_file" in answer.json()["error"]["message"]
    refused = await commands.run("submit", "a.mp4", "--webhook", "https://example.com/")
    assert refused.code == 2 and "set [webhooks] secret_file in config.cfg first" in refused.err
    assert await sql("select * from jobs") == []


@pytest.mark.parametrize("more", [1, CHUNK])
async def test_a_submission_that_is_refused_for_a_job_with_ten_webhooks_has_queued_nothing(
    more, serving, orchestrator_service, submissions, sql
):
    orchestrator_service.takes_webhooks = True
    for number in range(webhooks.MOST_OF_A_JOB):
        await submissions.submit(BUCKET, ["full.mp4"], Options(), webhook=f"https://example.com/{number}")
    request = {"savepaths": [*(f"{number}.mp4" for number in range(more)), "full.mp4"], "priority": 5}
    request["webhook"] = "https://example.com/more"
    async with httpx.AsyncClient(base_url=serving(Tokens()), timeout=60) as http:
        answer = await http.post("/api/jobs", json=request)
        assert (answer.status_code, "has 10 webhooks already" in answer.text) == (400, True)
        assert await sql("select savepath, priority from jobs join media m on m.id = media_id") == [("full.mp4", 0)]
        assert await sql("select count(*) from procrastinate_jobs") == [(1,)]
        answer = await http.post("/api/jobs", json={**request, "savepaths": ["new.mp4", "full.mp4"], "webhook": None})
        assert [job["outcome"] for job in answer.json()["jobs"]] == ["new", "known"]


@pytest.mark.parametrize(
    "content", ["", "hunter2", "whsec_", "whsec_aHVudGVyMg==", f"{SECRET} hunter2", "hunter2\n" * 5]
)
def test_a_file_that_holds_no_secret_is_refused_and_not_shown(tmp_path, content):
    file = tmp_path / "secret"
    file.write_text(content)
    with pytest.raises(SettingsError, match=r"\[webhooks\] secret_file: .*secret") as refused:
        Secrets.from_file(file)
    assert not [word for word in ("hunter2", "aHVudGVyMg", SECRET) if word in str(refused.value)]


def test_urls_need_a_secret_and_are_checked(tmp_path):
    config = tmp_path / "config.cfg"
    config.write_text("[webhooks]\nurls = https://example.com/hook\n")
    with pytest.raises(SettingsError, match=r"\[webhooks\].*urls needs secret_file as well"):
        load_settings(config)
    config.write_text("[webhooks]\nurls = https://example.com/, example.org\nsecret_file = x\nevents = job.done\n")
    with pytest.raises(SettingsError) as refused:
        load_settings(config)
    assert len(refused.value.problems) == 2


async def test_the_log_comes_in_pages_to_administrators_alone(
    serving, pool, submit, submissions, receiver, delivering, log_of
):
    async with pool.connection() as connection:
        await webhooks.configure(connection, [receiver.url], ["job.cancelled"])
    await submissions.cancel([(await submit(f"{number}.mp4")).id for number in range(5)])
    receiver.answers = [500]
    async with delivering(max_attempts=1):
        await log_of()
    tokens = Tokens([Token("boss", "boss"), Token("writer", "writer", Scope.SUBMIT)])
    async with httpx.AsyncClient(base_url=f"{serving(tokens)}/api/webhooks") as http:
        denied = await http.get("/deliveries", headers={"Authorization": "Bearer writer"})
        assert (denied.status_code, denied.json()["error"]["code"]) == (403, "scope_missing")
        http.headers["Authorization"] = "Bearer boss"
        first = (await http.get("/deliveries", params={"limit": 3})).json()
        second = (await http.get("/deliveries", params={"limit": 3, "after": first["next"]})).json()
        [failed] = (await http.get("/deliveries", params={"state": "failed"})).json()["deliveries"]
        assert (await http.post("/deliveries/999/retry")).json()["error"]["code"] == "message_not_found"
        assert (await http.post(f"/deliveries/{failed['id']}/retry")).status_code == 202
        assert (await http.get("/deliveries", params={"state": "failed"})).json() == {"deliveries": [], "next": None}
    ids = [one["id"] for one in first["deliveries"] + second["deliveries"]]
    assert (len(ids), ids, second["next"]) == (5, sorted(ids, reverse=True), None)
    assert (failed["status"], failed["attempts"], failed["event"], failed["url"]) == (
        500,
        1,
        "job.cancelled",
        receiver.url,
    )


async def test_a_receiver_can_be_tested_from_the_command_line(commands, signs, receiver, secret_file):
    receiver.answers = [200, 404, 404]
    delivered = await commands.run("webhooks", "test", receiver.url)
    assert (delivered.code, delivered.out) == (0, f"{receiver.url}: delivered (HTTP 200)\n")
    assert (receiver.received[0].message["type"], receiver.received[0].message["data"]) == ("ping", {})
    refused = await commands.run("webhooks", "test", "--configured")
    assert (refused.code, refused.out) == (1, f"{receiver.url}: 127.0.0.1 answered HTTP 404\n")
    in_json = await commands.run("webhooks", "test", receiver.url, "--json")
    answered = [{"url": receiver.url, "status": 404, "error": "127.0.0.1 answered HTTP 404"}]
    assert (in_json.code, json.loads(in_json.out)) == (1, answered)
    private = await commands.run("webhooks", "test", f"http://localhost:{receiver.port}/")
    assert private.code == 1 and "localhost has a private address" in private.out
    unknown = await commands.run("webhooks", "test", "http://no-such-host.invalid/")
    assert unknown.code == 1 and "no-such-host.invalid cannot be looked up" in unknown.out
    assert (await commands.run("webhooks", "test")).code == 2
    secret_file.write_text("hunter2")
    unusable = await commands.run("webhooks", "test", "--configured")
    assert (unusable.code, "is no secret" in unusable.err, "hunter2" in unusable.err) == (2, True, False)
    checked = await commands.run("check")
    assert checked.code == 1 and "FAIL webhooks: [webhooks] secret_file: " in checked.out


async def test_a_certificate_must_be_of_the_name_although_the_address_is_connected_to(tmp_path, commands, signs):
    file = tmp_path / "both.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    command += ["-keyout", "-", "-days", "2", "-subj", "/CN=ours", "-addext", "subjectAltName=DNS:localhost"]
    file.write_bytes(subprocess.run(command, check=True, capture_output=True).stdout)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(file)
    server = HTTPServer(Application([("/.*", ReceiverHandler, {"receiver": Receiver()})]), ssl_options=context)
    socket, port = bind_unused_port()
    server.add_socket(socket)
    config = commands.config
    config.write_text(config.read_text().replace("allowed_hosts = 127.0.0.1", "allowed_hosts = localhost, 127.0.0.1"))
    config.write_text(config.read_text() + f"[auth]\ntls_ca = {file}\n")
    try:
        accepted = await commands.run("webhooks", "test", f"https://localhost:{port}/")
        assert (accepted.code, accepted.out) == (0, f"https://localhost:{port}/: delivered (HTTP 204)\n")
        refused = await commands.run("webhooks", "test", f"https://127.0.0.1:{port}/")
        assert refused.code == 1 and "CERTIFICATE_VERIFY_FAILED" in refused.out
    finally:
        trust(Trust())
        server.stop()
        await server.close_all_connections()
