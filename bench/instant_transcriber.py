"""A transcriber that answers immediately, in a process of its own, so that only the orchestrator's work is measured.

python -m bench.instant_transcriber FILE writes one line per request into FILE: its savepath and the monotonic second at
which it arrived.
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

ANSWER = b"".join(
    event_line(event) for event in (started(WINDOW_SECONDS), *window(0), finished(WINDOW_SECONDS, segments=2))
)
SLOTS = 1000


class _Transcribe(RequestHandler):
    def initialize(self, arrivals: TextIO) -> None:
        self.arrivals = arrivals

    def prepare(self) -> None:
        arrived = time.monotonic()
        print(json.loads(self.request.body)["savepath"], arrived, file=self.arrivals, flush=True)

    def post(self) -> None:
        self.set_header("Content-Type", NDJSON)
        self.finish(ANSWER)


class _Health(RequestHandler):
    def get(self) -> None:
        self.finish({"machine": "transcriber", "status": "ok", "model": "none", "capacity": SLOTS, "free": SLOTS})


async def main(file: Path) -> None:
    """Serve until the process is ended."""
    logging.getLogger("tornado.access").setLevel(logging.WARNING)
    with file.open("w") as arrivals:
        server = HTTPServer(Application([("/transcribe", _Transcribe, {"arrivals": arrivals}), ("/healthz", _Health)]))
        sockets = bind_sockets(0, "127.0.0.1")
        server.add_sockets(sockets)
        print(f"running on http://127.0.0.1:{sockets[0].getsockname()[1]}", file=sys.stderr, flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
