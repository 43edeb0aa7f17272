"""What a recording of the web is called here, what it is stored as, and whose it is."""

import hashlib
import re
from urllib.parse import urldefrag, urlsplit

from orchestrator.jobs.ingested import UNKNOWN, VideoKey

WEB = "web"
NAMELESS = ("generic", "html5mediaembed")
"""Extractors of any page: their ids are names of files, which many pages have."""
MOST_LETTERS = 100
LONGEST_ADDRESS = 2500
"""Bytes: what an index of PostgreSQL takes."""
_UNSAFE = re.compile(r"[^A-Za-z0-9_-]+")
_SAME_SOURCE = {"youtu.be": "youtube.com", "youtube-nocookie.com": "youtube.com"}
_OF_A_SITE = re.compile(r"^(?:www|m|mobile|music)\.(?=.+\.)")


def mistake_in_address(url: str) -> str | None:
    """Why this is no address to ingest from, as the end of a sentence; None if it is one."""
    if re.search(r"[\x00-\x20\x7f\ud800-\udfff]", url):
        return "must not contain spaces, control characters or bytes that are no UTF-8"
    if len(url.encode()) > LONGEST_ADDRESS:
        return f"is longer than {LONGEST_ADDRESS} bytes"
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018  # raises
    except ValueError as mistake:
        return f"is no address ({mistake})"
    if parts.scheme.lower() not in ("http", "https") or not parts.hostname:
        return "is no address that begins with http:// or https://"
    return None


def video_key(extractor: str, video_id: str, page: str, media: str = "") -> VideoKey:
    """What names a recording: the id that its site gives it, or on pages of no such site also the address.

    Args:
        media: address of the file, if the page has several.
    """
    if (extractor := extractor.lower()) in NAMELESS:
        return VideoKey(WEB, f"{_safe(video_id, 60)}-{_digest(' '.join((urldefrag(page).url, media)).strip())}")
    return VideoKey(extractor, video_id)


def unknown_key(url: str) -> VideoKey:
    """What names the answer to an address that has none."""
    return VideoKey(UNKNOWN, _digest(url, 32))


def savepath_of(key: VideoKey, extension: str, folder: str) -> str:
    """The savepath, of safe characters only; another recording has another one."""
    suffix = re.sub(r"[^a-z0-9]", "", extension.lower())[:8] or "bin"
    return f"{folder}{_unique(key.extractor)}/{_unique(key.video_id)}.{suffix}"


def folder_name(key: VideoKey) -> str:
    """Of the folder that its download is in."""
    return f"{_unique(key.extractor)}.{_unique(key.video_id)}"


def source_of(url: str) -> str:
    """The site that a pause applies to."""
    host = _OF_A_SITE.sub("", (urlsplit(url).hostname or "").removesuffix("."))
    return _SAME_SOURCE.get(host, host)


def _unique(text: str) -> str:
    """Safe characters; if there were others, with a hash of all of them."""
    safe = _safe(text, MOST_LETTERS)
    return safe if safe == text else f"{safe[: MOST_LETTERS - 11]}-{_digest(text)}"


def _safe(text: str, most: int) -> str:
    return _UNSAFE.sub("_", text).strip("_")[:most] or "recording" if _UNSAFE.search(text) or not text else text[:most]


def _digest(text: str, letters: int = 10) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:letters]
