"""A web server with recordings, pages and faults, for yt-dlp to download from."""

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Page:
    """What a path answers.

    Attributes:
        cut_after: bytes after which the connection is closed, for the next ``cuts`` downloads.
        stalls_after: bytes after which nothing comes until ``released`` is set.
        lengths: whether the answer has a length, and knows byte ranges.
        then: what the path answers once its first byte was asked for.
    """

    content: bytes = b""
    type: str = "video/mp4"
    etag: str | None = None
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    cut_after: int | None = None
    cuts: int = 0
    stalls_after: int | None = None
    released: threading.Event = field(default_factory=threading.Event)
    lengths: bool = True
    then: "Page | None" = None


class Web:
    """Pages by path; ``asked`` counts the requests, ``ranges`` has what was asked of each."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.pages: dict[str, Page] = {}
        self.asked: Counter[str] = Counter()
        self.ranges: list[tuple[str, str | None]] = []

    def url(self, path: str, host: str = "127.0.0.1") -> str:
        return f"http://{host}:{self.port}/{path}"

    def video(self, path: str, content: bytes, **options: Any) -> str:
        """Serve a recording; its address."""
        self.pages[path] = Page(content, **options)
        return self.url(path)

    def page(self, path: str, *videos: str) -> str:
        tags = "".join(f'<video src="{video}"></video>' for video in videos)
        html = f"<html><head><title>A page / ../of videos</title></head><body>{tags}</body></html>"
        self.pages[path] = Page(html.encode(), "text/html")
        return self.url(path)

    def feed(self, path: str, *links: str) -> str:
        items = "".join(f"<item><title>One</title><link>{link}</link></item>" for link in links)
        xml = f'<?xml version="1.0"?><rss version="2.0"><channel><title>Feed</title>{items}</channel></rss>'
        self.pages[path] = Page(xml.encode(), "application/rss+xml")
        return self.url(path)

    def xspf(self, path: str, *videos: str) -> str:
        """A list that holds the recordings themselves, and no links to pages."""
        tracks = "".join(f"<track><location>{video}</location></track>" for video in videos)
        xml = f'<?xml version="1.0"?><playlist xmlns="http://xspf.org/ns/0/"><trackList>{tracks}</trackList></playlist>'
        self.pages[path] = Page(xml.encode(), "application/xspf+xml")
        return self.url(path)

    def downloads(self, path: str) -> list[str | None]:
        """The byte ranges of the downloads of a file, without the looks at its beginning."""
        return [range for name, range in self.ranges if name == path and range != "bytes=0-0"]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    web: Web

    def do_GET(self) -> None:
        path, wanted = self.path.lstrip("/").partition("?")[0], self.headers.get("Range")
        self.web.asked[path] += 1
        self.web.ranges.append((path, wanted))
        page = self.web.pages.get(path, Page(status=404))
        if page.then and wanted == "bytes=0-0":
            self.web.pages[path] = page.then
        first, last = 0, len(page.content) - 1
        if wanted and page.lengths and page.status == 200:
            begin, _, end = wanted.removeprefix("bytes=").partition("-")
            first, last = int(begin), min(int(end), last) if end else last
        partial = bool(wanted) and page.lengths and page.status == 200
        if partial and first > last:
            self._begin(416, {"Content-Range": f"bytes */{len(page.content)}", "Content-Length": "0"})
            return
        headers = {"Content-Type": page.type, **page.headers}
        if page.etag:
            headers["ETag"] = page.etag
        if partial:
            headers["Content-Range"] = f"bytes {first}-{last}/{len(page.content)}"
        content = page.content[first : last + 1]
        if page.lengths:
            headers["Content-Length"] = str(len(content))
        else:
            headers["Connection"] = "close"
        self._begin(206 if partial else page.status, headers)
        self._send(page, content, looks=wanted == "bytes=0-0")

    def _begin(self, status: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def _send(self, page: Page, content: bytes, looks: bool) -> None:
        try:
            if page.stalls_after is not None and not looks and len(content) > page.stalls_after:
                self.wfile.write(content[: page.stalls_after])
                self.wfile.flush()
                page.released.wait(60)
                content = content[page.stalls_after :]
            if page.cut_after is not None and page.cuts and not looks and len(content) > page.cut_after:
                page.cuts -= 1
                self.wfile.write(content[: page.cut_after])
                self.close_connection = True
                return
            self.wfile.write(content)
        except OSError:
            self.close_connection = True  # the client has left

    def log_message(self, format: str, *arguments: Any) -> None:
        pass


@contextmanager
def serving() -> Iterator[Web]:
    """The server, on all of this host's own addresses."""
    handler = type("Handler", (_Handler,), {})
    with ThreadingHTTPServer(("0.0.0.0", 0), handler) as server:
        server.daemon_threads = True
        # the client has left
        server.handle_error = lambda request, address: None  # type: ignore[assignment, method-assign]
        handler.web = web = Web(server.server_address[1])  # type: ignore[attr-defined]
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        yield web
        for page in web.pages.values():
            page.released.set()
        server.shutdown()
        thread.join()
