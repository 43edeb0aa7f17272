"""A connection to a service that can be cut and joined again, as that of a reader on a train."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import Thread


class Relay:
    """Passes bytes on in both directions, while it is joined."""

    def __init__(self, port: int) -> None:
        self._target = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._sockets: set[socket.socket] = set()
        self._joined = True
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def cut(self) -> None:
        """End all connections, and refuse new ones."""
        self._joined = False
        for one in list(self._sockets):
            _close(one)

    def join(self) -> None:
        """Take connections again."""
        self._joined = True

    def run(self) -> None:
        """Take connections until it is closed."""
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            if not self._joined:
                client.close()
                continue
            service = socket.create_connection(("127.0.0.1", self._target))
            self._sockets |= {client, service}
            for source, sink in ((client, service), (service, client)):
                Thread(target=self._pass_on, args=(source, sink), daemon=True).start()

    def _pass_on(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while block := source.recv(1 << 16):
                sink.sendall(block)
        for one in (source, sink):
            _close(one)
            self._sockets.discard(one)

    def close(self) -> None:
        """End it."""
        self.cut()
        _close(self._listener)


def _close(one: socket.socket) -> None:
    with suppress(OSError):
        one.shutdown(socket.SHUT_RDWR)
    one.close()


@contextmanager
def relay(port: int) -> Iterator[Relay]:
    """A relay to a port of this host, during the block."""
    relay = Relay(port)
    thread = Thread(target=relay.run)
    thread.start()
    try:
        yield relay
    finally:
        relay.close()
        thread.join(10)
