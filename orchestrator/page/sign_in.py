"""Signing in with a token, and out again: see :mod:`reelscribe.http.access.sessions`."""

import re
from urllib.parse import quote

from tornado.escape import parse_qs_bytes

from orchestrator.page.handler import PageHandler
from reelscribe.contracts.messages import WireModel
from reelscribe.errors import ServiceError
from reelscribe.http.access import sessions
from reelscribe.http.server.parsing import parse_query


class SignInForm(WireModel):
    """What the form sends."""

    token: str
    next: str = "/"


class SignInPage(PageHandler):
    """``GET /sign-in?next=``: the form; ``POST`` takes a token, and leads to the page that asked for it."""

    public = True
    page = "sign-in"
    max_body_bytes = 8 << 10
    _next = "/"

    def get(self) -> None:
        self._next = own_path(self.get_query_argument("next", "/"))
        if self.caller.scope:
            self.redirect(self._next, status=303)
        else:
            self.render("sign_in.html", next=self._next, failure=None)

    def post(self) -> None:
        if len(self.body) > self.max_body_bytes:
            raise self.too_large()
        access = self.service.access
        access.check_own_page(self.request)
        form: SignInForm = parse_query(SignInForm, parse_qs_bytes(bytes(self.body), keep_blank_values=True))
        self._next = own_path(form.next)
        if access.tokens:
            session = sessions.new_session(access.sign_in(self.request, form.token.strip()))
            secure = self._is_https()
            self.set_cookie(
                sessions.COOKIE, session, max_age=sessions.SECONDS, httponly=True, samesite="Lax", secure=secure
            )
        self.redirect(self._next, status=303)

    def finish_error(self, failure: ServiceError) -> None:
        if self.service.access.tokens:
            self.render("sign_in.html", next=self._next, failure=failure)
        else:
            super().finish_error(failure)

    def _is_https(self) -> bool:
        """Whether the browser speaks HTTPS, with a proxy in front of this service perhaps. It says so itself."""
        scheme, separator, _ = self.request.headers.get("Origin", "").partition("://")
        if separator:
            return scheme == "https"
        return self.request.protocol == "https" or (self.service.public_url or "").startswith("https://")


class SignOutHandler(PageHandler):
    """``POST /sign-out``: the browser forgets its session."""

    public = True

    def post(self) -> None:
        self.service.access.check_own_page(self.request)
        self.clear_cookie(sessions.COOKIE)
        self.redirect("/sign-in", status=303)


def own_path(given: str) -> str:
    """Where to go after signing in: a path of this service, whatever a link has asked for."""
    is_path = re.fullmatch(r"/(?![/\\]|sign-)[^\x00-\x20\x7f\\]*", given)
    return quote(given, safe="/%?#[]@!$&'()*+,;=:~") if is_path else "/"
