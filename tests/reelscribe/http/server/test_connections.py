"""What cannot be read as HTTP, clients that close only their own side, and clients that have left."""

import asyncio
import json
import socket
from typing import Any

import pytest

from tests.waiting import eventually

ECHO = "POST /orders/echo HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
BODY = '{"item": "bread"}'


def read(answer: bytes) -> tuple[int, dict[str, str], dict[str, Any]]:
    """Status, headers and JSON of an answer that is the only one."""
    head, _, body = answer.partition(b"\r\n\r\n")
    status, *lines = head.decode().split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines)
    assert int(headers["Content-Length"]) == len(body)
    return int(status.split()[1]), headers, json.loads(body)


class TestUnreadableRequests:
    @pytest.mark.parametrize(
        ("request_", "words"),
        [
            ("nonsense\r\n\r\n", "request line"),
            ("GET /healthz\r\n\r\n", "request line"),
            ("GET /healthz HTTP/1.1\r\n\r\n", "Host"),
            ("GET /healthz HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", "host"),
            ("GET /healthz HTTP/1.1\r\nHost: a\r\nno header\r\n\r\n", "header"),
            (f"{ECHO}Content-Length: abc\r\n\r\n", "Content-Length"),
            (f"{ECHO}Content-Length: 1, 2\r\n\r\n", "Content-Length"),
            (f"{ECHO}Transfer-Encoding: chunked\r\n\r\nxyz\r\n", "chunk size"),
            (f"{ECHO}Transfer-Encoding: chunked\r\n\r\n1\r\nab\r\n", "chunk"),
            (f"{ECHO}Transfer-Encoding: chunked\r\n\r\n{'1' * 100}\r\n", "chunk"),
            (f"{ECHO}Transfer-Encoding: gzip\r\n\r\nabc", "Transfer-Encoding"),
        ],
    )
    async def test_they_are_400_with_the_error_body_of_all_others(self, served, request_, words):
        status, headers, answer = read(await served.exchange(request_.encode()))
        error = answer["error"]
        assert (status, error["code"], error["retryable"]) == (400, "bad_request", False)
        assert error["message"].startswith("the request is not valid HTTP: ") and words in error["message"]
        assert headers["X-Request-Id"] == error["request_id"]
        assert headers["Connection"] == "close" and headers["Server"] == "reelscribe"
        await eventually(served.service.idle.is_set)

    async def test_headers_that_are_too_large_are_431(self, served):
        request = f"GET /healthz HTTP/1.1\r\nHost: a\r\nX-Padding: {'x' * 200_000}\r\n\r\n"
        status, _, answer = read(await served.exchange(request.encode()))
        assert (status, answer["error"]["code"]) == (431, "headers_too_large")

    async def test_the_callers_request_id_is_kept_once_it_is_known(self, served):
        request = f"{ECHO}X-Request-Id: job-7\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n"
        _, _, answer = read(await served.exchange(request.encode()))
        assert answer["error"]["request_id"] == "job-7"

    async def test_an_answer_that_has_been_sent_is_not_followed_by_another(self, served):
        request = f"{ECHO}Content-Length: 5000000000\r\n\r\n"
        assert (await served.exchange(request.encode())).count(b"HTTP/1.1") == 1

    async def test_a_good_request_before_is_answered(self, served):
        answer = await served.exchange(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\nnonsense\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 200") and b"HTTP/1.1 400" in answer


class HalfClosed:
    """A client that closes its own side after these bytes, and still reads."""

    def __init__(self, port: int, request: str, pieces: int = 1) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port))
        size = -(-len(request) // pieces)
        for start in range(0, len(request), size):
            self._socket.sendall(request[start : start + size].encode())
        self._socket.shutdown(socket.SHUT_WR)

    async def answer(self) -> bytes:
        """All until the server closes, without interim answers."""
        self._socket.setblocking(False)
        received = b""
        while chunk := await asyncio.wait_for(asyncio.get_running_loop().sock_recv(self._socket, 65536), 60):
            received += chunk
        self._socket.close()
        return received.replace(b"HTTP/1.1 100 Continue\r\n\r\n", b"")

    def leave(self) -> None:
        self._socket.close()


class TestHalfClosedClients:
    @pytest.mark.parametrize("pieces", [1, 5, 40])
    async def test_they_get_their_answer(self, served, pieces):
        request = f"{ECHO}Content-Length: {len(BODY)}\r\n\r\n{BODY}"
        status, _, answer = read(await HalfClosed(served.port, request, pieces).answer())
        assert (status, answer) == (200, {"item": "bread"})

    async def test_they_get_it_however_long_it_takes(self, served):
        client = HalfClosed(served.port, "GET /late HTTP/1.1\r\nHost: a\r\n\r\n")
        await asyncio.sleep(1.5)
        served.service.let_end.set()
        assert (await client.answer()).endswith(b"\r\n\r\ndone")

    async def test_a_body_that_ends_before_its_length_is_400(self, served):
        client = HalfClosed(served.port, f"{ECHO}Content-Length: 100\r\n\r\n{BODY}")
        status, _, answer = read(await client.answer())
        assert (status, answer["error"]["message"]) == (400, "the body ended before its declared length")

    async def test_one_that_leaves_while_it_waits_ends_its_request(self, served):
        client = HalfClosed(served.port, "GET /late HTTP/1.1\r\nHost: a\r\n\r\n")
        await eventually(lambda: served.service.running)
        await asyncio.sleep(0.7)
        assert served.service.running
        client.leave()
        await eventually(served.service.idle.is_set)

    @pytest.mark.parametrize("version", ["1.0", "1.1"])
    async def test_a_client_that_leaves_while_it_waits_ends_its_request(self, served, version):
        _, writer = await asyncio.open_connection("127.0.0.1", served.port)
        writer.write(f"GET /late HTTP/{version}\r\nHost: a\r\n\r\n".encode())
        await eventually(lambda: served.service.running)
        writer.close()
        await eventually(served.service.idle.is_set)

    async def test_one_that_waits_costs_no_cpu_time(self, served):
        client = HalfClosed(served.port, "GET /late HTTP/1.1\r\nHost: a\r\n\r\n")
        await eventually(lambda: served.service.running)
        await asyncio.sleep(0.2)
        turns = 0
        end = asyncio.get_running_loop().time() + 0.4

        def count() -> None:
            nonlocal turns
            turns += 1

        loop = asyncio.get_running_loop()
        selecting, loop._selector.select = loop._selector.select, lambda t=None: (count(), selecting(t))[1]  # type: ignore[attr-defined]
        try:
            await asyncio.sleep(end - loop.time())
        finally:
            loop._selector.select = selecting  # type: ignore[attr-defined]
        assert turns < 20
        client.leave()
