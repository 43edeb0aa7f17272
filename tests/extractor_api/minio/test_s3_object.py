"""Objects that only MinIO can read, fetched from a real S3 server (moto's), decoded by real ffmpegs."""

import asyncio
import logging
import os
import re
import ssl
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import httpx
import pytest

from extractor_api.minio.s3_client import S3Client
from extractor_api.minio.s3_object import open_s3_object
from reelscribe.errors import StreamCut
from reelscribe.media.ffmpeg import FFmpeg
from tests.conftest import SPEECH
from tests.extractor_api.conftest import Serve, running_ffmpeg
from tests.extractor_api.minio_drive import Version, format_drive, write_object
from tests.s3_server import SECRET, door, minio, put

CLOSE = {"Connection": "close"}
WAV = {"audio_format": "wav", "sample_rate": 16000, "channels": 1}
SEALED = {"X-Minio-Internal-Server-Side-Encryption-S3-Sealed-Key": b"sealed"}
ONLY_THROUGH_MINIO = {
    "spread": Version([b"fragment"], fields={"EcM": 2, "EcN": 2, "EcDist": [1, 2, 3, 4]}),
    "encrypted": Version([b"secret"], system=SEALED),
    "compressed": Version([b"short"], system={"X-Minio-Internal-compression": b"klauspost/compress/s2"}),
    "tiered": Version([b""], system={"X-Minio-Internal-transition-status": b"complete"}),
}

Open = Callable[..., Awaitable[httpx.AsyncClient]]


@pytest.fixture(scope="module")
def recordings(bucket: Path, tmp_path_factory: pytest.TempPathFactory, make_video: Callable[..., Path]) -> Path:
    """The same recordings as plain files, to compare with."""
    folder = tmp_path_factory.mktemp("plain") / "videos"
    make_video(folder / "talks/end.mp4", "minute.flac", "-movflags", "0")
    make_video(folder / "ünï code+&.mp4")
    for name in ("minute.mp4", "short.mkv", "half.mp4", "long.mp4", "mute.mp4"):
        (folder / name).write_bytes((bucket / name).read_bytes())
    assert (folder / "talks/end.mp4").read_bytes().index(b"mdat") < 100
    return folder


