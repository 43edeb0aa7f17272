"""A running service takes new tokens and certificates, at SIGHUP or by itself, and drops no request for them."""

import asyncio
import os
import pty
import shutil
import signal
import socket
import ssl
import subprocess
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from reelscribe.http.access.tokens import Tokens
from reelscribe.http.server.renewal import Renewal
from tests.reelscribe.http.process import Process
from tests.waiting import blocking_eventually


def status(process: Process, token: str) -> int:
    return httpx.get(f"{process.url}/slow/0", headers={"Authorization": f"Bearer {token}"}).status_code


@pytest.fixture
def token_file(tmp_path: Path) -> Path:
    file = tmp_path / "tokens"
    file.write_text("old\n")
    return file


@pytest.fixture
def process(start: Callable[..., Process], token_file: Path) -> Process:
    started = start(token_file=token_file)
    assert status(started, "old") == 200
    return started


class TestTokens:
    def test_sighup_replaces_them_and_what_was_begun_with_one_that_is_gone_ends_as_it_would_have(
        self, process, token_file
    ):
        with httpx.stream("GET", f"{process.url}/slow/1", headers={"Authorization": "Bearer old"}) as begun:
            token_file.write_text("old\nnew\n")
            process.reload()
            assert [status(process, token) for token in ("old", "new")] == [200, 200]
            token_file.write_text("new\n")
            process.reload()
            assert [status(process, token) for token in ("old", "new")] == [401, 200]
            assert begun.read() == b"begun, ended"
        assert "stopping" not in process.stderr

    def test_a_changed_file_is_noticed_without_a_signal(self, start, token_file):
        process = start(token_file=token_file, look_seconds=0.2)
        assert status(process, "old") == 200
        replacement = token_file.with_name("tokens.new")
        replacement.write_text("new\n")
        replacement.rename(token_file)
        assert blocking_eventually(lambda: status(process, "new") == 200)
        assert status(process, "old") == 401

    async def test_a_file_that_is_still_being_written_is_not_read_yet(self, token_file, monkeypatch):
        monkeypatch.setattr("reelscribe.http.server.renewal.LOOK_SECONDS", 0.05)
        tokens, renewal = Tokens.from_file(token_file), Renewal("test-service")
        read: list[object] = []
        renewal.add("tokens", (token_file,), lambda: read.append(tokens.read_again()))
        watching = asyncio.create_task(renewal.watch())
        await asyncio.sleep(0)
        with token_file.open("w") as file:  # empty from now on, until it is written
            for _ in range(20):
                file.write("# a line before the tokens\n")
                file.flush()
                await asyncio.sleep(0.02)
            assert (tokens.all[0].secret, len(read), renewal.problems) == ("old", 1, [])
            file.write("new\n")
        while tokens.all[0].secret == "old":
            await asyncio.sleep(0.01)
        assert (len(read), renewal.problems) == (2, [])
        watching.cancel()

    def test_a_mistake_changes_nothing_and_is_in_the_log_with_its_line_and_in_the_health(self, process, token_file):
        token_file.write_text("new\npass phrase of four words\n")
        process.reload()
        assert [status(process, token) for token in ("old", "new")] == [200, 401]
        process.wait_for(
            rf"ERROR.*{token_file}:2: a line is TOKEN, TOKEN NAME or .*; the tokens from before stay in use"
        )
        assert "phrase" not in process.stderr
        health = httpx.get(f"{process.url}/healthz")
        assert (health.status_code, health.json()["status"]) == (200, "degraded")
        assert health.json()["problems"] == [
            "the tokens cannot be read again, and those from before are used; the log says why"
        ]
        token_file.write_text("new\n")
        process.reload()
        assert httpx.get(f"{process.url}/healthz").json()["status"] == "ok"
        assert [status(process, token) for token in ("old", "new")] == [401, 200]

    @pytest.mark.parametrize(("content", "reason"), [(None, "No such file"), ("", "holds no token")])
    def test_a_file_that_is_gone_or_empty_admits_no_one_new(self, process, token_file, content, reason):
        token_file.unlink() if content is None else token_file.write_text(content)
        process.reload()
        process.wait_for(rf"ERROR.*{token_file} .*{reason}.*; the tokens from before stay in use")
        assert [status(process, token) for token in ("old", "new")] == [200, 401]

    def test_without_a_file_there_is_nothing_to_read_and_it_continues(self, start):
        process = start()
        assert process.url
        process.reload()
        assert httpx.get(f"{process.url}/healthz").status_code == 200


