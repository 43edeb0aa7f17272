"""Who makes a request, and what they may do.

Without tokens anyone may do everything, but not the pages of other sites: see ``allowed_hosts``. With tokens, a program
shows one in ``Authorization``, and a browser a session's cookie, or a trusted proxy's word. A browser adds the last two
by itself, to whatever a page of another site makes it send. So requests that change something, and rely on them, must
come from a page of ours.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto

from tornado.httputil import HTTPServerRequest

from reelscribe.contracts.scopes import Scope
from reelscribe.errors import OriginNotAllowed, ScopeMissing, TooManySignIns, Unauthorized
from reelscribe.http.access.allowed_hosts import AllowedHosts
from reelscribe.http.access.failed_sign_ins import FailedSignIns
from reelscribe.http.access.proxies import TrustedProxies
from reelscribe.http.access.sessions import COOKIE, token_of_session
from reelscribe.http.access.tokens import Token, Tokens

log = logging.getLogger(__name__)

SAFE_METHODS = ("GET", "HEAD", "OPTIONS")

KEPT_TO_THEM = {"Cache-Control": "private, no-cache", "Cross-Origin-Resource-Policy": "same-origin"}


class Evidence(Enum):
    """How it is known who a caller is."""

    NONE = auto()
    TOKEN = auto()
    SESSION = auto()
    PROXY = auto()

    @property
    def is_added_by_browsers(self) -> bool:
        """Whether it comes with requests that the page of another site has made."""
        return self in (Evidence.SESSION, Evidence.PROXY)

    @property
    def answer_headers(self) -> Mapping[str, str]:
        """What keeps the answer from those who have not asked: from a cache for all, and from the page of another site
        that embeds it.
        """
        return KEPT_TO_THEM if self.is_added_by_browsers else {}


@dataclass(frozen=True)
class Caller:
    """Who makes a request.

    Attributes:
        name: of the token, or of the person that a proxy names.
        scope: what they may do; None: only what is public.
    """

    name: str
    scope: Scope | None
    evidence: Evidence = Evidence.NONE

    def may(self, scope: Scope | str) -> bool:
        """Whether they may do what asks for this scope."""
        return self.scope is not None and self.scope.includes(Scope(scope))

    def require(self, needed: Scope) -> None:
        """Refuse what asks for a scope that they do not have.

        Raises:
            ScopeMissing: they do not.
        """
        if not self.may(needed):
            setting = "remote_user_scopes" if self.evidence is Evidence.PROXY else "token_file"
            raise ScopeMissing(
                f"{self.name!r} has the scope {self.scope}, and this asks for {needed}; [auth] {setting} of this"
                " service's config.cfg gives scopes",
                scope=needed,
            )


ANYONE = Caller("anonymous", Scope.ADMIN)
"""Where no token is asked for."""
UNKNOWN = Caller("anonymous", None)


class Access:
    """Admits the requests of one service.

    Args:
        tokens: who may call.
        hosts: if that is anyone: under which names, and from which web pages.

    Attributes:
        proxies: whose ``Remote-User`` is believed.
        scopes: what an operation asks for, by the path's handler and the method.
        asks_for_certificate: whether only clients with a certificate get as far as a request (``tls_client_ca``).
    """

    def __init__(self, tokens: Tokens, hosts: AllowedHosts) -> None:
        self.tokens = tokens
        self.hosts = hosts
        self.proxies = TrustedProxies()
        self._failed_sign_ins = FailedSignIns()
        self.scopes: Mapping[tuple[type, str], Scope] = {}
        self.asks_for_certificate = False

    @property
    def those_without_token(self) -> str:
        """Who may do everything while there are no tokens."""
        if self.asks_for_certificate:
            return "whoever has a certificate that an authority of tls_client_ca has signed"
        return "anyone who can reach this service"

    def caller(self, request: HTTPServerRequest) -> Caller:
        """Who makes a request; they may not be allowed to."""
        return (self._caller(request) or UNKNOWN) if self.tokens else ANYONE

    def admit(self, caller: Caller, request: HTTPServerRequest, handler: type, public: bool) -> None:
        """Refuse a request that its caller may not make.

        Raises:
            HostNotAllowed, OriginNotAllowed: the page of another site may have made it.
            Unauthorized: it is not known who makes it.
            ScopeMissing: they may not do this.
        """
        if not self.tokens:
            self.hosts.check(request.headers.get("Host"), request.headers.get("Origin"))
            return
        if public:
            return
        if caller is UNKNOWN:
            raise Unauthorized("send 'Authorization: Bearer TOKEN' with a token of this service's token_file")
        if caller.evidence.is_added_by_browsers and request.method not in SAFE_METHODS:
            self.check_own_page(request)
        caller.require(self._needed(handler, request.method or "GET"))

    def sign_in(self, request: HTTPServerRequest, secret: str) -> Token:
        """The token that a person shows, for a session of theirs.

        Raises:
            TooManySignIns: tokens are being guessed.
            Unauthorized: it is none of the tokens.
        """
        client = self.proxies.client(request.remote_ip, request.headers)
        if wait := self._failed_sign_ins.wait_seconds(client):
            minutes = -(-wait // 60)
            raise TooManySignIns(f"too many wrong tokens; try again in {minutes} min", retry_after=wait)
        token = self.tokens.find(secret)
        if token is None:
            self._failed_sign_ins.note(client)
            log.warning("sign-in: a wrong token from %s", client)
            raise Unauthorized("this is not a token of this service")
        return token

    def check_own_page(self, request: HTTPServerRequest) -> None:
        """Refuse a request that a page of ours has not made.

        Raises:
            OriginNotAllowed: another page, or nothing that browsers send, has made it.
        """
        site, origin = request.headers.get("Sec-Fetch-Site"), request.headers.get("Origin")
        ours = site in ("same-origin", "none") if site else self.hosts.is_page_of(origin, request.headers.get("Host"))
        if not ours:
            raise OriginNotAllowed(
                "this changes something, and your browser does not say that a page of this service asks for it; "
                "programs send 'Authorization: Bearer TOKEN' instead of a cookie"
            )

    def _caller(self, request: HTTPServerRequest) -> Caller | None:
        authorization = request.headers.get("Authorization")
        if (authorization or "").lower().startswith("bearer"):
            token = self.tokens.of_header(authorization)
            return Caller(token.name, token.scope, Evidence.TOKEN) if token else None
        if user := self.proxies.user(request.remote_ip, request.headers):
            return Caller(user, self.proxies.scope, Evidence.PROXY)
        session = request.cookies.get(COOKIE)
        token = token_of_session(self.tokens, session.value) if session else None
        return Caller(token.name, token.scope, Evidence.SESSION) if token else None

    def _needed(self, handler: type, method: str) -> Scope:
        for known_as in (method, "GET") if method == "HEAD" else (method,):
            if scope := self.scopes.get((handler, known_as)):
                return scope
        return default_scope(method)


def default_scope(method: str) -> Scope:
    """What an operation asks for that says nothing else."""
    return Scope.READ if method in SAFE_METHODS else Scope.SUBMIT
