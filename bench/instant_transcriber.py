"""A transcriber that hears everything at once, in a process of its own: what is left is the work of the orchestrator.

python -m bench.instant_transcriber FILE writes a line into FILE for each request: its savepath and the monotonic second
it came.
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
PLACES = 1000


class _Transcribe(RequestHandler):
    def initialize(self, arrivals: TextIO) -> None:
        self.arrivals = arrivals

    def prepare(self) -> None:
        came = time.monotonic()
        print(json.loads(self.request.body)["savepath"], came, file=self.arrivals, flush=True)

    def post(self) -> None:
        self.set_header("Content-Type", NDJSON)
        self.finish(ANSWER)


class _Health(RequestHandler):
    def get(self) -> None:
        self.finish({"machine": "transcriber", "status": "ok", "model": "none", "capacity": PLACES, "free": PLACES})


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
