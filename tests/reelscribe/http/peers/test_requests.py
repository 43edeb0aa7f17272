"""The failures of another service in words that a user can read."""

import socket

import httpx
import pytest

from reelscribe.errors import PeerUnreachable, ServiceError, StreamCut
from reelscribe.http.peers.requests import as_service_errors


async def test_a_peer_that_is_silent_took_too_long():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        async with httpx.AsyncClient(timeout=0.2) as http:
            with pytest.raises(StreamCut) as cut, as_service_errors("the peer"):
                await http.get(f"http://127.0.0.1:{silent.getsockname()[1]}/")
    assert str(cut.value) == "the peer broke off: it took too long"


@pytest.mark.parametrize(
    ("failure", "error", "message"),
    [
        (httpx.ConnectTimeout(""), PeerUnreachable, "the peer does not answer: it took too long"),
        (httpx.ReadError(""), StreamCut, "the peer broke off: the connection was lost"),
        (httpx.ReadError("peer closed connection"), StreamCut, "the peer broke off: peer closed connection"),
    ],
)
def test_the_name_of_a_class_is_no_reason(failure: httpx.HTTPError, error: type[ServiceError], message: str):
    with pytest.raises(error) as said, as_service_errors("the peer"):
        raise failure
    assert str(said.value) == message
