"""Why a recording cannot be had: yt-dlp's failures, sorted by what helps."""

import re
from collections.abc import Iterable, Mapping
from enum import StrEnum
from errno import EFBIG, ENOSPC
from typing import Any

from reelscribe.errors import NoRoom
from reelscribe.http.peers.retry_after import seconds_to_wait
from reelscribe.text.urls import without_password


class FailureKind(StrEnum):
    """What helps."""

    GONE = "gone"
    """Nothing: there is no such recording, or it is private."""
    BLOCKED = "blocked"
    """Time: the source takes us for a bot, or has had too many requests."""
    OUTDATED = "outdated"
    """A newer yt-dlp."""
    NETWORK = "network"
    """Another attempt."""
    REFUSED = "refused"
    """Another setting or another day: too large, empty, at a private address, or live."""


class DownloadFailed(Exception):
    """A recording cannot be had.

    Args:
        message: one sentence.
        retry_after: seconds that the source asks us to wait.
    """

    def __init__(self, kind: FailureKind, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message
        self.retry_after = retry_after


_BLOCKED = re.compile(
    r"not a bot|rate.?limit|captcha|anti-bot|too many requests|try again later|ip address is (?:blocked|banned)"
    r"|temporarily blocked|unusual traffic",
    re.IGNORECASE,
)
_LIVE = re.compile(r"premieres? (?:in|will)|live event (?:will|has not)|live stream .*not started", re.IGNORECASE)
_GONE = re.compile(
    r"video (?:is |has been )?(?:unavailable|removed|deleted)|private|no longer available|does(?: not|n.t) exist"
    r"|account .*(?:terminated|suspended)|members.only|join this channel|confirm your age|age.restricted|login"
    r"|log in|registered users|sign in|\bDRM\b|unsupported url|not available in your (?:country|location)",
    re.IGNORECASE,
)
_CUT = re.compile(
    r"bytes read\b.*expected|giving up after|timed out|connection (?:was )?(?:reset|refused|aborted|broken)"
    r"|incomplete ?read|name resolution|did not get any data|yt-dlp's process ended",
    re.IGNORECASE,
)
_REPORT = re.compile(r"please report this issue|confirm you are on the latest version|yt-dlp -U", re.IGNORECASE)
_NETWORK = {
    *("TransportError", "IncompleteRead", "ContentTooShortError", "SSLError", "ProxyError", "TimeoutError"),
    *("ConnectionResetError", "ConnectionRefusedError", "BrokenPipeError", "RemoteDisconnected", "Changed"),
}
_NAMES = re.compile(r"https?://\S+|'[^'\s]+'|with url: \S+", re.IGNORECASE)
"""Addresses, their hosts and paths: any word may be in them."""
_MISSING = (404, 410, 451)
_FORBIDDEN = (401, 402, 403)
TOO_MANY, REQUEST_TIMEOUT = 429, 408


def failure_of(described: Mapping[str, Any], fetched: bool, named_site: bool) -> DownloadFailed:
    """The failure that yt-dlp's process has described.

    Args:
        fetched: during the download, after the source has named the file.
        named_site: by an extractor for this site, which may be out of date.

    Raises:
        NoRoom: it is the disk.
    """
    if described.get("errno") == ENOSPC:
        raise NoRoom("the disk that recordings are downloaded to is full; make room, then run it again")
    text, status, causes = str(described["message"]), described.get("status"), described.get("causes") or ()
    said = _NAMES.sub("", text.replace(f"] {described.get('video_id')}: ", "] ", 1))
    kind = _kind(said, status, causes, bool(described.get("expected")), described.get("errno"), fetched and named_site)
    return DownloadFailed(kind, sentence(text), seconds_to_wait(described.get("retry_after")))


def _kind(
    text: str, status: int | None, causes: Iterable[str], expected: bool, errno: int | None, of_site: bool
) -> FailureKind:
    if "Refused" in causes or errno == EFBIG:
        return FailureKind.REFUSED
    if status and (status >= 500 or status == REQUEST_TIMEOUT):
        return FailureKind.NETWORK
    if status not in _MISSING:
        if _LIVE.search(text):
            return FailureKind.REFUSED
        if status == TOO_MANY or _BLOCKED.search(text):
            return FailureKind.BLOCKED
    if status in _MISSING or status in _FORBIDDEN:  # if the site has just named the file, yt-dlp has misread it
        return FailureKind.OUTDATED if of_site else FailureKind.GONE
    if status is None and (_NETWORK.intersection(causes) or _CUT.search(text)):
        return FailureKind.NETWORK
    if _REPORT.search(text):
        return FailureKind.OUTDATED
    return FailureKind.GONE if expected or _GONE.search(text) else FailureKind.OUTDATED


def sentence(text: str) -> str:
    """What yt-dlp says, without what is meant for its developers."""
    text = re.sub(r"\x1b\[[0-9;]*m", "", " ".join(text.split()))
    text = re.sub(r"^ERROR: |\[download\] ", "", text)
    text = re.sub(r"; please report this issue on .*| \(caused by .*", "", text)
    return without_password(text)[:500] or "no reason is known"
