"""Types of single keys: paths, URLs, bucket names, lists; each has a sentence for a value that does not fit."""

import os
import re
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import unquote, urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, PlainValidator

from reelscribe.savepath import mistake_in
from reelscribe.text.urls import without_password


def _comma_separated(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    return tuple(part.strip() for part in value.split(",") if part.strip())


def _empty_is_none(value: Any) -> Any:
    return None if value == "" else value


def _not_empty(value: Any) -> Any:
    if value == "":
        raise ValueError("is empty; name a path, or leave the key out")
    return value


def _expanded(path: Path) -> Path:
    return Path(os.path.expanduser(path)).absolute()


def _http_url(value: str) -> str:
    shown = without_password(value if "://" in value else f"://{value}").removeprefix("://")
    mistake = f"{shown!r} is not a base URL such as http://extractor:8888"
    if not re.fullmatch(r"https?://[^/\s?#]+(/[^\s?#]*)?", value):
        raise ValueError(mistake)
    try:
        parts = urlsplit(value)
        port, host = parts.port, parts.hostname or ""
        if "[" in parts.netloc or re.fullmatch(r"\d+(\.\d+){3}", host):
            ip_address(host)
        elif not host.isascii():
            host.encode("idna")
    except ValueError:
        raise ValueError(f"{mistake}; its host or its port cannot be read") from None
    if not host or port == 0:
        raise ValueError(mistake)
    return value.rstrip("/")


def _webhook_url(value: str) -> str:
    if not re.fullmatch(r"[!-~]{1,2000}", value):
        raise ValueError("must be 1 to 2000 ASCII characters without spaces; write others percent-encoded")
    try:
        parts = urlsplit(value)
        parts.port  # noqa: B018  # raises
    except ValueError:
        raise ValueError("cannot be read as a URL") from None
    if parts.scheme.lower() not in ("http", "https") or not parts.hostname:
        raise ValueError("is no URL that begins with http:// or https://")
    try:
        _host_name(parts.hostname)
        if "[" in parts.netloc or re.fullmatch(r"\d+(\.\d+){3}", parts.hostname):
            ip_address(parts.hostname)
    except ValueError:
        raise ValueError("has no host that can be read, such as example.com") from None
    if "@" in parts.netloc or "#" in value:
        raise ValueError("must have no user name, password or #fragment")
    return value


def _origin(value: str) -> str:
    if not re.fullmatch(r"https?://([\w.-]+|\[[0-9A-Fa-f:.]+\])(:\d{1,5})?/?", value, re.ASCII):
        raise ValueError(f"{value!r} is not an address without a path, such as https://minio.example.com:9000")
    return value.rstrip("/")


def _endpoint(value: str) -> str:
    if value and not re.fullmatch(r"([\w.-]+|\[[0-9A-Fa-f:.]+\])(:\d{1,5})?", value):
        raise ValueError(f"{value!r} is not HOST:PORT such as minio:9000; secure says whether it is HTTPS")
    return value


def _host_name(value: str) -> str:
    if not re.fullmatch(r"[\w-]+(\.[\w-]+)*\.?|[0-9A-Fa-f:.]+|\[[0-9A-Fa-f:.]+\]", value, re.ASCII):
        raise ValueError(f"{value!r} is not a host such as extractor.example.com; leave out scheme, port and path")
    return value.lower().strip("[]").removesuffix(".")


def _network(value: Any) -> IPv4Network | IPv6Network:
    try:
        network = ip_network(str(value))
    except ValueError:
        found = f"{value!r} is not" if isinstance(value, str) else "must be"
        raise ValueError(f"{found} an IP address or a network such as 10.0.0.0/8") from None
    if not network.prefixlen:
        raise ValueError(f"{value!r} is every address there is")
    return network


def _bucket_name(value: str) -> str:
    if not re.fullmatch(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", value) or ".." in value:
        raise ValueError(f"{value!r} is not a bucket name (3 to 63 lower-case letters, digits, '.' or '-')")
    return value


def _bucket_folder(value: str) -> str:
    bucket, folder = bucket_and_folder(value)
    _bucket_name(bucket)
    if folder and (wrong := mistake_in(folder.rstrip("/"))):
        raise ValueError(f"its folder {wrong}")
    return f"{bucket}/{folder}"


def bucket_and_folder(value: str) -> tuple[str, str]:
    """The parts of ``BUCKET/FOLDER``: the second ends with a slash, or is empty."""
    bucket, _, folder = value.partition("/")
    folder = folder.rstrip("/")
    return bucket, f"{folder}/" if folder else ""


CommaSeparated = BeforeValidator(_comma_separated)
EmptyIsNone = BeforeValidator(_empty_is_none)
AnyPath = Annotated[Path, BeforeValidator(_not_empty), AfterValidator(_expanded)]
OptionalPath = Annotated[AnyPath | None, EmptyIsNone]
BucketName = Annotated[str, AfterValidator(_bucket_name)]
BucketFolder = Annotated[str, AfterValidator(_bucket_folder)]
"""``BUCKET`` or ``BUCKET/FOLDER``, see :func:`bucket_and_folder`."""
HostPort = Annotated[str, AfterValidator(_endpoint)]
HostName = Annotated[str, AfterValidator(_host_name)]
Network = Annotated[IPv4Network | IPv6Network, PlainValidator(_network)]
Url = Annotated[str, AfterValidator(_http_url)]
WebhookUrl = Annotated[str, AfterValidator(_webhook_url)]
"""Of whoever is notified: it may hold a secret, and is not repeated in what is said of a mistake."""
Origin = Annotated[str, AfterValidator(_origin)]
Port = Annotated[int, Field(ge=0, le=65535)]
GpuIndex = Annotated[int, Field(ge=0, le=63)]
Seconds = Annotated[float, Field(gt=0, le=7 * 86400)]
_ENCODED = r"%(?!00)[0-9A-Fa-f]{2}"
_LETTER = rf"(?:[^%/?#@:\x00-\x20\x7f]|{_ENCODED})"
_HOST = rf"(?:\[[^]%/?#@]*\]|(?:(?![,\[]){_LETTER})*)(?::[0-9]*)?"
_PARAMETER = rf"[A-Za-z_]+=(?:[^%=&#@\x00-\x20\x7f]|{_ENCODED})*"
_POSTGRESQL_URL = re.compile(
    rf"postgres(?:ql)?://(?:(?:{_LETTER}|:)*@)?{_HOST}(?:,{_HOST})*(?:/{_LETTER}*)?(?:\?{_PARAMETER}(?:&{_PARAMETER})*)?"
)
"""Stricter than libpq: if it splits a URL in the wrong place, its messages show the password."""


def _database_url(value: str) -> str:
    if value == "embedded":
        return value
    if not value.startswith(("postgresql://", "postgres://")):
        raise ValueError("expected 'embedded' or a URL such as postgresql://user@host/reelscribe")
    if not _POSTGRESQL_URL.fullmatch(value) or "\N{REPLACEMENT CHARACTER}" in unquote(value):
        encoded = "a %, /, ?, @, # or blank in the password must be percent-encoded (@ is %40)"
        raise ValueError(f"cannot be read; {encoded}")
    return value


DatabaseUrl = Annotated[str, AfterValidator(_database_url)]