def replace(certificate: Path, key: Path, folder: Path) -> None:
    shutil.copy(key, folder / "key.pem")
    shutil.copy(certificate, folder / "cert.pem")


def shown(url: str) -> str:
    """The certificate of the service at this address, in PEM format."""
    host, port = url.removeprefix("https://").split(":")
    return ssl.get_server_certificate((host, int(port)), timeout=60)


class TestCertificates:
    @pytest.fixture
    def other(self, tmp_path: Path) -> tuple[Path, Path]:
        """Another certificate, and its key."""
        cert, key = tmp_path / "other-cert.pem", tmp_path / "other-key.pem"
        command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
        command += ["-keyout", str(key), "-out", str(cert), "-days", "2", "-subj", "/CN=other"]
        subprocess.run([*command, "-addext", "subjectAltName=IP:127.0.0.1"], check=True, capture_output=True)
        return cert, key

    @pytest.fixture
    def process(self, start: Callable[..., Process], certificate: tuple[Path, Path], tmp_path: Path) -> Process:
        replace(certificate[0], certificate[1], tmp_path)
        started: Process = start(tls_cert=tmp_path / "cert.pem", tls_key=tmp_path / "key.pem")
        assert shown(started.url) == certificate[0].read_text()
        return started

    def test_new_connections_get_the_new_one_and_those_that_are_open_stay(self, process, certificate, other, tmp_path):
        trust = ssl.create_default_context(cafile=str(certificate[0]))
        with httpx.Client(verify=trust) as client:
            with client.stream("GET", f"{process.url}/slow/1") as begun:
                replace(other[0], other[1], tmp_path)
                process.reload()
                assert shown(process.url) == other[0].read_text()
                assert begun.read() == b"begun, ended"
            assert client.get(f"{process.url}/healthz").status_code == 200, "on the same connection"
        with httpx.Client(verify=trust) as client, pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
            client.get(f"{process.url}/healthz")

    def test_changed_files_are_noticed_without_a_signal(self, start, certificate, other, tmp_path):
        replace(certificate[0], certificate[1], tmp_path)
        process = start(tls_cert=tmp_path / "cert.pem", tls_key=tmp_path / "key.pem", look_seconds=0.2)
        assert shown(process.url) == certificate[0].read_text()
        replace(other[0], other[1], tmp_path)
        assert blocking_eventually(lambda: shown(process.url) == other[0].read_text())

    def test_one_without_its_key_changes_nothing(self, process, certificate, other, tmp_path):
        shutil.copy(other[0], tmp_path / "cert.pem")
        process.reload()
        process.wait_for(r"ERROR.*tls_cert \S+cert.pem, tls_key \S+key.pem: cannot be used: .*from before stay in use")
        assert shown(process.url) == certificate[0].read_text()
        health = httpx.get(f"{process.url}/healthz", verify=False).json()
        assert health["problems"] == [
            "the certificates cannot be read again, and those from before are used; the log says why"
        ]


class TestSignal:
    def test_a_terminal_that_closes_stops_the_service(self, start, token_file):
        ours, theirs = pty.openpty()
        process = start(terminal=theirs, token_file=token_file)
        os.close(theirs)
        assert process.url
        os.close(ours)
        assert process.child.wait(60) == 0
        assert "work handed back" in process.stderr

    def test_systemd_is_notified_of_a_reload_and_of_what_is_wrong(self, start, token_file, tmp_path, monkeypatch):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
            systemd.bind(str(tmp_path / "notify"))
            systemd.settimeout(30)
            monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
            process = start(token_file=token_file)
            while systemd.recv(1000) != b"READY=1":
                pass
            token_file.write_text("two words and more\n")
            process.child.send_signal(signal.SIGHUP)
            said: list[bytes] = []
            while not said or not said[-1].startswith(b"READY=1"):
                said.append(systemd.recv(1000))
        assert [words for words in said if words != b"WATCHDOG=1"] == [
            b"RELOADING=1",
            b"READY=1\nSTATUS=the tokens cannot be read again, and those from before are used; the log says why",
        ]
