"""The simplest server, for comparison: it reads all of ffmpeg's output into memory, then sends it in chunks."""

import asyncio
import json
import sys
from asyncio.subprocess import DEVNULL, PIPE
from pathlib import Path

from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets
from tornado.web import Application, RequestHandler

CHUNK_BYTES = 1 << 16


class Obvious(RequestHandler):
    """``POST /extract-audio`` with ffmpeg's own arguments in the body."""

    def initialize(self, bucket: Path) -> None:
        self.bucket = bucket

    async def post(self) -> None:
        body = json.loads(self.request.body)
        process = await asyncio.create_subprocess_exec(
            *("ffmpeg", "-v", "error", "-nostdin", "-i", self.bucket / body["savepath"], "-vn"),
            *(*body["arguments"], "pipe:1"),
            stdin=DEVNULL,
            stdout=PIPE,
        )
        audio, _ = await process.communicate()
        for start in range(0, len(audio), CHUNK_BYTES):
            self.write(audio[start : start + CHUNK_BYTES])
            await self.flush()


async def serve(bucket: Path) -> None:
    """Listen on a free port until the process is ended."""
    server = HTTPServer(Application([("/extract-audio", Obvious, {"bucket": bucket})]))
    sockets = bind_sockets(0, "127.0.0.1")
    server.add_sockets(sockets)
    print(f"running on http://127.0.0.1:{sockets[0].getsockname()[1]}", file=sys.stderr, flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1])))
