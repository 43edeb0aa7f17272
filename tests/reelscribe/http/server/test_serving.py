"""A service as a process: start, TLS, an address in use, and a stop that cuts no request."""

import re
import signal
import socket
import ssl
import subprocess
from contextlib import closing, suppress

import httpx
import pytest


def loopback_hosts() -> list[str]:
    """Names of this host; containers often have no IPv6."""
    with suppress(OSError):
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
        return ["localhost", "::1"]
    return ["localhost"]


class TestStart:
    def test_it_says_where_it_runs(self, start):
        assert httpx.get(f"{start().url}/healthz").json() == {
            "machine": "test-service",
            "status": "ok",
            "problems": [],
            "warnings": [],
        }

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
            assert process.child.wait(60) == 1
        assert process.stderr == f"cannot listen on 127.0.0.1:{port}: Address already in use\n"

    def test_an_unknown_host_is_one_sentence(self, start):
        process = start(host="host.invalid")
        assert process.child.wait(60) == 1
        assert re.fullmatch(r"cannot listen on host\.invalid:0: [^\n]+\n", process.stderr)

    def test_a_service_open_to_everyone_says_so_in_its_log_and_its_health_and_works(self, start):
        process = start(host="0.0.0.0")
        warning = "anyone who can reach this service may use it; set [auth] token_file"
        assert process.wait_for("test-service: listens on 0.0.0.0: (.*)") == warning
        health = httpx.get(process.url.replace("0.0.0.0", "127.0.0.1") + "/healthz")
        assert (health.status_code, health.json()["status"]) == (200, "ok")
        assert (health.json()["problems"], health.json()["warnings"]) == ([], [warning])
        assert process.stderr.count(warning) == 1

    def test_one_that_asks_for_a_token_or_is_for_this_host_only_says_nothing(self, start, tmp_path):
        (tmp_path / "tokens").write_text("secret\n")
        for listener in ({"host": "0.0.0.0", "token_file": tmp_path / "tokens"}, {"host": "127.0.0.2"}):
            process = start(**listener)
            assert process.url and "may use it" not in process.stderr


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
        assert process.child.wait(60) == 1
        assert re.fullmatch(
            r"tls_cert \S+none.pem, [^\n]+: cannot be used: No such file or directory\n", process.stderr
        )

    def test_an_encrypted_key_is_refused_instead_of_asking_the_console(self, start, certificate, tmp_path):
        cert, key = certificate
        locked = tmp_path / "locked.pem"
        command = ["openssl", "ec", "-in", key, "-aes128", "-passout", "pass:hush", "-out", locked]
        subprocess.run(command, check=True, capture_output=True)
        process = start(tls_cert=cert, tls_key=locked)
        assert process.child.wait(60) == 1
        assert "the key is encrypted" in process.stderr and process.stderr.count("\n") == 1


class TestStop:
    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
    def test_an_idle_service_stops_immediately_with_exit_code_0(self, start, number):
        process = start(grace_seconds=600)
        assert process.url
        assert process.stop(number) == 0
        assert "work handed back" in process.stderr and "Traceback" not in process.stderr

    def test_a_running_request_may_end(self, start):
        process = start()
        with httpx.stream("GET", f"{process.url}/slow/1") as response:
            process.child.send_signal(signal.SIGTERM)
            assert response.read() == b"begun, ended"
        assert process.child.wait(60) == 0

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
        with httpx.stream("GET", f"{process.url}/slow/600") as response:
            process.child.send_signal(signal.SIGTERM)
            with pytest.raises(httpx.RemoteProtocolError, match="incomplete chunked read"):
                response.read()
        assert process.child.wait(60) == 0

    def test_it_does_not_wait_for_clients_that_were_cut_or_left(self, start):
        process = start(grace_seconds=600)
        with httpx.stream("GET", f"{process.url}/slow/600"):
            pass
        assert process.stop() == 0