@pytest.fixture(scope="module")
def drive(recordings: Path, s3_port: int, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The drive of a MinIO that spreads its objects over four: not one of them can be read from it."""
    data_path = tmp_path_factory.mktemp("drive")
    format_drive(data_path, "xl", drives=4)
    for path in recordings.rglob("*.m*"):
        savepath = str(path.relative_to(recordings))
        put(s3_port, savepath, path.read_bytes())
        write_object(data_path / "videos", savepath, [ONLY_THROUGH_MINIO["spread"]])
    return data_path


@pytest.fixture(scope="module")
def huge(drive: Path, s3_port: int, run_ffmpeg: Callable[..., None], tmp_path_factory: pytest.TempPathFactory) -> str:
    """More than the sockets on its way hold."""
    path = tmp_path_factory.mktemp("huge") / "huge.wav"
    run_ffmpeg("-i", SPEECH / "ten_minutes.ogg", "-t", "200", "-ar", "48000", "-ac", "2", path)
    put(s3_port, path.name, path.read_bytes())
    return path.name


@pytest.fixture
async def remote(serve: Serve, drive: Path, s3_port: int, tmp_path: Path) -> httpx.AsyncClient:
    """An extractor next to that drive, which may ask MinIO."""
    return await serve(data_path=drive, minio=minio(tmp_path, s3_port))


class TestWhatComesOut:
    @pytest.mark.parametrize("part", [{}, {"start": 40.0}, {"start": 20.0, "duration": 5.0}])
    @pytest.mark.parametrize("savepath", ["minute.mp4", "talks/end.mp4", "short.mkv", "ünï code+&.mp4"])
    async def test_it_is_the_audio_of_the_same_plain_file(
        self, serve: Serve, drive: Path, recordings: Path, each_ffmpeg: FFmpeg,
        savepath: str, part: dict[str, float], s3_port: int, tmp_path: Path,
    ) -> None:  # fmt: skip
        if savepath in ("short.mkv", "ünï code+&.mp4"):
            part = {key: value / 10 for key, value in part.items()}
        local = await serve(ffmpeg=each_ffmpeg, data_path=recordings.parent)
        remote = await serve(ffmpeg=each_ffmpeg, data_path=drive, minio=minio(tmp_path, s3_port))
        body = {"savepath": savepath, **WAV, **part}
        from_drive, from_minio = [
            await client.post("/extract-audio", json=body, headers=CLOSE) for client in (local, remote)
        ]
        assert from_minio.status_code == from_drive.status_code == 200, from_minio.text
        assert from_minio.content == from_drive.content
        assert len(from_minio.content) > 10_000

    async def test_the_receipt_holds_minios_etag(
        self, remote: httpx.AsyncClient, recordings: Path, s3_port: int
    ) -> None:
        etag = put(s3_port, "minute.mp4", (recordings / "minute.mp4").read_bytes())
        response = await remote.post("/extract-audio", json={"savepath": "minute.mp4", **WAV})
        receipt = (await remote.get(f"/extractions/{response.headers['X-Extraction-Id']}")).json()
        assert (receipt["state"], receipt["etag"]) == ("complete", etag)

    async def test_probe_says_the_same_as_of_the_plain_file(
        self, serve: Serve, recordings: Path, each_ffmpeg: FFmpeg, drive: Path, s3_port: int, tmp_path: Path
    ) -> None:
        local = await serve(ffmpeg=each_ffmpeg, data_path=recordings.parent)
        remote = await serve(ffmpeg=each_ffmpeg, data_path=drive, minio=minio(tmp_path, s3_port))
        query = {"savepath": "talks/end.mp4"}
        probed = [(await client.get("/probe", params=query, headers=CLOSE)).json() for client in (local, remote)]
        assert probed[1].pop("etag") != probed[0].pop("etag")
        assert all(each.pop("last_modified") for each in probed)
        assert probed[0] == probed[1] and probed[1]["duration"] == pytest.approx(60, abs=0.1)

    async def test_a_finished_file_can_be_had(self, remote: httpx.AsyncClient) -> None:
        body = {"savepath": "talks/end.mp4", "delivery": "file", **WAV}
        response = await remote.post("/extract-audio", json=body)
        assert int(response.headers["Content-Length"]) == len(response.content) == pytest.approx(60 * 32000, rel=0.01)

    async def test_a_cut_object_is_a_cut_stream(self, remote: httpx.AsyncClient, each_ffmpeg: FFmpeg) -> None:
        with pytest.raises(httpx.RemoteProtocolError):
            await remote.post("/extract-audio", json={"savepath": "half.mp4", **WAV})

    async def test_an_object_without_sound_is_refused(self, remote: httpx.AsyncClient) -> None:
        response = await remote.post("/extract-audio", json={"savepath": "mute.mp4"})
        assert response.json()["error"]["code"] == "no_audio_track"

    async def test_an_empty_object_is_not_decodable(
        self, remote: httpx.AsyncClient, drive: Path, s3_port: int, each_ffmpeg: FFmpeg
    ) -> None:
        put(s3_port, "empty.mp4", b"")
        response = await remote.post("/extract-audio", json={"savepath": "empty.mp4"})
        assert response.json()["error"]["code"] == "not_decodable"


class TestSource:
    @pytest.mark.parametrize("kind", list(ONLY_THROUGH_MINIO))
    async def test_what_the_drive_cannot_give_comes_from_minio(
        self, serve: Serve, recordings: Path, s3_port: int, tmp_path: Path, kind: str
    ) -> None:
        format_drive(tmp_path)
        write_object(tmp_path / "videos", "minute.mp4", [ONLY_THROUGH_MINIO[kind]])
        client = await serve(data_path=tmp_path, minio=minio(tmp_path, s3_port))
        response = await client.get("/probe", params={"savepath": "minute.mp4"})
        assert response.json()["size"] == (recordings / "minute.mp4").stat().st_size

    @pytest.mark.parametrize("kind", list(ONLY_THROUGH_MINIO))
    async def test_without_minio_the_answer_names_the_setting(self, serve: Serve, tmp_path: Path, kind: str) -> None:
        format_drive(tmp_path)
        write_object(tmp_path / "videos", "minute.mp4", [ONLY_THROUGH_MINIO[kind]])
        client = await serve(data_path=tmp_path)
        response = await client.post("/extract-audio", json={"savepath": "minute.mp4"})
        assert (response.status_code, response.json()["error"]["code"]) == (422, "not_readable")
        assert "set [minio] endpoint, access_key and secret_key_file" in response.json()["error"]["message"]

    async def test_what_the_drive_can_give_does_not(self, serve: Serve, bucket: Path, tmp_path: Path) -> None:
        client = await serve(data_path=bucket.parent, minio=minio(tmp_path, 9))
        assert (await client.get("/probe", params={"savepath": "short.mp4"})).status_code == 200

    async def test_a_link_out_of_the_bucket_is_not_followed_that_way_either(
        self, serve: Serve, recordings: Path, s3_port: int, tmp_path: Path, drive: Path
    ) -> None:
        (tmp_path / "videos").mkdir()
        (tmp_path / "videos/minute.mp4").symlink_to(recordings / "minute.mp4")
        client = await serve(data_path=tmp_path, minio=minio(tmp_path, s3_port))
        response = await client.get("/probe", params={"savepath": "minute.mp4"})
        assert response.json()["error"]["message"].endswith("it is not followed")

    async def test_a_key_that_minio_does_not_have_is_404(self, remote: httpx.AsyncClient) -> None:
        response = await remote.post("/extract-audio", json={"savepath": "nothing/here.mp4"})
        assert (response.status_code, response.json()["error"]["code"]) == (404, "object_not_found")


class TestFaults:
    async def test_a_minio_that_is_away_is_502(self, serve: Serve, drive: Path, tmp_path: Path) -> None:
        client = await serve(data_path=drive, minio=minio(tmp_path, 9))
        response = await client.post("/extract-audio", json={"savepath": "minute.mp4"})
        assert (response.status_code, response.json()["error"]["code"]) == (502, "peer_unreachable")
        assert response.json()["error"]["retryable"]

    async def test_after_a_broken_connection_reading_continues_from_there(
        self, serve: Serve, drive: Path, s3_port: int, tmp_path: Path, remote: httpx.AsyncClient
    ) -> None:
        body = {"savepath": "long.mp4", **WAV}
        expected = await remote.post("/extract-audio", json=body, headers=CLOSE)
        async with door(s3_port) as (way, port):
            way.cut_after = 1_500_000
            client = await serve(data_path=drive, minio=minio(tmp_path, port))
            assert (await client.post("/extract-audio", json=body)).content == expected.content
            assert way.opened > 4

    async def test_a_minio_that_goes_away_cuts_the_stream_and_is_named_as_the_cause(
        self, serve: Serve, drive: Path, huge: str, s3_port: int, tmp_path: Path, each_ffmpeg: FFmpeg
    ) -> None:
        body = {"savepath": huge, "audio_format": "wav"}
        async with door(s3_port) as (way, port):
            client = await serve(ffmpeg=each_ffmpeg, data_path=drive, minio=minio(tmp_path, port))
            async with client.stream("POST", "/extract-audio", json=body) as response:
                chunks = response.aiter_bytes()
                await anext(chunks)
                way.locked = True
                with pytest.raises(httpx.RemoteProtocolError):
                    async for _ in chunks:
                        pass
            receipt = (await client.get(f"/extractions/{response.headers['X-Extraction-Id']}")).json()
            assert (receipt["state"], receipt["error"]["code"]) == ("failed", "peer_unreachable")
            assert receipt["error"]["retryable"], "the stored file is not the one to replace"

    async def test_an_object_that_is_replaced_meanwhile_is_not_mixed_with_the_new_one(
        self, s3_port: int, tmp_path: Path
    ) -> None:
        put(s3_port, "changing.mp4", b"old" * 100_000)
        client = S3Client(minio(tmp_path, s3_port))
        async with open_s3_object(client, "videos", "changing.mp4") as stored:
            assert await asyncio.to_thread(stored.read, 0, 3) == b"old"
            put(s3_port, "changing.mp4", b"new" * 100_000)
            with pytest.raises(StreamCut, match="replaced"):
                await asyncio.to_thread(stored.read, 200_000, 3)

    @pytest.fixture
    def guarded_port(self, s3_port: int) -> Iterator[int]:
        """Moto checks signatures only if that is switched on."""
        httpx.post(f"http://127.0.0.1:{s3_port}/moto-api/reset-auth", content=b"0").raise_for_status()
        yield s3_port
        httpx.post(f"http://127.0.0.1:{s3_port}/moto-api/reset-auth", content=b"inf").raise_for_status()

    async def test_keys_that_minio_does_not_know_are_named_as_the_reason(
        self, serve: Serve, drive: Path, guarded_port: int, tmp_path: Path
    ) -> None:
        client = await serve(data_path=drive, minio=minio(tmp_path, guarded_port))
        response = await client.post("/extract-audio", json={"savepath": "minute.mp4"})
        assert (response.status_code, response.json()["error"]["code"]) == (502, "peer_refused")
        assert "correct [minio] access_key and secret_key_file" in response.json()["error"]["message"]


class TestWhatStaysHidden:
    async def test_no_key_no_signature_and_no_link_is_in_ffmpegs_arguments_or_environment(
        self, serve: Serve, drive: Path, huge: str, s3_port: int, tmp_path: Path, each_ffmpeg: FFmpeg,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:  # fmt: skip
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
        client = await serve(ffmpeg=each_ffmpeg, data_path=drive, minio=minio(tmp_path, s3_port))
        async with client.stream("POST", "/extract-audio", json={"savepath": huge, "audio_format": "wav"}) as response:
            await anext(response.aiter_bytes())
            (ffmpeg,) = [child for child in running_ffmpeg() if "-i" in child.cmdline()][-1:]
            seen = " ".join([*ffmpeg.cmdline(), *ffmpeg.environ(), *ffmpeg.environ().values()])
        assert re.search(r"-i concatf:/proc/self/fd/\d+ ", seen)
        for hidden in (SECRET, "reader", "Signature", "X-Amz", "http://", "127.0.0.1", str(s3_port)):
            assert hidden not in seen

    @pytest.mark.parametrize("savepath", ["minute.mp4", "half.mp4", "nothing.mp4", "mute.mp4"])
    async def test_nor_in_the_log_or_an_answer(
        self, remote: httpx.AsyncClient, savepath: str, caplog: pytest.LogCaptureFixture, each_ffmpeg: FFmpeg
    ) -> None:
        for chatty in ("httpx", "httpcore"):  # as reelscribe.logs has it
            caplog.set_level(logging.WARNING, chatty)
        caplog.set_level(logging.DEBUG)
        body = b""
        try:
            async with remote.stream("POST", "/extract-audio", json={"savepath": savepath, **WAV}) as response:
                async for chunk in response.aiter_bytes():
                    body += chunk
        except httpx.RemoteProtocolError:
            pass
        seen = body.decode(errors="replace") + str(response.headers) + caplog.text
        assert savepath in seen
        for hidden in (SECRET, "Signature", "X-Amz"):
            assert hidden not in seen

    async def test_the_relay_serves_one_path_as_long_as_the_object_is_open(self, s3_port: int, tmp_path: Path) -> None:
        put(s3_port, "relayed.mp4", b"0123456789")
        async with open_s3_object(S3Client(minio(tmp_path, s3_port)), "videos", "relayed.mp4") as stored:
            url = Path(f"/proc/self/fd/{stored.descriptors[0]}").read_text().strip()
            async with httpx.AsyncClient() as client:
                assert (await client.get(url)).content == b"0123456789"
                part = await client.get(url, headers={"Range": "bytes=3-5"})
                assert (part.status_code, part.content) == (206, b"345")
                assert part.headers["Content-Range"] == "bytes 3-5/10"
                assert (await client.get(url, headers={"Range": "bytes=10-"})).status_code == 416
                for other in (url[:-1], url + "x", httpx.URL(url).join("/")):
                    assert (await client.get(other)).status_code == 404
        with pytest.raises(httpx.ConnectError):
            httpx.get(url)

    async def test_an_object_leaves_no_descriptor_behind(self, s3_port: int, tmp_path: Path) -> None:
        put(s3_port, "relayed.mp4", b"0123456789")
        client = S3Client(minio(tmp_path, s3_port))
        counts = []
        for _ in range(3):
            async with open_s3_object(client, "videos", "relayed.mp4") as stored:
                assert await asyncio.to_thread(stored.read, 8, 10) == b"89"
            counts.append(len(os.listdir("/proc/self/fd")))
        assert counts[1] == counts[2]


class TestTls:
    @pytest.fixture
    def certificate(self, tmp_path: Path) -> Path:
        path = tmp_path / "cert.pem"
        command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
        subject = ["-subj", "/CN=minio", "-addext", "subjectAltName=IP:127.0.0.1", "-days", "2"]
        subprocess.run([*command, *subject, "-keyout", path, "-out", tmp_path / "public.pem"], check=True, stderr=-3)
        with path.open("a") as both:
            both.write((tmp_path / "public.pem").read_text())
        return path

    @pytest.fixture
    async def tls_port(self, certificate: Path, s3_port: int) -> AsyncIterator[int]:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(certificate)
        async with door(s3_port, context) as (_, port):
            yield port

    async def test_a_trusted_certificate_serves_each_ffmpeg(
        self, serve: Serve, drive: Path, certificate: Path, tls_port: int, tmp_path: Path, each_ffmpeg: FFmpeg,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:  # fmt: skip
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "public.pem"))
        monkeypatch.setattr("reelscribe.trust._contexts", {})  # a process reads the system's store once
        client = await serve(ffmpeg=each_ffmpeg, data_path=drive, minio=minio(tmp_path, tls_port, secure=True))
        response = await client.post("/extract-audio", json={"savepath": "talks/end.mp4", **WAV})
        assert (response.status_code, len(response.content)) == (200, pytest.approx(60 * 32000, rel=0.01))

    async def test_an_unknown_certificate_is_refused(
        self, serve: Serve, drive: Path, tls_port: int, tmp_path: Path
    ) -> None:
        client = await serve(data_path=drive, minio=minio(tmp_path, tls_port, secure=True))
        response = await client.post("/extract-audio", json={"savepath": "minute.mp4"})
        assert (response.status_code, response.json()["error"]["code"]) == (502, "peer_unreachable")
        assert "certificate verify failed" in response.json()["error"]["message"]
