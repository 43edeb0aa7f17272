"""Which web pages may call a service that asks for no token."""

import socket

import pytest

from reelscribe.errors import HostNotAllowed, OriginNotAllowed, RemoteError
from reelscribe.http.access.allowed_hosts import AllowedHosts
from reelscribe.http.peers.extractor_client import ExtractorClient
from reelscribe.settings.extractor import ServerSection
from tests.reelscribe.http.server.test_service import error_of

HOSTS = AllowedHosts.of(
    "server", ServerSection(host="files.example.net", allowed_hosts=("reelscribe.example.com", "192.0.2.7"))
)


class TestHost:
    @pytest.mark.parametrize(
        "host",
        [
            *("localhost", "localhost:8888", "LOCALHOST", "a.localhost:80"),
            *("127.0.0.1:8888", "127.1.2.3", "[::1]:8888", "[::1]", "192.168.1.20:8888", "[fe80::1%eth0]:8888"),
            *("extractor:8888", "extractor-host"),
            *("files.example.net:8888", "reelscribe.example.com", "Reelscribe.Example.com.:443"),
            socket.gethostname(),
            None,
        ],
    )
    def test_names_that_no_other_site_can_own_and_those_of_the_settings_are_allowed(self, host):
        HOSTS.check(host, None)

    @pytest.mark.parametrize(
        "host",
        [
            *("evil.example", "evil.example:8888", "localhost.evil.example", "xlocalhost.com"),
            *("127.0.0.1.evil.example", "other.example.com", "a.reelscribe.example.com", "[::1].evil.example"),
        ],
    )
    def test_any_other_name_is_refused_with_the_setting_that_allows_it(self, host):
        with pytest.raises(HostNotAllowed, match=r"add the name to allowed_hosts in \[server\] of this service's"):
            HOSTS.check(host, None)

    def test_the_full_name_of_this_host_is_allowed(self, monkeypatch):
        monkeypatch.setattr(socket, "gethostname", lambda: "localhost")
        hosts = AllowedHosts()
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [(2, 1, 6, "Files.example.org", ("192.0.2.1", 0))])
        with pytest.raises(HostNotAllowed):
            hosts.check("files.example.org", None)
        hosts._add_own_full_name()
        hosts.check("files.example.org:8888", None)


class TestOrigin:
    @pytest.mark.parametrize(
        ("host", "origin"),
        [
            ("localhost:8888", "http://localhost:8888"),
            ("LOCALHOST:8888", "http://localhost:8888"),
            ("[::1]:8888", "http://[::1]:8888"),
            ("127.0.0.1:8888", "https://127.0.0.1:8888"),
            ("127.0.0.1:8888", "https://reelscribe.example.com"),
            ("127.0.0.1:8888", "http://reelscribe.example.com:8080"),
            ("127.0.0.1:8888", "http://192.0.2.7:8080"),
        ],
    )
    def test_the_services_own_origin_and_the_hosts_of_the_settings_are_allowed(self, host, origin):
        HOSTS.check(host, origin)

    @pytest.mark.parametrize(
        "origin",
        [
            *("http://evil.example", "http://evil.example:8888", "http://203.0.113.5", "null", "localhost:8888"),
            *("http://localhost", "http://localhost:3000", "http://127.0.0.1:8888", "http://extractor:8888"),
            *("http://localhost:8888.evil.example", "http://reelscribe.example.com.evil.example"),
        ],
    )
    def test_any_other_origin_is_refused_with_the_setting_that_allows_it(self, origin):
        with pytest.raises(OriginNotAllowed, match=r"add their host to allowed_hosts in \[server\]"):
            HOSTS.check("localhost:8888", origin)


class TestRequests:
    @pytest.mark.parametrize("url", ["/healthz", "/metrics", "/nowhere", "/wait"])
    async def test_a_name_of_another_site_is_403(self, served, url):
        response = await served.http.get(url, headers={"Host": "evil.example"})
        assert (response.status_code, error_of(response)["code"]) == (403, "host_not_allowed")

    @pytest.mark.parametrize("method", ["GET", "POST"])
    async def test_a_page_of_another_site_is_403(self, served, method):
        url = {"GET": "/wait", "POST": "/orders/echo"}[method]
        headers = {"Origin": "https://evil.example"}
        body = {"item": "bread"} if method == "POST" else None
        response = await served.http.request(method, url, headers=headers, json=body)
        assert (response.status_code, error_of(response)["code"]) == (403, "origin_not_allowed")

    async def test_its_own_page_is_served(self, served):
        response = await served.http.post("/orders/echo", json={"item": "bread"}, headers={"Origin": served.url})
        assert response.status_code == 200

    async def test_who_has_a_token_is_asked_for_neither(self, guarded):
        headers = {"Authorization": "Bearer first", "Host": "proxy.example.com", "Origin": "https://example.com"}
        assert (await guarded.http.post("/orders/echo", json={"item": "bread"}, headers=headers)).status_code == 200

    async def test_without_its_token_a_page_is_refused_as_anyone_is(self, guarded):
        headers = {"Host": "evil.example", "Origin": "https://evil.example"}
        assert (await guarded.http.post("/orders/echo", json={"item": "bread"}, headers=headers)).status_code == 401


class TestContentType:
    @pytest.mark.parametrize(
        "content_type",
        [
            "application/json",
            "application/json; charset=utf-8",
            "Application/JSON;charset=UTF-8",
            "application/json ;a=b",
        ],
    )
    async def test_json_is_read(self, served, content_type):
        response = await served.http.post(
            "/orders/echo", content='{"item": "bread"}', headers={"Content-Type": content_type}
        )
        assert response.status_code == 200

    @pytest.mark.parametrize(
        "content_type",
        [
            *("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=a"),
            *("", "text/plain; application/json", "application/jsonp", "application/json, text/plain"),
        ],
    )
    async def test_whatever_forms_of_other_sites_can_send_is_415_with_what_to_send(self, served, content_type):
        headers = {"Content-Type": content_type} if content_type else {}
        response = await served.http.post("/orders/echo", content='{"item": "bread"}', headers=headers)
        error = error_of(response)
        assert (response.status_code, error["code"]) == (415, "unsupported_media_type")
        assert error["message"].startswith("send the body with the header 'Content-Type: application/json'")

    async def test_a_request_without_a_body_needs_none(self, served):
        response = await served.http.post("/orders/busy", headers={"Content-Type": "text/plain"})
        assert error_of(response)["code"] == "busy"


async def test_a_check_of_another_service_says_why_it_refuses(served):
    async with ExtractorClient(served.url) as extractor:
        extractor._http.headers["Host"] = "extractor.example.com"
        with pytest.raises(RemoteError, match="allowed_hosts") as refused:
            await extractor.health()
    assert (refused.value.status, refused.value.code) == (403, "host_not_allowed")
