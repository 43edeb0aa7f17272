#!/usr/bin/env bash
# yt-dlp 2026.10.26 resumes a download without If-Range: if the file has changed on the server meanwhile, with another ETag,
# the beginning of the old version and the end of the new one are joined, without a warning and with exit code 0. The length
# of the new version alone decides. Seen: "exit 0, 60000 bytes, old 0 to 39999, new from 40000".
set -euo pipefail
cd "$(mktemp -d)"
python3 -m venv env
env/bin/pip install --quiet yt-dlp==2026.10.26
cat >server.py <<'PYTHON'
import http.server
import sys
from pathlib import Path


class Handler(http.server.BaseHTTPRequestHandler):
    """Serves 60,000 bytes of the version that the file "version" names, with its ETag."""

    def do_GET(self):
        version = Path("version").read_text().strip()
        content, wanted = version.encode() * 60_000, self.headers.get("Range")
        first = int(wanted.removeprefix("bytes=").partition("-")[0]) if wanted else 0
        self.send_response(206 if wanted else 200)
        self.send_header("Content-Type", "video/mp4")
        self.send_header("ETag", f'"{version}"')
        self.send_header("Content-Length", str(60_000 - first))
        if wanted:
            self.send_header("Content-Range", f"bytes {first}-59999/60000")
        self.end_headers()
        self.wfile.write(content[first:])

    def log_message(self, *arguments):
        Path("headers").open("a").write(str(self.headers))


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
Path("port").write_text(str(server.server_address[1]))
server.serve_forever()
PYTHON
echo O >version
python3 server.py &
trap 'kill $!' EXIT
until [ -s port ]; do sleep 0.1; done
head -c 40000 /dev/zero | tr '\0' O >talk.mp4.part # as an interrupted download of the old version leaves it
echo N >version
status=0
env/bin/yt-dlp --ignore-config --quiet -o talk.mp4 -- "http://127.0.0.1:$(cat port)/talk.mp4" || status=$?
old=$(tr -cd O <talk.mp4 | wc -c)
echo "exit $status, $(wc -c <talk.mp4) bytes, old 0 to $((old - 1)), new from $old"
if grep -qi '^If-Range' headers; then exit 1; fi
[ "$status" = 0 ] && [ "$old" = 40000 ] && [ "$(wc -c <talk.mp4)" = 60000 ]
