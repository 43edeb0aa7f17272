"""A real S3 server (moto's), connections to it that break, and servers that are not S3."""

import asyncio
import io
import re
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any

from minio import Minio

from reelscribe.settings.shared import MinioSection

SECRET = "s3cr3t-0123456789-that-no-one-may-see"


@contextmanager
def s3_server(console: Path) -> Iterator[int]:
    """Moto's S3 server as a process of its own, with its output in ``console``; yields its port."""
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", "0"]
    with console.open("wb") as stderr, subprocess.Popen(command, stderr=stderr, stdout=subprocess.DEVNULL) as server:
        try:
            deadline = time.monotonic() + 60
            while not (address := re.search(r"http://127\.0\.0\.1:(\d+)", console.read_text())):
                assert server.poll() is None and time.monotonic() < deadline, console.read_text()
                time.sleep(0.05)
            yield int(address[1])
        finally:
            server.kill()


def client_of(port: int, bucket: str) -> Minio:
    """A client of the server, which has this bucket then."""
    client = Minio(f"127.0.0.1:{port}", "reader", SECRET, secure=False)
    if not client.bucket_exists(bucket_name=bucket):
        client.make_bucket(bucket_name=bucket)
    return client


def emptied(port: int, bucket: str) -> Minio:
    """A client of the server, whose bucket is empty."""
    client = client_of(port, bucket)
    for found in client.list_objects(bucket_name=bucket, recursive=True):
        client.remove_object(bucket_name=bucket, object_name=str(found.object_name))
    return client


def put(port: int, savepath: str, content: bytes) -> str:
    client = client_of(port, "videos")
    etag = client.put_object(
        bucket_name="videos", object_name=savepath, data=io.BytesIO(content), length=len(content)
    ).etag
    assert etag
    return etag


def minio(tmp_path: Path, port: int, secret: str = SECRET, **changed: Any) -> MinioSection:
    (tmp_path / "secret").write_text(f"{secret}\n")
    keys = {"access_key": "reader", "secret_key_file": tmp_path / "secret", "secure": False, **changed}
    return MinioSection(endpoint=f"127.0.0.1:{port}", **keys)


class Door:
    """Connections to the S3 server that a test can cut and lock."""

    cut_after: int | None = None
    locked = False
    opened = 0

    def __init__(self, port: int) -> None:
        self._port = port
        self._copying = set[asyncio.Task[None]]()
        self._connections = set[asyncio.Task[Any] | None]()

    async def passing(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.opened += 1
        self._connections.add(asyncio.current_task())
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._port)
        there = asyncio.create_task(self._copy(reader, far_writer))
        back = asyncio.create_task(self._copy(far_reader, writer, self.cut_after))
        self._copying |= {there, back}
        await asyncio.wait((there, back), return_when=asyncio.FIRST_COMPLETED)
        for end in (writer, far_writer):
            end.transport.abort()
        await asyncio.gather(there, back, writer.wait_closed(), far_writer.wait_closed(), return_exceptions=True)

    async def _copy(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, limit: int | None = None) -> None:
        passed = 0
        with suppress(OSError):
            while not self.locked and (limit is None or passed < limit) and (chunk := await reader.read(1 << 16)):
                writer.write(chunk)
                passed += len(chunk)
                await writer.drain()

    async def close(self) -> None:
        for copying in self._copying:
            copying.cancel()
        await asyncio.gather(*filter(None, self._connections))


@asynccontextmanager
async def door(port: int, tls: ssl.SSLContext | None = None) -> AsyncIterator[tuple[Door, int]]:
    way = Door(port)
    server = await asyncio.start_server(way.passing, "127.0.0.1", 0, ssl=tls)
    yield way, server.sockets[0].getsockname()[1]
    server.close()
    await way.close()


@contextmanager
def http_server(answer: bytes) -> Iterator[int]:
    """Gives the same answer to everything."""

    def serve() -> None:
        with suppress(OSError):
            while True:
                connection, _ = listener.accept()
                with connection:
                    connection.recv(1 << 16)
                    connection.sendall(answer)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()
