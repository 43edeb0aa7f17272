"""The id of a request, which is the same in the logs of all services that it passes through."""

import re
import uuid
from typing import TYPE_CHECKING

from tornado.httputil import HTTPHeaders

from reelscribe.log_context import REQUEST_ID, noted

if TYPE_CHECKING:
    import httpx  # services that ask no other one do without it

HEADER = "X-Request-Id"
_FIT = re.compile(r"[\w.-]{1,64}", re.ASCII)


def request_id(headers: HTTPHeaders) -> str:
    """The caller's, if it is 1 to 64 letters, digits, ``_``, ``.`` or ``-``; else a new one."""
    given = headers.get(HEADER, "")
    return given if _FIT.fullmatch(given) else uuid.uuid4().hex


async def pass_on(request: "httpx.Request") -> None:
    """A hook of httpx: what is sent for a request, or for an attempt at a job, has the id of that."""
    if known := noted().get(REQUEST_ID):
        request.headers.setdefault(HEADER, str(known))
