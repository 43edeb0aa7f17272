"""Databases of one PostgreSQL."""

from urllib.parse import urlsplit


def on_the_server_of(url: str, name: str) -> str:
    """The URL of another database there."""
    return urlsplit(url)._replace(path=f"/{name}").geturl()
