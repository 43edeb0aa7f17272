"""An object that only MinIO can read, as one seekable input for ffmpeg, fetched by ranges while it is decoded."""

import asyncio
import os
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import Self

import httpx

from extractor_api.minio.relay import PROTOCOLS, Write, relay
from extractor_api.minio.s3_client import READ_SECONDS, RETRIES, S3Client
from reelscribe.errors import PeerUnreachable, ServiceError, StreamCut
from reelscribe.media.stored_object import StoredObject
from reelscribe.minio_client import CONNECT_SECONDS

RETRY_SECONDS = 0.3
WINDOW_BYTES = 1 << 16
"""Fetched at least, when we read for ourselves: box headers are close together."""

_TIMEOUT = httpx.Timeout(READ_SECONDS, connect=CONNECT_SECONDS)


@asynccontextmanager
async def open_s3_object(client: S3Client, bucket_name: str, savepath: str) -> AsyncIterator[StoredObject]:
    """Open an object through MinIO's S3 API until the block ends.

    Raises:
        ObjectNotFound, NotReadable, PeerUnreachable, PeerRefused: see :meth:`S3Client.stat`.
    """
    found = await asyncio.to_thread(client.stat, bucket_name, savepath)
    async with _S3Object(client, bucket_name, savepath, found.size, found.etag) as remote, relay(remote) as url:
        listing = os.memfd_create("reelscribe", os.MFD_CLOEXEC)
        try:
            os.write(listing, f"{url}\n".encode())
            yield StoredObject(
                bucket_name=bucket_name,
                savepath=savepath,
                origin=str(client),
                size=found.size,
                last_modified=found.last_modified,
                etag=found.etag,
                url=f"concatf:/proc/self/fd/{listing}",
                protocols=PROTOCOLS,
                descriptors=(listing,),
                read=remote.read,
                fetch=remote.content,
                read_failure=lambda: remote.failure,
            )
        finally:
            os.close(listing)


class _S3Object:
    """Its bytes as they were when it was opened; once it has been replaced, reads fail."""

    def __init__(self, client: S3Client, bucket_name: str, savepath: str, size: int, etag: str) -> None:
        self.size = size
        self.failure: ServiceError | None = None
        self._client = client
        self._bucket_name, self._savepath = bucket_name, savepath
        self._headers = {"If-Match": f'"{etag}"', "Accept-Encoding": "identity"}
        # A proxy of the environment would see the links, and is not meant for storage that is close by.
        self._http = httpx.AsyncClient(verify=client.tls, timeout=_TIMEOUT, trust_env=False)
        self._window_start, self._window = 0, b""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._http.aclose()

    async def copy(self, start: int, end: int, write: Write) -> None:
        """Write the content from ``start`` up to ``end``.

        Raises:
            PeerUnreachable, StreamCut, NotReadable: see :meth:`content`.
        """
        async with aclosing(self.content(start, end)) as chunks:
            async for chunk in chunks:
                await write(chunk)

    async def content(self, start: int, end: int) -> AsyncGenerator[bytes, None]:
        """The content from ``start`` up to ``end``; after a broken connection, it continues from there.

        Raises:
            PeerUnreachable: the connection broke again and again.
            StreamCut: the object was replaced or deleted meanwhile.
            NotReadable: MinIO no longer gives it out.
        """
        fruitless = 0
        while start < end:
            link, headers = self._request(start, end)
            try:
                async with self._http.stream("GET", link, headers=headers) as response:
                    self._check(response.status_code)
                    async for chunk in response.aiter_raw():
                        fruitless = 0
                        start += len(chunk)
                        yield chunk
            except (httpx.TransportError, PeerUnreachable) as broken:
                if fruitless == RETRIES:
                    raise self._away() from broken
                fruitless += 1
                await asyncio.sleep(RETRY_SECONDS * fruitless)

    def read(self, offset: int, length: int) -> bytes:
        """Content from ``offset`` on, at most ``length`` bytes. Blocks.

        Raises:
            PeerUnreachable, StreamCut, NotReadable: see :meth:`content`.
        """
        end = min(self.size, offset + length)
        if offset >= end:
            return b""
        if not self._window_start <= offset <= end <= self._window_start + len(self._window):
            self._window = self._fetch(offset, min(self.size, max(end, offset + WINDOW_BYTES)))
            self._window_start = offset
        return self._window[offset - self._window_start : end - self._window_start]

    def _fetch(self, start: int, end: int) -> bytes:
        link, headers = self._request(start, end)
        try:
            with httpx.Client(verify=self._client.tls, timeout=_TIMEOUT, trust_env=False) as http:
                response = http.get(link, headers=headers)
        except httpx.TransportError as broken:
            raise self._away() from broken
        self._check(response.status_code)
        return response.content

    def _request(self, start: int, end: int) -> tuple[str, dict[str, str]]:
        link = self._client.link(self._bucket_name, self._savepath)
        return link, {**self._headers, "Range": f"bytes={start}-{end - 1}"}

    def _check(self, status: int) -> None:
        if status in (404, 412):
            raise StreamCut(f"{self._savepath} was replaced or deleted while it was read; try again")
        if status != 206:
            raise self._client.failure(status, self._savepath)

    def _away(self) -> PeerUnreachable:
        return PeerUnreachable(f"{self._client} broke off while {self._savepath} was read; try again")
