"""The HTTP behaviour of every service, over real sockets."""

import asyncio
import re
import socket
import struct
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from tests.waiting import eventually


def error_of(response: httpx.Response) -> dict[str, Any]:
    """The error object of an answer, which names the request in its body and in its headers."""
    error: dict[str, Any] = response.json()["error"]
    assert error["request_id"] == response.headers["X-Request-Id"]
    return error


class TestAnswers:
    async def test_a_good_body_reaches_the_handler(self, served):
        response = await served.http.post("/orders/echo", json={"item": "bread"})
        assert (response.status_code, response.json()) == (200, {"item": "bread"})

    async def test_every_answer_has_a_request_id(self, served):
        assert re.fullmatch("[0-9a-f]{32}", (await served.http.get("/healthz")).headers["X-Request-Id"])

    async def test_the_callers_request_id_is_kept(self, served):
        response = await served.http.get("/nowhere", headers={"X-Request-Id": "job-7.a"})
        assert error_of(response)["request_id"] == "job-7.a"

    async def test_an_unfit_request_id_is_replaced(self, served):
        response = await served.http.get("/healthz", headers={"X-Request-Id": "<script>"})
        assert "script" not in response.headers["X-Request-Id"]

    async def test_the_servers_make_is_not_named(self, served):
        response = await served.http.get("/nowhere")
        assert response.headers["Server"] == "reelscribe"


class TestRefusals:
    async def test_an_unknown_url_is_404(self, served):
        response = await served.http.get("/nowhere")
        assert response.status_code == 404
        assert error_of(response)["message"] == "there is no /nowhere on test-service"

    async def test_a_wrong_method_is_405_and_names_the_right_one(self, served):
        response = await served.http.get("/orders/echo")
        assert (response.status_code, response.headers["Allow"]) == (405, "POST")
        assert error_of(response)["code"] == "method_not_allowed"

    async def test_an_invented_method_is_405(self, served):
        assert (await served.http.request("BREW", "/healthz")).status_code == 405

    @pytest.mark.parametrize(
        ("body", "complaint"),
        [
            ("", "the body is empty; send a JSON object with item"),
            ("{", "the body is not valid JSON"),
            ("[]", "object"),
            ('{"item": 5}', "item: must be text"),
            ('{"item": "bread", "size": 1}', "size: is not known here; there are item"),
            (b"\xff\xfe", "is not valid JSON"),
        ],
    )
    async def test_a_bad_body_is_400_with_the_mistake(self, served, body, complaint):
        response = await served.http.post("/orders/echo", content=body, headers={"Content-Type": "application/json"})
        assert response.status_code == 400
        assert complaint in error_of(response)["message"]

    async def test_all_wrong_fields_are_listed(self, served):
        response = await served.http.post("/orders/echo", json={"item": 1, "size": 2})
        assert error_of(response)["fields"] == ["item", "size"]

    async def test_busy_says_when_to_come_back(self, served):
        response = await served.http.post("/orders/busy")
        assert (response.status_code, response.headers["Retry-After"]) == (503, "7")
        assert error_of(response)["retryable"] is True

    async def test_a_bug_is_500_and_only_the_log_knows_more(self, served, log_lines):
        response = await served.http.post("/orders/bug")
        assert response.status_code == 500
        assert "secret" not in response.text
        [line] = log_lines()
        assert line["request_id"] == error_of(response)["request_id"]
        assert "a secret detail" in line["exception"]

    async def test_each_request_has_its_own_id_in_the_log_and_passes_it_on(self, served, log_lines):
        async def ask(number: int) -> str:
            answer = await served.http.post("/orders/ask", headers={"X-Request-Id": f"caller-{number}"})
            return answer.json()["passed_on"]

        assert await asyncio.gather(*map(ask, range(9))) == [f"caller-{number}" for number in range(9)]
        assert sorted(line["request_id"] for line in log_lines()) == [f"caller-{number}" for number in range(9)]

    @pytest.mark.parametrize("length", ["abc", "-1", "1e3", "9" * 5000])
    async def test_an_invalid_content_length_is_400_and_not_a_fault_of_ours(self, served, caplog, length):
        request = f"POST /orders/echo HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n"
        answer = await served.exchange(request.encode())
        assert answer.startswith((b"HTTP/1.1 400", b"HTTP/1.1 413"))
        assert "Traceback" not in caplog.text


