"""A way to PostgreSQL that can be cut, silenced, or robbed of one answer."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from urllib.parse import quote


class Proxy:
    """Passes bytes on to PostgreSQL until it falls silent, which keeps all connections open, or goes away.

    Args:
        host: or the folder of its socket.

    Attributes:
        lost: set once an answer was dropped.
    """

    def __init__(self, host: str, port: int, database: str) -> None:
        self._host, self._server_port = host, port
        self._database = database
        self._open = asyncio.Event()
        self._open.set()
        self._streams: list[asyncio.StreamWriter] = []
        self._fatal: bytes | None = None
        self.lost = asyncio.Event()
        self.url = ""

    @asynccontextmanager
    async def listening(self) -> AsyncIterator["Proxy"]:
        await self._listen(0)
        self.url = f"postgresql://postgres@127.0.0.1:{self._port}/{quote(self._database)}"
        try:
            yield self
        finally:
            self.go_away()

    def fall_silent(self) -> None:
        self._open.clear()

    def speak(self) -> None:
        self._open.set()

    def go_away(self) -> None:
        """Cut all connections, and refuse new ones."""
        self._server.close()
        for stream in self._streams:
            stream.close()

    async def come_back(self) -> None:
        await self._listen(self._port)

    async def _listen(self, port: int) -> None:
        self._server = await asyncio.start_server(self._relay, "127.0.0.1", port)
        self._port: int = self._server.sockets[0].getsockname()[1]

    def lose_answer_to_commit_after(self, words: bytes) -> None:
        """Cut the connection of the next transaction that says these words after its commit has arrived, before the
        answer.
        """
        self._fatal = words

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._host.startswith("/"):
            opening = asyncio.open_unix_connection(f"{self._host}/.s.PGSQL.{self._server_port}")
        else:
            opening = asyncio.open_connection(self._host, self._server_port)
        from_server, to_server = await opening
        self._streams += [writer, to_server]
        await asyncio.gather(self._requests(reader, to_server, writer), self._pass_on(from_server, writer))

    async def _requests(
        self, reader: asyncio.StreamReader, to_server: asyncio.StreamWriter, writer: asyncio.StreamWriter
    ) -> None:
        fatal = False
        with suppress(OSError):
            while data := await reader.read(1 << 16):
                await self._open.wait()
                fatal = fatal or bool(self._fatal and self._fatal in data)
                if fatal and b"COMMIT" in data:
                    self._fatal = None
                    writer.close()  # nothing is passed back any more
                    self.lost.set()
                to_server.write(data)
                await to_server.drain()
        to_server.close()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(1 << 16):
                await self._open.wait()
                writer.write(data)
                await writer.drain()
        writer.close()
