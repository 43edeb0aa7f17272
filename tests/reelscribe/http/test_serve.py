"""A service as a process: start, TLS, an address in use, and a stop that cuts no request."""

import re
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path

import httpx
import pytest

PROGRAM = """
import asyncio, sys
from reelscribe import logs
from reelscribe.http.auth import Tokens
from reelscribe.http.operations import Operation
from reelscribe.http.routes import Api
from reelscribe.http.server import Service, ServiceHandler, serve
from reelscribe.settings.loading import ServerSection, SettingsError

class SlowHandler(ServiceHandler):
    async def get(self, seconds):
        self.write("begun, ")
        await self.flush()
        await asyncio.sleep(float(seconds))
        self.finish("ended")

async def stop_work():
    print("work handed back", file=sys.stderr, flush=True)

async def main():
    service = Service("test-service", Tokens())
    slow = Operation("GET", "/slow/{seconds}", "slow", "", (), path_parameters={"seconds": ".+"}, handler=SlowHandler)
    application = Api("Test", "Is slow.", (slow,)).application(service)
    listener = ServerSection(**dict(argument.split("=") for argument in sys.argv[1:]))
    await serve(service, application, listener, stop_work)

logs.configure()
try:
    asyncio.run(main())
except SettingsError as wrong:
    sys.exit(str(wrong))
"""