class TestBodySize:
    async def test_a_body_over_the_limit_is_413(self, served):
        response = await served.http.post("/orders/echo", json={"item": "x" * 2000})
        assert response.status_code == 413
        assert error_of(response)["limit"] == 1000

    async def test_a_chunked_body_over_the_limit_is_413(self, served):
        async def chunks() -> AsyncIterator[bytes]:
            for _ in range(10):
                yield b"x" * 500

        assert (await served.http.post("/orders/echo", content=chunks())).status_code == 413

    async def test_a_connection_outlives_a_body_that_is_a_little_too_large(self, served):
        await served.http.post("/orders/echo", json={"item": "x" * 100_000})
        assert (await served.http.post("/orders/echo", json={"item": "bread"})).status_code == 200

    async def test_the_refusal_comes_before_an_enormous_body(self, served):
        request = b"POST /orders/echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5000000000\r\n\r\n"
        answer = await served.exchange(request)
        assert answer.startswith(b"HTTP/1.1 413") and b"body_too_large" in answer

    async def test_the_sender_of_a_far_too_large_body_can_read_the_413(self, served):
        assert (await served.http.post("/orders/echo", content=b"x" * 8_000_000)).status_code == 413

    async def test_memory_holds_no_more_than_the_limit(self, served):
        head = b"POST /orders/echo HTTP/1.1\r\nHost: x\r\nContent-Length: 900000\r\n\r\n"
        _, writer = await asyncio.open_connection("127.0.0.1", served.port)
        writer.write(head + b"x" * 800_000)
        await eventually(lambda: served.service.running and next(iter(served.service.running)).body)
        await asyncio.sleep(0.1)
        (handler,) = served.service.running
        assert len(handler.body) < 100_000
        writer.close()


class TestAuth:
    @pytest.mark.parametrize(
        "authorization", [None, "Bearer wrong", "Basic first", "first", "Bearer", "Bearer first x"]
    )
    async def test_a_request_without_a_valid_token_is_401(self, guarded, authorization):
        headers = {"Authorization": authorization} if authorization else {}
        response = await guarded.http.post("/orders/echo", json={"item": "bread"}, headers=headers)
        assert (response.status_code, response.headers["WWW-Authenticate"]) == (401, "Bearer")
        assert error_of(response)["code"] == "unauthorized"

    @pytest.mark.parametrize("token", ["first", "second"])
    async def test_each_token_is_accepted(self, guarded, token):
        headers = {"Authorization": f"Bearer {token}"}
        response = await guarded.http.post("/orders/echo", json={"item": "bread"}, headers=headers)
        assert response.status_code == 200

    async def test_without_a_token_neither_urls_nor_metrics_can_be_seen(self, guarded):
        assert [(await guarded.http.get(url)).status_code for url in ("/nowhere", "/metrics")] == [401, 401]

    async def test_health_needs_no_token(self, guarded):
        response = await guarded.http.get("/healthz")
        assert response.json() == {"machine": "test-service", "status": "ok", "problems": [], "warnings": []}


