"""A transcriber that answers immediately, in a process of its own, so that only the orchestrator's work is measured.

python -m bench.workers.instant_transcriber FILE [WINDOWS] writes one line per request into FILE: its savepath and the
monotonic second at which it arrived. With more than one window of two segments, they come one by one, as they do of a
long recording.
"""

import asyncio
import json
import logging
import sys
import time
from pathlib import Path
from typing import TextIO

from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets
from tornado.web import Application, RequestHandler

from reelscribe.contracts.events import NDJSON, event_line
from tests.orchestrator.scripted import WINDOW_SECONDS, finished, started, window

SLOTS = 1000
PAUSE_SECONDS = 0.02
"""Between two windows, so that each is written by itself."""


def answer(windows: int) -> list[bytes]:
    """The events: those of each window together."""
    seconds = windows * WINDOW_SECONDS
    parts = [
        [started(seconds)],
        *(window(number) for number in range(windows)),
        [finished(seconds, segments=2 * windows)],
    ]
    return [b"".join(map(event_line, part)) for part in parts]


class _Transcribe(RequestHandler):
    def initialize(self, arrivals: TextIO, parts: list[bytes]) -> None:
        self.arrivals, self.parts = arrivals, parts

    def prepare(self) -> None:
        arrived = time.monotonic()
        print(json.loads(self.request.body)["savepath"], arrived, file=self.arrivals, flush=True)

    async def post(self) -> None:
        self.set_header("Content-Type", NDJSON)
        if len(self.parts) == len(answer(1)):
            self.finish(b"".join(self.parts))
            return
        for part in self.parts:
            self.write(part)
            await self.flush()
            await asyncio.sleep(PAUSE_SECONDS)


class _Health(RequestHandler):
    def get(self) -> None:
        self.finish({"machine": "transcriber", "status": "ok", "model": "none", "capacity": SLOTS, "free": SLOTS})


async def main(file: Path, windows: int = 1) -> None:
    """Serve until the process is ended."""
    logging.getLogger("tornado.access").setLevel(logging.WARNING)
    with file.open("w") as arrivals:
        given = {"arrivals": arrivals, "parts": answer(windows)}
        server = HTTPServer(Application([("/transcribe", _Transcribe, given), ("/healthz", _Health)]))
        sockets = bind_sockets(0, "127.0.0.1")
        server.add_sockets(sockets)
        print(f"running on http://127.0.0.1:{sockets[0].getsockname()[1]}", file=sys.stderr, flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), *map(int, sys.argv[2:])))