class Process:
    """One process of a service; ``stderr`` is all it has logged so far."""

    def __init__(self, log: Path, **listener: object) -> None:
        self._log = log
        arguments = [f"{key}={value}" for key, value in {"port": 0, **listener}.items()]
        with log.open("wb") as stderr:
            self.child = subprocess.Popen([sys.executable, "-c", PROGRAM, *arguments], stderr=stderr)

    @property
    def stderr(self) -> str:
        return self._log.read_text(encoding="utf-8")

    def wait_for(self, pattern: str) -> str:
        """The first group of ``pattern`` in its log."""
        deadline = time.monotonic() + 60
        while not (found := re.search(pattern, self.stderr)):
            assert self.child.poll() is None and time.monotonic() < deadline, self.stderr
            time.sleep(0.02)
        return found[1] if found.groups() else found[0]

    @property
    def url(self) -> str:
        return self.wait_for(r"server running on (\S+)")

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal; return the exit code."""
        self.child.send_signal(number)
        return self.child.wait(timeout=15)


def loopback_hosts() -> list[str]:
    """Names of this host; containers often have no IPv6."""
    with suppress(OSError):
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
        return ["localhost", "::1"]
    return ["localhost"]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Process]]:
    started: list[Process] = []

    def start(**listener: object) -> Process:
        started.append(Process(tmp_path / f"log-{len(started)}", **listener))
        return started[-1]

    yield start
    for process in started:
        with suppress(ProcessLookupError):
            process.child.kill()
        process.child.wait()


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("tls")
    cert, key = folder / "cert.pem", folder / "key.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    command += ["-keyout", key, "-out", cert, "-days", "2", "-subj", "/CN=localhost"]
    subprocess.run([*command, "-addext", "subjectAltName=IP:127.0.0.1"], check=True, capture_output=True)
    return cert, key


class TestStart:
    def test_it_says_where_it_runs(self, start):
        assert httpx.get(f"{start().url}/healthz").json() == {"machine": "test-service", "status": "ok", "problems": []}

    @pytest.mark.parametrize("host", loopback_hosts())
    def test_the_url_in_its_log_can_be_opened_whatever_the_host(self, start, host):
        assert httpx.get(f"{start(host=host).url}/healthz").status_code == 200

    @pytest.mark.skipif("::1" not in loopback_hosts(), reason="this host has no IPv6")
    def test_all_addresses_of_ipv6_are_those_of_ipv4_too(self, start):
        port = start(host="::").url.rpartition(":")[2]
        assert [httpx.get(f"http://{host}:{port}/healthz").status_code for host in ("127.0.0.1", "[::1]")] == [200, 200]

    def test_an_address_in_use_is_one_sentence(self, start):
        with closing(socket.create_server(("127.0.0.1", 0))) as taken:
            port = taken.getsockname()[1]
            process = start(port=port)
            assert process.child.wait(timeout=20) == 1
        assert process.stderr == f"cannot listen on 127.0.0.1:{port}: Address already in use\n"

    def test_an_unknown_host_is_one_sentence(self, start):
        process = start(host="host.invalid")
        assert process.child.wait(timeout=20) == 1
        assert re.fullmatch(r"cannot listen on host\.invalid:0: [^\n]+\n", process.stderr)

    def test_a_service_open_to_everyone_is_warned_about(self, start):
        process = start(host="0.0.0.0")
        process.wait_for("anyone who can reach 0.0.0.0 may use it; set \\[auth\\] token_file")


class TestTls:
    def test_with_a_certificate_https_is_spoken(self, start, certificate):
        cert, key = certificate
        process = start(tls_cert=cert, tls_key=key)
        trust = ssl.create_default_context(cafile=str(cert))
        assert process.url.startswith("https://")
        assert httpx.get(f"{process.url}/healthz", verify=trust).status_code == 200

    def test_plain_http_is_then_not_answered(self, start, certificate):
        cert, key = certificate
        url = start(tls_cert=cert, tls_key=key).url.replace("https", "http")
        with pytest.raises(httpx.TransportError):
            httpx.get(f"{url}/healthz")

    def test_a_missing_certificate_is_one_sentence(self, start, tmp_path):
        process = start(tls_cert=tmp_path / "none.pem")
        assert process.child.wait(timeout=20) == 1
        assert re.fullmatch(
            r"tls_cert \S+none.pem, [^\n]+: cannot be used: No such file or directory\n", process.stderr
        )

    def test_an_encrypted_key_is_refused_instead_of_asking_the_console(self, start, certificate, tmp_path):
        cert, key = certificate
        locked = tmp_path / "locked.pem"
        command = ["openssl", "ec", "-in", key, "-aes128", "-passout", "pass:hush", "-out", locked]
        subprocess.run(command, check=True, capture_output=True)
        process = start(tls_cert=cert, tls_key=locked)
        assert process.child.wait(timeout=20) == 1
        assert "the key is encrypted" in process.stderr and process.stderr.count("\n") == 1


class TestStop:
    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
    def test_an_idle_service_stops_immediately_with_exit_code_0(self, start, number):
        process = start()
        assert process.url
        begun = time.monotonic()
        assert process.stop(number) == 0
        assert time.monotonic() - begun < 3
        assert "work handed back" in process.stderr and "Traceback" not in process.stderr

    def test_a_running_request_may_end(self, start):
        process = start()
        with httpx.stream("GET", f"{process.url}/slow/1") as response:
            process.child.send_signal(signal.SIGTERM)
            assert response.read() == b"begun, ended"
        assert process.child.wait(timeout=5) == 0

    def test_new_connections_are_refused_meanwhile(self, start):
        process = start()
        url = process.url
        with httpx.stream("GET", f"{url}/slow/1") as response:
            process.child.send_signal(signal.SIGTERM)
            process.wait_for("test-service: stopping")
            process.wait_for("work handed back")
            with pytest.raises(httpx.ConnectError):
                httpx.get(f"{url}/healthz")
            response.read()

    def test_after_the_grace_time_a_request_is_cut_not_ended(self, start):
        process = start(grace_seconds=0.3)
        with httpx.stream("GET", f"{process.url}/slow/60") as response:
            process.child.send_signal(signal.SIGTERM)
            with pytest.raises(httpx.RemoteProtocolError, match="incomplete chunked read"):
                response.read()
        assert process.child.wait(timeout=5) == 0

    def test_it_does_not_wait_for_clients_that_were_cut_or_left(self, start):
        process = start(grace_seconds=30)
        with httpx.stream("GET", f"{process.url}/slow/60"):
            pass
        time.sleep(0.3)
        begun = time.monotonic()
        assert process.stop() == 0
        assert time.monotonic() - begun < 5
