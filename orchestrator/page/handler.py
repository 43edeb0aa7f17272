"""What the handlers of all pages share: the headers that keep a page safe, templates, and errors that people read."""

from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from orchestrator.api.handlers import OrchestratorHandler
from orchestrator.page.static_files import STATIC_FILES, address
from reelscribe import errors
from reelscribe.http.server.service import NoRouteHandler

TEMPLATES = Path(__file__).parent / "templates"


def policy(*connected: str) -> str:
    """The ``Content-Security-Policy``: nothing of another host, and nothing inline: text of other people can start
    nothing.

    Args:
        connected: origins that scripts may send to besides our own.
    """
    return "; ".join(
        (
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            "img-src 'self' data:",
            "media-src 'self'",
            " ".join(("connect-src 'self'", *connected)),
            "form-action 'self'",
            "base-uri 'none'",
            "frame-ancestors 'none'",
        )
    )


CONTENT_SECURITY_POLICY = policy()

SECURITY_HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    # Other sites learn of no page. With no-referrer, browsers would not say that a form is sent by a page of ours.
    "Referrer-Policy": "same-origin",
}

FILES_OF_SIGN_IN = ("style.css", "icon.svg", "sign_in.js")
"""Static files that need no sign-in."""


class PageHandler(OrchestratorHandler):
    """One page; without a sign-in, where one is needed, it leads there.

    Its template gets ``asset(name)``, the address of a static file, ``page``, its name in the menu, and ``caller``.
    """

    page = ""

    def set_default_headers(self) -> None:
        self.set_header("Cache-Control", "no-cache")
        super().set_default_headers()
        for name, value in SECURITY_HEADERS.items():
            self.set_header(name, value)

    def get_template_path(self) -> str:
        return str(TEMPLATES)

    def get_template_namespace(self) -> dict[str, Any]:
        return {**super().get_template_namespace(), "asset": address, "page": self.page, "caller": self.caller}

    def finish_error(self, failure: errors.ServiceError) -> None:
        if isinstance(failure, errors.Unauthorized):
            self.clear_header("WWW-Authenticate")
            query = f"?{self.request.query}" if self.request.query else ""
            self.redirect(f"/sign-in?{urlencode({'next': self.request.path + query})}", status=303)
            return
        self.render("error.html", failure=failure, request_id=self.request_id)


class StaticHandler(PageHandler):
    """``GET /static/{version}/{name}``: a script, a sheet or a picture of the page."""

    @property
    def public(self) -> bool:  # type: ignore[override]
        """The page for signing in needs some of them."""
        return self.path_args[1] in FILES_OF_SIGN_IN

    def get(self, version: str, name: str) -> None:
        file = STATIC_FILES.files.get(name)
        if file is None:
            raise errors.RouteNotFound(f"there is no {self.request.path}")
        # The version in the address is that of all files together: what it leads to never changes.
        forever = version == STATIC_FILES.version
        self.set_header("Cache-Control", "private, max-age=31536000, immutable" if forever else "no-cache")
        self.set_header("Content-Type", file.content_type)
        self.set_header("ETag", file.etag)
        if self.check_etag_header():
            self.set_status(304)
            return
        self.finish(file.content)

    def finish_error(self, failure: errors.ServiceError) -> None:
        self.finish(self.error_body(failure))


class NoPageHandler(NoRouteHandler, PageHandler):
    """Answers every URL that there is not: as a page to a browser, as JSON to a program."""

    def finish_error(self, failure: errors.ServiceError) -> None:
        if "text/html" in self.request.headers.get("Accept", ""):
            super().finish_error(failure)
        else:
            self.finish(self.error_body(failure))
