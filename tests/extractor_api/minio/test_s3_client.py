"""How MinIO, or whatever answers in its place, answers our requests, and what the settings must hold."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from extractor_api.minio.s3_client import S3Client
from reelscribe.errors import (
    BucketUnavailable,
    NotReadable,
    ObjectNotFound,
    PeerRefused,
    PeerUnreachable,
    SettingsError,
)
from reelscribe.settings.shared import MinioSection
from tests.extractor_api.minio_drive import format_drive
from tests.s3_server import http_server, minio, put


@pytest.fixture
def drive(tmp_path: Path) -> Path:
    """A drive with an empty bucket."""
    format_drive(tmp_path)
    (tmp_path / "videos").mkdir()
    return tmp_path


class TestClient:
    def test_what_is_not_an_s3_server_is_named(self, bucket: Path, tmp_path: Path) -> None:
        page = b"HTTP/1.0 200 OK\r\nContent-Type: text/html\r\n\r\n<html>console</html>"
        with http_server(page) as port, pytest.raises(PeerRefused, match="does not speak S3; check"):
            S3Client(minio(tmp_path, port)).stat("videos", "x.mp4")

    @pytest.mark.parametrize(
        ("status", "code", "kind"),
        [
            (404, "NoSuchKey", ObjectNotFound), (404, "NoSuchBucket", BucketUnavailable),
            (403, "AccessDenied", NotReadable), (400, "InvalidRequest", NotReadable),
            (403, "SignatureDoesNotMatch", PeerRefused), (503, "XMinioServerNotInitialized", PeerUnreachable),
        ],
    )  # fmt: skip
    def test_each_refusal_has_its_error(self, tmp_path: Path, status: int, code: str, kind: type[Exception]) -> None:
        answer = f"<Error><Code>{code}</Code><Message>no</Message></Error>"
        head = f"HTTP/1.0 {status} no\r\nContent-Type: application/xml\r\nContent-Length: {len(answer)}\r\n\r\n"
        with http_server((head + answer).encode()) as port, pytest.raises(kind):
            S3Client(minio(tmp_path, port)).stat("videos", "x.mp4")

    def test_an_answer_that_leads_elsewhere_is_not_followed(self, tmp_path: Path, s3_port: int) -> None:
        put(s3_port, "minute.mp4", b"x")
        away = f"HTTP/1.0 307 go\r\nLocation: http://127.0.0.1:{s3_port}/videos/minute.mp4\r\nContent-Length: 0\r\n\r\n"
        with http_server(away.encode()) as port, pytest.raises((PeerRefused, NotReadable)):
            S3Client(minio(tmp_path, port)).stat("videos", "minute.mp4")

    @pytest.mark.parametrize("content", ["", "two\nlines\n", "two words"])
    def test_a_secret_key_file_holds_one_line(self, tmp_path: Path, content: str) -> None:
        section = minio(tmp_path, 9)
        (tmp_path / "secret").write_text(content)
        with pytest.raises(SettingsError, match=r"\[minio\] secret_key_file: .* must hold the secret key in one line"):
            S3Client(section)

    def test_a_missing_secret_key_file_is_named(self, tmp_path: Path) -> None:
        with pytest.raises(SettingsError, match="cannot be read: No such file"):
            S3Client(MinioSection(endpoint="minio:9000", access_key="k", secret_key_file=tmp_path / "none"))


class TestCheck:
    def check(self, drive: Path, tmp_path: Path, port: int, **changed: str) -> subprocess.CompletedProcess[str]:
        section = minio(tmp_path, port)
        settings = {
            "PATHS__MINIO_DATA_PATH": drive, "MINIO__ENDPOINT": section.endpoint, "MINIO__ACCESS_KEY": "reader",
            "MINIO__SECRET_KEY_FILE": section.secret_key_file, "MINIO__SECURE": "false", **changed,
        }  # fmt: skip
        environment = {**os.environ, **{f"REELSCRIBE_{key}": str(value) for key, value in settings.items()}}
        command = [sys.executable, "-m", "extractor_api", "check"]
        return subprocess.run(command, capture_output=True, text=True, env=environment, cwd=tmp_path)

    def test_it_checks_minio(self, drive: Path, tmp_path: Path, s3_port: int) -> None:
        put(s3_port, "any.mp4", b"x")
        done = self.check(drive, tmp_path, s3_port)
        assert f"ok   minio: bucket videos at 127.0.0.1:{s3_port}" in done.stdout, done.stdout + done.stderr

    def test_it_says_what_is_wrong_with_it(self, drive: Path, tmp_path: Path, s3_port: int) -> None:
        away = self.check(drive, tmp_path, 9)
        assert (away.returncode, "FAIL minio: MinIO at 127.0.0.1:9 does not answer" in away.stdout) == (1, True)
        (drive / "empty-one").mkdir(exist_ok=True)
        missing = self.check(drive, tmp_path, s3_port, PATHS__BUCKET_NAME="empty-one")
        assert "has no bucket empty-one" in missing.stdout
        keyless = self.check(drive, tmp_path, s3_port, MINIO__ACCESS_KEY="")
        assert keyless.returncode == 2 and "[minio]: endpoint needs access_key and secret_key_file" in keyless.stderr


@pytest.mark.parametrize("endpoint", ["http://minio:9000", "minio:9000/", "user@minio", "minio:port"])
def test_an_endpoint_is_host_and_port(endpoint: str) -> None:
    with pytest.raises(ValueError, match="is not HOST:PORT such as minio:9000"):
        MinioSection(endpoint=endpoint)
