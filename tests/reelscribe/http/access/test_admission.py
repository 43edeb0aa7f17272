"""Who may do what, over real sockets: by a token, by a session's cookie, by a trusted proxy's word."""

import time
from collections.abc import AsyncIterator
from ipaddress import ip_network
from typing import Any

import pytest
from tornado.httputil import HTTPHeaders

from reelscribe.contracts.scopes import Scope
from reelscribe.http.access import sessions
from reelscribe.http.access.proxies import TrustedProxies
from reelscribe.http.access.sessions import COOKIE, new_session, token_of_session
from reelscribe.http.access.tokens import Token, Tokens
from tests.reelscribe.conftest import API, Served, serving

ADA, BOB, EVE = Token("first", "ada"), Token("second", "bob", Scope.SUBMIT), Token("third", "eve", Scope.READ)
ORDER = {"item": "bread"}


@pytest.fixture
async def scoped() -> AsyncIterator[Served]:
    async with serving(ADA, BOB, EVE) as service:
        service.service.let_end.set()  # type: ignore[attr-defined]
        yield service


def bearer(token: Token) -> dict[str, str]:
    return {"Authorization": f"Bearer {token.secret}"}


def session(token: Token) -> dict[str, str]:
    return {"Cookie": f"other=1; {COOKIE}={new_session(token)}"}


async def statuses(served: Served, **headers: Any) -> list[int]:
    """Of what asks for read, for submit and for admin."""
    answers = [
        await served.http.get("/wait", headers=headers),
        await served.http.post("/orders/echo", json=ORDER, headers=headers),
        await served.http.get("/late", headers=headers),
    ]
    return [answer.status_code for answer in answers]


async def test_a_token_does_what_its_scope_allows(scoped):
    assert await statuses(scoped, **bearer(ADA)) == [200, 200, 200]
    assert await statuses(scoped, **bearer(BOB)) == [200, 200, 403]
    assert await statuses(scoped, **bearer(EVE)) == [200, 403, 403]
    assert await statuses(scoped) == [401, 401, 401]


async def test_head_asks_for_what_get_does(scoped):
    assert (await scoped.http.head("/late", headers=bearer(BOB))).status_code == 403
    assert (await scoped.http.head("/wait", headers=bearer(EVE))).status_code == 200


async def test_the_refusal_says_which_scope_is_missing_and_whose(scoped):
    error = (await scoped.http.post("/orders/echo", json=ORDER, headers=bearer(EVE))).json()["error"]
    assert (error["code"], error["scope"], error["retryable"]) == ("scope_missing", "submit", False)
    assert error["message"].startswith("'eve' has the scope read, and this asks for submit; [auth] token_file")


def test_the_document_names_the_scope_of_each_operation():
    def scope(method: str, path: str) -> list[Any]:
        security: list[Any] = API.document["paths"][path][method]["security"]
        return security

    assert scope("get", "/wait") == [{"bearer": ["read"]}]
    assert scope("post", "/orders/{way}") == [{"bearer": ["submit"]}]
    assert scope("get", "/late") == [{"bearer": ["admin"]}]
    assert scope("get", "/healthz") == []
    assert "`scope_missing`" in API.document["paths"]["/wait"]["get"]["responses"]["403"]["description"]


async def test_a_session_does_what_the_token_does_that_it_was_made_with(scoped):
    scoped.http.headers["Origin"] = scoped.url
    assert await statuses(scoped, **session(ADA)) == [200, 200, 200]
    assert await statuses(scoped, **session(EVE)) == [200, 403, 403]
    answer = await scoped.http.get("/metrics", headers=session(EVE))
    assert answer.headers["Cache-Control"] == "private, no-cache"
    assert answer.headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert "Cache-Control" not in (await scoped.http.get("/metrics", headers=bearer(EVE))).headers


async def test_refusals_and_failures_are_kept_from_caches_and_other_sites_as_well(scoped):
    scoped.http.headers["Origin"] = scoped.url
    for method, path, status in (("POST", "/orders/echo", 403), ("GET", "/nowhere", 404), ("PUT", "/wait", 405)):
        answer = await scoped.http.request(method, path, json=ORDER, headers=session(EVE if status == 403 else ADA))
        assert (answer.status_code, answer.headers["Cache-Control"]) == (status, "private, no-cache"), path
        assert answer.headers["Cross-Origin-Resource-Policy"] == "same-origin"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Content-Security-Policy"] == "default-src 'none'; frame-ancestors 'none'"
    foreign = await scoped.http.post(
        "/orders/echo", json=ORDER, headers={**session(ADA), "Origin": "http://evil.example"}
    )
    assert (foreign.status_code, foreign.headers["Cross-Origin-Resource-Policy"]) == (403, "same-origin")


async def test_a_session_ends_with_its_token(scoped):
    assert (await scoped.http.get("/metrics", headers=session(EVE))).status_code == 200
    scoped.service.access.tokens = Tokens((ADA, BOB))
    assert (await scoped.http.get("/metrics", headers=session(EVE))).status_code == 401


