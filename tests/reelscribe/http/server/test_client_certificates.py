"""Services that ask their clients for a certificate, and clients that show one; all made by openssl."""

import shutil
import socket
import ssl
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from reelscribe.errors import PeerUnreachable, SettingsError
from reelscribe.http.peers.extractor_client import ExtractorClient
from reelscribe.settings.loading import load_settings
from reelscribe.trust import Trust, current_context, read_again, trust, unverified_context
from tests.reelscribe.http.process import Process

FOR_AUTHORITIES = ("-addext", "keyUsage=critical,keyCertSign,cRLSign")
NEW_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")


class Authority:
    """Signs certificates, as docs/three-machines.md does it."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.folder = folder
        folder.mkdir()
        made = (*NEW_KEY, "-subj", "/CN=authority", *options, "-keyout", "ca.key", "-out", "ca.pem")
        self._openssl("req", "-x509", *made)

    @property
    def file(self) -> Path:
        return self.folder / "ca.pem"

    def sign(self, name: str, *options: str) -> dict[str, Path]:
        """A certificate for 127.0.0.1, and its key."""
        alternative = ("-addext", "subjectAltName=IP:127.0.0.1")
        key, request, cert = f"{name}.key", f"{name}.csr", f"{name}.pem"
        self._openssl("req", *NEW_KEY, "-subj", f"/CN={name}", *alternative, "-keyout", key, "-out", request)
        signed = ("-CA", "ca.pem", "-CAkey", "ca.key", "-copy_extensions", "copy", *(options or ("-days", "9")))
        self._openssl("x509", "-req", "-in", request, *signed, "-out", cert)
        return {"cert": self.folder / cert, "key": self.folder / key}

    def _openssl(self, *arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=self.folder, check=True, capture_output=True)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority") / "ours", *FOR_AUTHORITIES)


@pytest.fixture(scope="module")
def other_authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority") / "another", *FOR_AUTHORITIES)


def address_for_others() -> str:
    """An address of this host at which others reach it; without one, the test is skipped."""
    with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as sending:
        try:
            sending.connect(("192.0.2.1", 9))  # nothing is sent
        except OSError:
            pytest.skip("this host has no address but those of its own")
        return str(sending.getsockname()[0])


@pytest.fixture(autouse=True)
def trusts_nothing_afterwards() -> Iterator[None]:
    yield
    trust(Trust())


@pytest.fixture
def process(
    start: Callable[..., Process],
    authority: Authority,
    other_authority: Authority,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Process:
    """A service that asks for certificates of the authority in ``clients.pem``; its system trusts another one."""
    monkeypatch.setenv("SSL_CERT_FILE", str(other_authority.file))
    shutil.copy(authority.file, tmp_path / "clients.pem")
    mine = authority.sign("extractor")
    started: Process = start(tls_cert=mine["cert"], tls_key=mine["key"], tls_client_ca=tmp_path / "clients.pem")
    assert started.url.startswith("https://")
    return started


async def refusal(url: str) -> str:
    async with ExtractorClient(url) as client:
        with pytest.raises(PeerUnreachable) as refused:
            await client.health()
    return refused.value.message


async def is_answered(url: str) -> bool:
    async with ExtractorClient(url) as client:
        return bool((await client.health())["machine"] == "test-service")


async def test_who_shows_one_that_its_authority_has_signed_is_answered(process, authority):
    trust(Trust(authority.file, *authority.sign("transcriber").values()))
    assert await is_answered(process.url)


async def test_who_shows_none_is_refused_before_any_request_and_is_advised(process, authority):
    trust(Trust(authority.file))
    said = await refusal(process.url)
    assert said.startswith("the extractor at https://127.0.0.1:") and "does not answer: " in said
    assert said.endswith("; it asks clients for a certificate: set [auth] tls_client_cert and tls_client_key")
    process.wait_for("peer did not return a certificate")
    with pytest.raises(httpx.TransportError):
        httpx.get(f"{process.url}/healthz", verify=False)


async def test_one_of_another_authority_is_refused_although_the_system_trusts_that(process, authority, other_authority):
    trust(Trust(authority.file, *other_authority.sign("foreign").values()))
    advice = "no authority of its tls_client_ca has signed the certificate of [auth] tls_client_cert"
    assert (await refusal(process.url)).endswith(f"; {advice}")


async def test_one_that_has_expired_is_refused(process, authority):
    trust(Trust(authority.file, *authority.sign("late", "-days", "-1").values()))
    assert (await refusal(process.url)).endswith("; the certificate of [auth] tls_client_cert has expired")


async def test_an_unknown_authority_is_to_be_named(process):
    assert (await refusal(process.url)).endswith("; name the authority of its certificate in [auth] tls_ca")


async def test_an_authority_that_a_newer_python_refuses_is_to_be_made_again(start, tmp_path):
    older = Authority(tmp_path / "older")
    mine = older.sign("extractor")
    process = start(tls_cert=mine["cert"], tls_key=mine["key"])
    trust(Trust(older.file))
    current_context(shows_certificate=True).verify_flags |= ssl.VERIFY_X509_STRICT  # as of Python 3.13
    assert "Python 3.13 and newer refuse this authority; make its certificate again" in await refusal(process.url)


@pytest.mark.skipif(sys.version_info < (3, 13), reason="before Python 3.13, services accept such an authority")
async def test_a_service_that_refuses_such_an_authority_says_in_its_log_what_is_wrong(start, authority, tmp_path):
    older, mine = Authority(tmp_path / "older"), authority.sign("extractor")
    process = start(tls_cert=mine["cert"], tls_key=mine["key"], tls_client_ca=older.file)
    trust(Trust(authority.file, *older.sign("transcriber").values()))
    advice = "its log says what is wrong with the certificate of [auth] tls_client_cert"
    assert (await refusal(process.url)).endswith(f"; {advice}")
    process.wait_for("CA cert does not include key usage")


async def test_without_a_token_only_those_with_a_certificate_are_said_to_be_let_in(start, authority):
    mine = authority.sign("extractor")
    process = start(host="0.0.0.0", tls_cert=mine["cert"], tls_key=mine["key"], tls_client_ca=authority.file)
    allowed = "whoever has a certificate that an authority of tls_client_ca has signed may use it"
    assert process.wait_for("test-service: listens on 0.0.0.0: (.*)") == f"{allowed}; set [auth] token_file"
    trust(Trust(None, *authority.sign("transcriber").values()))
    url = process.url.replace("0.0.0.0", address_for_others())
    async with httpx.AsyncClient(verify=unverified_context()) as client:
        health, diagnosis = [(await client.get(f"{url}/{route}")).json() for route in ("healthz", "diagnosis")]
    assert health["warnings"] == [f"{allowed}; set [auth] token_file"]
    [found] = [found for found in diagnosis["findings"] if found["subject"] == "access"]
    assert (found["level"], found["message"]) == (
        "warning",
        f"no token is asked for, and other hosts can reach it: {allowed}",
    )


async def test_orchestrator_up_asks_how_its_services_are_with_the_certificate_of_this_host(process, authority):
    trust(Trust(None, *authority.sign("up").values()))  # theirs is made for another name, and need not be trusted
    async with httpx.AsyncClient(verify=unverified_context()) as client:
        assert (await client.get(f"{process.url}/healthz")).status_code == 200


async def test_both_sides_are_renewed_while_they_run(process, authority, other_authority, tmp_path):
    for name, file in other_authority.sign("renewed").items():
        shutil.copy(file, tmp_path / f"own.{name}")
    trust(Trust(authority.file, tmp_path / "own.cert", tmp_path / "own.key"))
    async with ExtractorClient(process.url) as client:
        with pytest.raises(PeerUnreachable):
            await client.health()
        with (tmp_path / "clients.pem").open("a") as file:
            file.write(other_authority.file.read_text())
        process.reload()
        assert (await client.health())["status"] == "ok"
    shutil.copy(authority.file, tmp_path / "clients.pem")
    process.reload()
    async with ExtractorClient(process.url) as client:
        with pytest.raises(PeerUnreachable):
            await client.health()
        for name, file in authority.sign("again").items():
            shutil.copy(file, tmp_path / f"own.{name}")
        read_again()
        assert (await client.health())["status"] == "ok"


class TestSettings:
    @pytest.fixture
    def mistakes(self, tmp_path: Path) -> Callable[[str], str]:
        def read(text: str) -> str:
            (tmp_path / "config.cfg").write_text(text)
            with pytest.raises(SettingsError) as wrong:
                load_settings(tmp_path / "config.cfg")
            return "\n".join(wrong.value.problems)

        return read

    def test_a_service_that_asks_for_certificates_needs_one_itself(self, mistakes):
        said = mistakes("[server]\ntls_client_ca = ca.pem\n")
        assert "config.cfg:2: [server] tls_client_ca: needs tls_cert as well" in said

    def test_a_key_needs_its_certificate(self, mistakes):
        assert "[auth] tls_client_key: needs tls_client_cert as well" in mistakes("[auth]\ntls_client_key = own.key\n")

    def test_a_certificate_with_the_key_of_another_is_refused(self, mistakes, authority):
        one, another = authority.sign("one"), authority.sign("another")
        said = mistakes(f"[auth]\ntls_client_cert = {one['cert']}\ntls_client_key = {another['key']}\n")
        named = f"[auth] tls_client_cert {one['cert']}, [auth] tls_client_key {another['key']}"
        assert said.startswith(f"{named}: cannot be used: ")

    def test_authorities_that_cannot_be_read_are_one_sentence(self, start, authority, tmp_path):
        own = authority.sign("server")
        process = start(tls_cert=own["cert"], tls_key=own["key"], tls_client_ca=tmp_path / "none.pem")
        assert process.child.wait(60) == 1
        assert process.stderr == f"tls_client_ca: {tmp_path}/none.pem cannot be read: No such file or directory\n"
