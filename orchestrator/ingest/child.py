"""The program that runs yt-dlp, in yt-dlp's own environment; it imports nothing of ours.

Requests come as lines of JSON on standard input, and what is found leaves as lines of JSON: no address is an argument,
which other users of this host could read. A connection to a private address is refused unless its host was named, and
so is any other program that would open an address itself.
"""

import importlib
import ipaddress
import json
import os
import signal
import socket
import sys
import time
from collections.abc import Iterable
from typing import Any, TextIO
from urllib.parse import urlsplit
from urllib.request import getproxies

RESUME = "resume.json"
"""What the servers said of the files of an unfinished download, next to it."""
MEDIA = "media.%(ext)s"
PROGRESS_SECONDS = 0.2
LISTS = ("playlist", "multi_video")
VALIDATORS = ("ETag", "Last-Modified")
NAT64 = ipaddress.ip_network("64:ff9b::/96")
GLOBAL_UNICAST = ipaddress.ip_network("2000::/3")
"""All of IPv6 that is of the internet; others embed an IPv4 address, such as 64:ff9b:1::/48, or are of one network."""


class Refused(OSError):
    """Something that yt-dlp was about to do and may not; it expects an error of the system."""


class Guard:
    """Looks at each connection and each program before it begins.

    Args:
        proxies: hosts that are always allowed, whatever addresses they have.
    """

    def __init__(self, proxies: Iterable[str | None]) -> None:
        self._proxies = {address for host in proxies for address in addresses(host)}
        self._allowed = self._proxies
        sys.addaudithook(self._look)

    def allow(self, host: str | None) -> None:
        """From now on this host, which was named by the user, and no host that was named before."""
        self._allowed = self._proxies | addresses(host)

    def _look(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event == "socket.connect" and isinstance(arguments[1], tuple):
            address = str(arguments[1][0])
            if address not in self._allowed and not is_public(address):
                raise Refused(f"{address} is a private address, and its host was not named")
        elif event == "subprocess.Popen" and any("://" in os.fsdecode(word) for word in arguments[1]):
            raise Refused(f"{arguments[1][0]} would open addresses that cannot be checked")


def addresses(host: str | None) -> set[str]:
    """Those that a host has now; none if it has no name that can be looked up, of which yt-dlp will say more."""
    try:
        return {str(entry[4][0]) for entry in socket.getaddrinfo(host, None)} if host else set()
    except (OSError, UnicodeError):
        return set()


def is_public(address: str) -> bool:
    """Whether an IP address is one of the internet."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(found, ipaddress.IPv6Address):
        if found in NAT64:
            found = ipaddress.IPv4Address(int(found) & 0xFFFFFFFF)
        else:
            found = found.ipv4_mapped or found.sixtofour or found
    if isinstance(found, ipaddress.IPv6Address) and found not in GLOBAL_UNICAST:
        return False
    return found.is_global and not found.is_multicast


class Log:
    """Takes what yt-dlp prints; the last lines explain a download that ended without a file."""

    def __init__(self) -> None:
        self.last: list[str] = []

    def debug(self, line: str) -> None:
        if (line := line.strip()) and not line.startswith("[info]"):
            self.last = [*self.last[-2:], line]

    info = warning = error = debug


class Child:
    """Answers requests.

    Args:
        out: takes the answers, one per line.
    """

    def __init__(self, arguments: list[str], guard: Guard, out: TextIO) -> None:
        self._yt_dlp: Any = importlib.import_module("yt_dlp")
        self._networking: Any = importlib.import_module("yt_dlp.networking")
        self._log, self._guard, self._out = Log(), guard, out
        options = self._yt_dlp.parse_options(arguments).ydl_opts
        options |= {"logger": self._log, "progress_hooks": [self._progress], "outtmpl": {"default": MEDIA}}
        self._max_bytes: int | None = options.get("max_filesize")
        self._ydl: Any = self._yt_dlp.YoutubeDL(options)
        self._videos: list[dict[str, Any]] = []
        self._reported = 0.0
        self._before: dict[str, int] = {}

    def say(self, **answer: object) -> None:
        """One line."""
        print(json.dumps(clean(answer)), file=self._out, flush=True)

    def greet(self) -> None:
        """The first line."""
        self.say(version=importlib.import_module("yt_dlp.version").__version__)

    def answer(self, request: dict[str, Any]) -> None:
        """Do what a request asks for, and report how it ended."""
        try:
            if "look" in request:
                self._guard.allow(request["host"])
                self._look(request["look"], request["list"])
            else:
                self._fetch(self._videos[request["fetch"]], request["folder"])
        except Exception as failed:
            self.say(failure=described(failed))

    def _look(self, url: str, is_list: bool) -> None:
        """What is at an address: videos, which can be fetched by their number, and links to more."""
        self._ydl.params["noplaylist"] = not is_list
        self._videos = []
        found = self._ydl.extract_info(url, download=False)
        in_list = bool(found) and found.get("_type") in LISTS
        for entry in self._entries(found):
            link = entry.get("_type") in ("url", "url_transparent")
            if not link:
                self._videos.append(entry)
            key = entry.get("ie_key" if link else "extractor_key")
            self.say(
                found={
                    "in_list": in_list,
                    "media": "" if link else media_of(entry),
                    "number": None if link else len(self._videos) - 1,
                    "extractor": str(key or ""),
                    "id": str(entry.get("id") or ""),
                    "url": str((entry.get("url") if link else entry.get("webpage_url")) or ""),
                    "title": str(entry.get("title") or ""),
                    "extension": str(entry.get("ext") or ""),
                    "live": entry.get("live_status") in ("is_live", "is_upcoming", "post_live"),
                }
            )
        self.say(end=True)

    def _entries(self, found: Any) -> Any:
        if found and found.get("_type") in LISTS:
            for entry in found.get("entries") or ():
                yield from self._entries(entry)
        elif found:
            yield found

    def _fetch(self, video: dict[str, Any], folder: str) -> None:
        """Download into a folder, where an earlier attempt may have left its part."""
        os.chdir(folder)
        before = self._validators(video)
        if any(part.get("bytes") == 0 for part in before):
            raise Refused("the file is empty")
        if not self._continues(before):
            for name in os.listdir():
                os.remove(name)
        with open(RESUME, "w") as file:
            json.dump(before, file)
        self._before, self._reported, self._log.last = {}, 0.0, []
        info = self._ydl.sanitize_info(video, remove_private_keys=True)
        ended = self._ydl.process_ie_result(info, download=True)
        done = [each["filepath"] for each in ended.get("requested_downloads") or () if "filepath" in each]
        if not done or not os.path.isfile(done[-1]):
            raise Refused("; ".join(self._log.last) or "yt-dlp has left no file")
        self._check(done[-1], video, before)
        self.say(stored={"name": os.path.basename(done[-1]), "bytes": os.path.getsize(done[-1])})

    def _validators(self, video: dict[str, Any]) -> list[dict[str, Any]]:
        """What the server says of each file that will be downloaded; nothing of what comes in fragments."""
        return [self._validator(part) for part in video.get("requested_formats") or [video]]

    def _validator(self, part: dict[str, Any]) -> dict[str, Any]:
        known = {"format": part.get("format_id")}
        if part.get("protocol") not in ("http", "https") or part.get("fragments"):
            return known
        headers = {**(part.get("http_headers") or {}), "Range": "bytes=0-0", "Accept-Encoding": "identity"}
        try:
            with self._ydl.urlopen(self._networking.Request(part["url"], headers=headers)) as answer:
                total = answer.headers.get("Content-Range", "").rpartition("/")[2]
                if answer.status != 206:
                    total = answer.headers.get("Content-Length", "")
                said = {name: answer.headers[name] for name in VALIDATORS if name in answer.headers}
        except self._networking.exceptions.HTTPError as refused:
            is_empty = refused.response.headers.get("Content-Range") == "bytes */0"
            return {**known, "bytes": 0} if is_empty else known  # the download itself will say more
        return {**known, **said, "bytes": int(total) if total.isdigit() else None}

    def _continues(self, now: list[dict[str, Any]]) -> bool:
        """Whether the part that an earlier attempt has left is of the same files, as far as the server can say."""
        try:
            with open(RESUME) as file:
                before = json.load(file)
        except (OSError, ValueError):
            return False
        return bool(before == now and all(any(name in part for name in VALIDATORS) for part in now))

    def _check(self, path: str, video: dict[str, Any], before: list[dict[str, Any]]) -> None:
        expected, size = before[0].get("bytes") if len(before) == 1 else None, os.path.getsize(path)
        if expected is not None and size != expected:
            os.remove(path)
            raise Changed(f"{size} bytes came of a file of {expected}")
        if self._validators(video) != before:
            os.remove(path)
            raise Changed("the file has changed on the server during the download")

    def _progress(self, state: dict[str, Any]) -> None:
        """What yt-dlp reports while it downloads; a video may consist of several files."""
        done = int(state.get("downloaded_bytes") or 0)
        self._before[str(state.get("filename"))] = done
        if self._max_bytes and done > self._max_bytes:
            raise Refused(f"it is larger than max-filesize ({self._max_bytes} bytes)")
        now = time.monotonic()
        if now < self._reported + PROGRESS_SECONDS and state.get("status") != "finished":
            return
        self._reported = now
        total = state.get("total_bytes") or state.get("total_bytes_estimate")
        others = sum(self._before.values()) - done
        self.say(progress={"bytes": others + done, "total": others + int(total) if total else None})


def media_of(video: dict[str, Any]) -> str:
    """The address of its file, or of the first of its files."""
    parts = video.get("requested_formats") or [video]
    return str(parts[0].get("url") or "")


def clean(value: Any) -> Any:
    """The value with texts that can be stored: a page may hold anything."""
    if isinstance(value, dict):
        return {name: clean(inner) for name, inner in value.items()}
    return value.encode("utf-8", "replace").decode().replace("\0", "") if isinstance(value, str) else value


class Changed(Exception):
    """What was downloaded is no one version of the file."""


def described(failed: BaseException) -> dict[str, object]:
    """A failure as the parent needs it: what it says, and what caused it."""
    chain: list[BaseException] = []
    cause: BaseException | None = failed
    while cause and cause not in chain:
        chain.append(cause)
        wrapped = getattr(cause, "exc_info", None)
        inner = wrapped[1] if isinstance(wrapped, tuple) and len(wrapped) > 1 else None
        cause = inner or getattr(cause, "cause", None) or cause.__cause__ or cause.__context__
    status = next((link.status for link in chain if isinstance(getattr(link, "status", None), int)), None)  # type: ignore[attr-defined]
    response = next((link.response for link in chain if hasattr(link, "response")), None)
    refusal = next((link for link in chain if isinstance(link, Refused)), None)
    video_ids = (getattr(link, "video_id", None) for link in (failed, failed.__context__))
    return {
        "message": str(refusal or failed),
        "video_id": next((str(video_id) for video_id in video_ids if video_id), None),
        "causes": [type(link).__name__ for link in chain],
        "status": status,
        "retry_after": response.headers.get("Retry-After") if response is not None else None,
        "expected": any(getattr(link, "expected", False) is True for link in chain),
        "errno": next((link.errno for link in chain if isinstance(link, OSError)), None),
    }


def proxy_hosts() -> list[str | None]:
    """Those of the environment; ``no_proxy``, which it has under ``no``, names hosts that are none."""
    proxies = [proxy for scheme, proxy in getproxies().items() if scheme != "no"]
    return [urlsplit(proxy if "://" in proxy else f"//{proxy}").hostname for proxy in proxies]


def main() -> None:
    """Answer requests until standard input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # of a terminal: the parent ends this process
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what anything else prints is no answer
    guard = Guard(proxy_hosts())
    try:
        child = Child(json.loads(sys.stdin.readline()), guard, out)
    except ImportError:
        raise
    except Exception as mistake:
        print(json.dumps(clean({"failure": described(mistake)})), file=out, flush=True)
        return
    child.greet()
    for line in sys.stdin:
        child.answer(json.loads(line))


if __name__ == "__main__":
    main()