def test_a_session_ends_with_its_time_and_no_one_can_make_it_longer(monkeypatch):
    tokens, cookie = Tokens((ADA, BOB)), new_session(BOB)
    assert token_of_session(tokens, cookie) == BOB
    ends, _, signature = cookie.partition(".")
    later = f"{int(ends) + 1}.{signature}"
    for forged in ("", ".", ends, f"{ends}.", f"{ends}.{'0' * 64}", later, f"{cookie} ", f"{cookie}é", f"٣{cookie}"):
        assert token_of_session(tokens, forged) is None, forged
    now = time.time()
    monkeypatch.setattr("reelscribe.http.access.sessions.time.time", lambda: now + sessions.SECONDS + 1)
    assert token_of_session(tokens, cookie) is None


def test_the_cookie_does_not_show_the_token():
    assert not [token for token in (ADA, BOB) if token.secret in new_session(token)]


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "http://127.0.0.1:9"}, 403),  # the same site, but another program's page: browsers send the cookie
        ({"Origin": "http://own"}, 200),
        ({"Sec-Fetch-Site": "same-origin"}, 200),
        ({"Sec-Fetch-Site": "same-origin", "Origin": "null"}, 200),
        ({"Sec-Fetch-Site": "same-site", "Origin": "http://own"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
    ],
)
@pytest.mark.parametrize("content_type", ["application/json", "application/octet-stream", "text/plain"])
async def test_a_cookie_changes_something_only_for_a_page_of_ours(headers, status, content_type, scoped):
    headers = {**headers, **session(BOB), "Host": "own", "Content-Type": content_type}
    response = await scoped.http.post("/orders/echo", content=b'{"item": "bread"}', headers=headers)
    assert response.status_code == (415 if status == 200 and "json" not in content_type else status)
    if status == 403:
        assert response.json()["error"]["code"] == "origin_not_allowed"
    assert (await scoped.http.get("/metrics", headers=headers)).status_code == 200, "reading needs no page"
    headers = {**headers, **bearer(BOB), "Content-Type": "application/json"}
    assert (await scoped.http.post("/orders/echo", json=ORDER, headers=headers)).status_code == 200, "a program's token"


async def test_a_wrong_token_is_not_made_good_by_a_cookie(scoped):
    headers = {**session(ADA), "Authorization": "Bearer wrong"}
    assert (await scoped.http.get("/metrics", headers=headers)).status_code == 401


class TestRemoteUser:
    @pytest.fixture
    def proxied(self, scoped):
        scoped.service.access.proxies = TrustedProxies([ip_network("127.0.0.0/8")], Scope.SUBMIT)
        scoped.http.headers["Sec-Fetch-Site"] = "same-origin"
        return scoped

    async def test_a_trusted_proxys_users_do_what_the_setting_allows(self, proxied):
        assert await statuses(proxied, **{"Remote-User": "Zoë".encode()}) == [200, 200, 403]
        error = (await proxied.http.get("/late", headers={"Remote-User": "Zoë".encode()})).json()["error"]
        assert error["message"].startswith("'Zoë' has the scope submit, and this asks for admin; [auth] remote_user_")

    async def test_it_is_believed_from_nowhere_else(self, proxied):
        proxied.service.access.proxies = TrustedProxies([ip_network("10.0.0.0/8")], Scope.SUBMIT)
        headers = {"Remote-User": "ada", "X-Forwarded-For": "10.0.0.1", "X-Real-Ip": "10.0.0.1"}
        assert await statuses(proxied, **headers) == [401, 401, 401]

    async def test_it_changes_something_only_for_a_page_of_ours(self, proxied):
        headers = {"Remote-User": "ada", "Sec-Fetch-Site": "cross-site"}
        assert await statuses(proxied, **headers) == [200, 403, 403]

    @pytest.mark.parametrize(
        "names", [[""], [" "], ["a", "b"], ["\xff"], ["a\x01b".replace("\x01", "\x85")], ["a" * 129]]
    )
    async def test_what_is_no_name_or_more_than_one_is_unknown(self, names, proxied):
        lines = "".join(f"Remote-User: {name}\r\n" for name in names)
        request = f"GET /metrics HTTP/1.1\r\nHost: own\r\nConnection: close\r\n{lines}\r\n".encode("latin-1")
        assert (await proxied.exchange(request)).startswith(b"HTTP/1.1 401 ")

    async def test_a_token_counts_more(self, proxied):
        assert await statuses(proxied, **bearer(EVE), **{"Remote-User": "zoe"}) == [200, 403, 403]
        assert await statuses(proxied, Authorization="Basic eDp5", **{"Remote-User": "zoe"}) == [200, 200, 403]

    async def test_the_word_of_the_proxy_counts_more_than_a_cookie(self, proxied):
        assert await statuses(proxied, **session(ADA), **{"Remote-User": "zoe"}) == [200, 200, 403]


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        ("10.0.0.1", "", "10.0.0.1"),
        ("10.0.0.1", "203.0.113.9", "203.0.113.9"),
        ("::ffff:10.0.0.1", "198.51.100.1, 203.0.113.9, 10.0.0.2", "203.0.113.9"),  # the first one anybody can write
        ("10.0.0.1", "203.0.113.9, x", "10.0.0.1"),
        ("192.0.2.1", "203.0.113.9", "192.0.2.1"),
    ],
)
def test_the_clients_address_is_what_a_trusted_proxy_has_seen(peer, forwarded, client):
    headers = HTTPHeaders({"X-Forwarded-For": forwarded})
    assert TrustedProxies([ip_network("10.0.0.0/8")]).client(peer, headers) == client
