"""A real nginx before the services, with its default settings."""

import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

NGINX = Path(shutil.which("nginx") or "/usr/sbin/nginx")

_CONFIG = """
daemon off;
master_process off;
pid {folder}/pid;
error_log stderr;
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{
        listen 127.0.0.1:{port};
        proxy_http_version {version};
        {locations}
    }}
}}
"""


@contextmanager
def nginx(folder: Path, http_version: str, **services: str) -> Iterator[str]:
    """The URL of an nginx that passes ``URL/NAME/`` on to the service of that name.

    Args:
        folder: for its config and temporary files.
        http_version: in which it speaks with the services, ``1.0`` or ``1.1``.
        services: their URLs by name.
    """
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = taken.getsockname()[1]
    locations = "\n".join(f"location /{name}/ {{ proxy_pass {url}/; }}" for name, url in services.items())
    config = folder / "nginx.conf"
    config.write_text(_CONFIG.format(folder=folder, port=port, version=http_version, locations=locations))
    process = subprocess.Popen([NGINX, "-c", config, "-p", folder])
    try:
        _wait_until_it_listens(port, process)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)


def _wait_until_it_listens(port: int, process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + 30
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return
        except OSError:
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.05)
