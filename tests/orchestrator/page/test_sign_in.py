"""Who may see the page, and how they sign in."""

import re
from collections.abc import AsyncIterator, Callable
from ipaddress import ip_network

import httpx
import pytest

from orchestrator.api.handlers import OrchestratorService
from orchestrator.page.handler import CONTENT_SECURITY_POLICY
from orchestrator.page.routes import PAGES
from orchestrator.page.sign_in import own_path
from orchestrator.page.static_files import STATIC_FILES, address
from reelscribe.contracts.scopes import Scope
from reelscribe.http.access.failed_sign_ins import MOST_FAILURES
from reelscribe.http.access.proxies import TrustedProxies
from reelscribe.http.access.sessions import COOKIE, SECONDS
from reelscribe.http.access.tokens import Token, Tokens

TOKENS = Tokens((Token("secret-one", "ada"), Token("secret-two", "<b>eve</b>", Scope.READ)))
ROUTES_WITHOUT_SIGN_IN = {r"/sign-in", r"/sign-out", r"/static/([0-9a-f]+)/([\w.-]+)"}


@pytest.fixture
async def browser(serving: Callable[[Tokens], str]) -> AsyncIterator[httpx.AsyncClient]:
    """A client that keeps cookies, and says what a browser says of a page of ours."""
    url = serving(TOKENS)
    headers = {"Accept": "text/html", "Origin": url, "Sec-Fetch-Site": "same-origin"}
    async with httpx.AsyncClient(base_url=url, headers=headers) as client:
        yield client


async def sign_in(browser: httpx.AsyncClient, token: str, next: str = "/", **headers: str) -> httpx.Response:
    return await browser.post("/sign-in", data={"token": token, "next": next}, headers=headers)


def test_all_pages_need_a_sign_in_but_those_for_signing_in() -> None:
    assert {pattern for pattern, handler in PAGES.items() if handler.public is not False} == ROUTES_WITHOUT_SIGN_IN


async def test_nothing_of_the_page_is_sent_before_a_sign_in(browser: httpx.AsyncClient) -> None:
    for path, form in {"/": "%2F", "/nowhere/a?t=1&x=%C3%A9": "%2Fnowhere%2Fa%3Ft%3D1%26x%3D%25C3%25A9"}.items():
        answer = await browser.get(path)
        assert (answer.status_code, answer.headers["Location"]) == (303, f"/sign-in?next={form}")
        assert "WWW-Authenticate" not in answer.headers
    for path in ("/api/jobs", "/api/events", "/metrics", "/openapi.json"):
        answer = await browser.get(path)
        assert (answer.status_code, answer.json()["error"]["code"]) == (401, "unauthorized"), path
    answers = {name: await browser.get(address(name)) for name in STATIC_FILES.files}
    shown = {name for name, answer in answers.items() if answer.status_code == 200}
    assert shown == {"style.css", "icon.svg", "sign_in.js"}
    assert {answer.status_code for name, answer in answers.items() if name not in shown} == {401}


async def test_the_form_needs_none_of_what_is_not_sent(browser: httpx.AsyncClient) -> None:
    form = await browser.get("/sign-in?next=/search%3Fq%3D%22%3E")
    assert form.status_code == 200 and 'name="next" value="/search?q=%22%3E"' in form.text
    for path in re.findall(r'(?:src|href)="(/static[^"]+)"', form.text):
        assert (await browser.get(path)).status_code == 200, path
    assert "<nav" not in form.text and "/openapi.json" not in form.text


async def test_a_token_signs_in_and_out(browser: httpx.AsyncClient) -> None:
    answer = await sign_in(browser, " secret-one \n", "/openapi.json?a=1#t=2")
    assert (answer.status_code, answer.headers["Location"]) == (303, "/openapi.json?a=1#t=2")
    cookie = answer.headers["Set-Cookie"]
    assert {"HttpOnly", "SameSite=Lax", "Path=/", f"Max-Age={SECONDS}"} < set(re.split("; ", cookie))
    assert "Secure" not in cookie and "secret" not in cookie
    home = await browser.get("/")
    assert home.status_code == 200 and "<span>ada</span>" in home.text and "secret" not in home.text
    assert (home.headers["Cache-Control"], home.headers["Referrer-Policy"]) == ("private, no-cache", "same-origin")
    for path in ("/media/none.mp4", "/api/transcripts/none.mp4", "/static/0/none.js"):  # errors are as private
        missing = await browser.get(path)
        assert (missing.status_code, missing.headers["Cache-Control"]) == (404, "private, no-cache"), path
        assert missing.headers["Cross-Origin-Resource-Policy"] == "same-origin", path
        assert path.startswith("/api") or missing.headers["Content-Security-Policy"] == CONTENT_SECURITY_POLICY
    assert (await browser.get(address("api.js"))).status_code == 200
    assert (await browser.post("/api/jobs", json={"savepath": "a.mp4"})).status_code == 202
    assert (await browser.get("/sign-in?next=/search")).headers["Location"] == "/search", "it is done already"
    assert (await browser.post("/sign-out")).headers["Location"] == "/sign-in"
    assert COOKIE not in browser.cookies
    assert (await browser.get("/")).status_code == 303