class TestConnections:
    """Two requests with bodies on one connection, by a client that reads the first answer before it sends more."""

    @staticmethod
    def request(path: str, size: int, token: str = "wrong") -> bytes:
        body = b'{"item": "%s"}' % (b"x" * size)
        head = f"POST {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\nContent-Type: application/json\r\n"
        return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body

    @pytest.mark.parametrize("size", [1, 800_000])
    @pytest.mark.parametrize(("path", "status"), [("/orders/echo", 401), ("/nowhere", 404), ("/orders/echo", 503)])
    async def test_a_refusal_before_the_body_is_read_says_that_the_connection_ends(
        self, guarded, served, path, status, size
    ):
        server = guarded if status == 401 else served
        if status == 503:
            served.service.stopping.set()
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(self.request(path, size))
        answer = await asyncio.wait_for(reader.read(), 60)
        assert answer.startswith(b"HTTP/1.1 %d " % status) and b"\r\nConnection: close\r\n" in answer
        assert answer.endswith(b"}}"), "all of it comes"
        writer.close()

    async def test_what_is_answered_after_the_body_leaves_the_connection_open(self, guarded):
        reader, writer = await asyncio.open_connection("127.0.0.1", guarded.port)
        for path, status in (("/orders/echo", 200), ("/orders/busy", 503), ("/orders/echo", 200)):
            writer.write(self.request(path, 1, "first"))
            head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 60)
            assert head.startswith(b"HTTP/1.1 %d " % status) and b"Connection" not in head
            length = re.search(rb"Content-Length: (\d+)", head)
            assert length
            await reader.readexactly(int(length[1]))
        writer.close()

    async def test_a_client_that_reuses_connections_gets_every_refusal(self, guarded):
        for _ in range(20):
            assert (await guarded.http.post("/orders/echo", json={"item": "x" * 500})).status_code == 401


class TestCutBodies:
    async def test_a_failure_after_the_first_flush_never_ends_the_body(self, served):
        with pytest.raises(httpx.RemoteProtocolError, match="incomplete chunked read"):
            await served.http.post("/orders/cut")

    async def test_nor_for_a_client_of_http_1_0(self, served):
        with pytest.raises(ConnectionResetError):
            await served.exchange(b"POST /orders/cut HTTP/1.0\r\nHost: x\r\nContent-Length: 0\r\n\r\n")

    async def test_a_cut_request_is_logged_counted_and_over(self, served, caplog):
        with pytest.raises(httpx.RemoteProtocolError):
            await served.http.post("/orders/cut")
        assert "not_decodable: the second half is missing" in caplog.text
        assert not served.service.running and served.service.idle.is_set()
        assert 'route="Order",status="200"' in (await served.http.get("/metrics")).text


class TestLeavingClients:
    async def test_a_client_that_leaves_during_its_body_is_not_waited_for(self, served):
        _, writer = await asyncio.open_connection("127.0.0.1", served.port)
        writer.write(b"POST /orders/echo HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nabc")
        await eventually(lambda: served.service.running)
        writer.close()
        await eventually(served.service.idle.is_set)

    async def test_a_client_that_resets_during_the_answer_is_not_waited_for(self, served):
        reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
        writer.write(b"GET /wait HTTP/1.1\r\nHost: x\r\n\r\n")
        assert await reader.readline() == b"HTTP/1.1 200 OK\r\n"
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.close()
        await eventually(served.service.idle.is_set)


class TestStopping:
    async def test_new_work_is_refused_as_retryable(self, served):
        served.service.stopping.set()
        response = await served.http.post("/orders/echo", json={"item": "bread"})
        assert response.status_code == 503
        assert error_of(response)["code"] == "stopping" and error_of(response)["retryable"] is True

    async def test_health_says_so(self, served):
        served.service.stopping.set()
        response = await served.http.get("/healthz")
        assert (response.status_code, response.json()["status"]) == (503, "stopping")


class TestMetrics:
    async def test_requests_are_counted_by_route_and_status(self, served):
        await served.http.post("/orders/echo", json={"item": "bread"})
        await served.http.post("/orders/echo")
        text = (await served.http.get("/metrics")).text
        assert 'reelscribe_http_requests_total{method="POST",route="Order",status="200"} 1.0' in text
        assert 'reelscribe_http_requests_total{method="POST",route="Order",status="400"} 1.0' in text

    async def test_invented_methods_share_one_label(self, served):
        for method in ("BREW", "POUR"):
            await served.http.request(method, "/healthz")
        text = (await served.http.get("/metrics")).text
        assert 'method="other",route="Health",status="405"} 2.0' in text and "BREW" not in text
