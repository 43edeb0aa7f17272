"""The paths of a recording's page and of its routes, as a browser writes them."""

import math
from urllib.parse import quote, urlencode

ROUTES = ("file", "audio", "peaks", "segments", "about", "undo", "title")
"""Last parts of paths that are routes of a recording: a savepath that ends so is written with a ``%2F``."""

AS_IN_SCRIPTS = "/!'()*"
"""What ``encodeURIComponent`` of JavaScript leaves as it is, and the slashes between the parts of a savepath."""


def recording_path(before: str, savepath: str, route: str | None = None, **query: str | None) -> str:
    """The path of a recording below ``before``, such as ``/media/``.

    Args:
        route: one of :data:`ROUTES`; None for the page itself.
        query: what is None is left out.
    """
    folder, slash, name = savepath.rpartition("/")
    slash = "%2F" if slash and name in ROUTES and route is None else slash
    path = f"{quote(folder, AS_IN_SCRIPTS)}{slash}{quote(name, AS_IN_SCRIPTS)}"
    named = {key: value for key, value in query.items() if value is not None}
    return f"{before}{path}{f'/{route}' if route else ''}{f'?{urlencode(named)}' if named else ''}"


def moment(seconds: float) -> str:
    """The end of a page's address that leads to this time: never earlier, or it would show the line before."""
    return f"#t={math.ceil(round(seconds * 100, 6)) / 100}"