async def test_the_cookie_is_for_https_only_where_the_browser_speaks_it(
    browser: httpx.AsyncClient, orchestrator_service: OrchestratorService
) -> None:
    for origin, public_url, secure in (
        ("https://own", None, True),
        ("http://own", "https://own", False),  # past the proxy: the browser would drop a cookie that is for HTTPS only
        ("null", "https://own", True),
        ("null", "http://own", False),
    ):
        orchestrator_service.public_url = public_url
        answer = await sign_in(browser, "secret-one", Origin=origin)
        assert ("Secure" in answer.headers["Set-Cookie"].split("; ")) == secure, (origin, public_url)


async def test_a_wrong_token_is_shown_neither_in_the_form_nor_in_the_log(
    browser: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    answer = await sign_in(browser, "secret-öne", '/search?q="><b>')
    assert (answer.status_code, "Set-Cookie" in answer.headers) == (401, False)
    assert "This is not a token of this service." in answer.text and 'value="/search?q=%22%3E%3Cb%3E"' in answer.text
    assert "sign-in: a wrong token from 127.0.0.1" in caplog.text
    assert "secret" not in answer.text + caplog.text


async def test_tokens_cannot_be_guessed_quickly(browser: httpx.AsyncClient) -> None:
    for _ in range(MOST_FAILURES):
        assert (await sign_in(browser, "guess")).status_code == 401
    answer = await sign_in(browser, "secret-one")
    assert (answer.status_code, 0 < int(answer.headers["Retry-After"]) <= 600) == (429, True)
    assert "Too many wrong tokens; try again in 10 min." in answer.text and "Set-Cookie" not in answer.headers
    assert (await browser.get("/metrics", headers={"Authorization": "Bearer secret-one"})).status_code == 200


async def test_what_the_form_cannot_have_sent_is_refused(browser: httpx.AsyncClient) -> None:
    for body, status in {
        "": 400,
        "x": 400,
        "token=a&token=b": 400,
        "token=a&colour=red": 400,
        "token=%ff": 400,
        "&".join(["a=1"] * 2000): 400,
        "token=" + "a" * 9000: 413,
    }.items():
        answer = await browser.post("/sign-in", content=body)
        assert answer.status_code == status and 'role="alert"' in answer.text, body


async def test_another_sites_page_can_sign_no_one_in_or_out(browser: httpx.AsyncClient) -> None:
    theirs = {"Origin": "http://evil.example", "Sec-Fetch-Site": "cross-site"}
    answer = await sign_in(browser, "secret-one", **theirs)
    assert (answer.status_code, "Set-Cookie" in answer.headers) == (403, False)
    await sign_in(browser, "secret-one")
    answer = await browser.post("/sign-out", headers=theirs)
    assert (answer.status_code, "Set-Cookie" in answer.headers) == (403, False)


@pytest.mark.parametrize(
    ("given", "path"),
    [
        ("/", "/"),
        ("/media/a b.mp4", "/"),
        ("/media/a%20b.mp4?t=1#t=2", "/media/a%20b.mp4?t=1#t=2"),
        ("/media/ä", "/media/%C3%A4"),
        ("//evil.example", "/"),
        ("/\\evil.example", "/"),
        ("/\t/evil.example", "/"),
        ("http://evil.example/", "/"),
        ("javascript:alert(1)", "/"),
        ("/a\r\nSet-Cookie: x=1", "/"),
        ("/sign-out", "/"),
        ("", "/"),
    ],
)
def test_a_sign_in_leads_to_this_service_only(given: str, path: str) -> None:
    assert own_path(given) == path


async def test_a_reader_sees_the_page_and_changes_nothing(browser: httpx.AsyncClient) -> None:
    await sign_in(browser, "secret-two")
    assert "<span>&lt;b&gt;eve&lt;/b&gt;</span>" in (await browser.get("/")).text
    answer = await browser.post("/api/jobs", json={"savepath": "a.mp4"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "scope_missing")


async def test_whom_a_trusted_proxy_names_needs_no_form(
    browser: httpx.AsyncClient, orchestrator_service: OrchestratorService
) -> None:
    assert (await browser.get("/", headers={"Remote-User": "zoe"})).status_code == 303
    orchestrator_service.access.proxies = TrustedProxies([ip_network("127.0.0.1")], Scope.READ)
    home = await browser.get("/", headers={"Remote-User": "zoe"})
    assert home.status_code == 200 and '<p class="who">zoe</p>' in home.text and "Sign out" not in home.text


async def test_without_tokens_no_one_signs_in(serving: Callable[[Tokens], str]) -> None:
    url = serving(Tokens())
    async with httpx.AsyncClient(base_url=url, headers={"Origin": url}) as client:
        assert "Sign out" not in (await client.get("/")).text
        assert (await client.get("/sign-in?next=/search")).headers["Location"] == "/search"
        answer = await sign_in(client, "x", "/search")
        assert (answer.status_code, "Set-Cookie" in answer.headers) == (303, False)
