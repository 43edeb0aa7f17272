"""[auth] tls_ca: one list of authorities for every client of every service."""

import asyncio
import subprocess
import sys
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path

import pytest

from orchestrator.database.pool import trusting
from orchestrator.exports.result_bucket import ResultBucket
from orchestrator.ingest.downloader import Downloader
from orchestrator.ingest.environment import Environment
from orchestrator.ingest.failures import DownloadFailed
from orchestrator.worker.transcriber_client import TranscriberClient
from reelscribe.errors import PeerRefused, RemoteError, ServiceError, SettingsError
from reelscribe.http.access.tokens import Tokens
from reelscribe.http.peers.extractor_client import ExtractorClient
from reelscribe.settings.loading import Settings, load_settings
from reelscribe.settings.shared import AuthSection
from reelscribe.trust import Trust, read_again, trust
from tests.s3_server import minio


@pytest.fixture
def configured(tmp_path: Path) -> Iterator[Callable[[Path | str], None]]:
    """Reads a config.cfg with this ``tls_ca``."""

    def read(tls_ca: Path | str) -> None:
        config = tmp_path / "config.cfg"
        config.write_text(f"[auth]\ntls_ca = {tls_ca}\n")
        load_settings(config)

    yield read
    trust(Trust())


async def of_extractor(tls_port: int, folder: Path) -> None:
    async with ExtractorClient(f"https://127.0.0.1:{tls_port}") as client:
        await client.health()


async def of_transcriber(tls_port: int, folder: Path) -> None:
    async with TranscriberClient(Tokens(), 5) as client:
        await client.health(f"https://127.0.0.1:{tls_port}")


async def of_minio(tls_port: int, folder: Path) -> None:
    bucket = ResultBucket(minio(folder, tls_port, secure=True), "words")
    await asyncio.to_thread(bucket.put, "a", BytesIO(b"a"), "text/plain")


async def test_yt_dlp_trusts_them_too(tls_port: int, authority: Path, tmp_path: Path) -> None:
    (tmp_path / "environment").symlink_to(sys.prefix)
    reasons = []
    for section in (AuthSection(), AuthSection(tls_ca=authority)):
        settings = Settings(auth=section)
        async with Downloader(settings, Environment(tmp_path / "environment")) as downloader:
            with pytest.raises(DownloadFailed) as failed:
                await downloader.look(f"https://127.0.0.1:{tls_port}/talk.mp4", is_list=False, named_host="127.0.0.1")
        reasons.append(failed.value.message)
    assert "certificate verify failed" in reasons[0]
    assert "404" in reasons[1]


@pytest.mark.parametrize("call", [of_extractor, of_transcriber, of_minio])
async def test_each_client_trusts_its_authorities_and_nothing_without_them(
    call, tls_port, authority, configured, tmp_path
):
    with pytest.raises(ServiceError, match="certificate verify failed"):
        await call(tls_port, tmp_path)
    configured(authority)
    with pytest.raises((RemoteError, PeerRefused), match=r"no answer of its API|does not speak S3"):
        await call(tls_port, tmp_path)


def test_postgresql_gets_them_where_its_url_asks_for_verification(authority, configured):
    plain, verified = "postgresql://a@b/c", "postgresql://a@b/c?sslmode=verify-full"
    assert trusting(verified) == verified
    configured(authority)
    assert trusting(verified).startswith(f"{verified}&sslrootcert=")
    assert [trusting(url) for url in (plain, f"{verified}&sslrootcert=x")] == [plain, f"{verified}&sslrootcert=x"]


@pytest.mark.parametrize(
    ("content", "reason"), [(None, "cannot be read: No such file or directory"), ("no PEM", "holds no certificate")]
)
def test_a_file_without_certificates_is_a_mistake_in_the_settings(content, reason, configured, tmp_path):
    if content:
        (tmp_path / "ca.pem").write_text(content)
    with pytest.raises(SettingsError, match=rf"\[auth\] tls_ca: \S+ca.pem {reason}"):
        configured("ca.pem")


@pytest.mark.parametrize("client", [ExtractorClient, TranscriberClient])
async def test_a_client_that_lives_long_follows_the_file_once_it_is_read_again(
    client, tls_port, authority, configured, tmp_path
):
    def of_another() -> bytes:
        command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
        command += ["-keyout", "/dev/null", "-days", "2", "-subj", "/CN=another"]
        return subprocess.run(command, check=True, capture_output=True).stdout

    url, file = f"https://127.0.0.1:{tls_port}", tmp_path / "authorities.pem"
    file.write_bytes(of_another())
    configured(file)
    async with ExtractorClient(url) as extractor, TranscriberClient(Tokens(), 5) as transcriber:

        async def answer() -> str:
            with pytest.raises(ServiceError) as failed:
                await (extractor.health() if client is ExtractorClient else transcriber.health(url))
            return failed.value.message

        assert "certificate verify failed" in await answer()
        file.write_bytes(authority.read_bytes())
        read_again()
        assert "no answer of its API" in await answer()
        file.write_text("no certificate")
        with pytest.raises(SettingsError, match="holds no certificate"):
            read_again()
        assert "no answer of its API" in await answer(), "what was read before stays in use"
        file.write_bytes(of_another())
        read_again()
        assert "certificate verify failed" in await answer()
