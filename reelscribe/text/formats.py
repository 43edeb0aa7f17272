"""The formats of a finished transcript: the one list for command line, HTTP API, ``[results] formats`` and docs."""

from enum import StrEnum
from typing import Self

from reelscribe.errors import UnsupportedFormat


class Format(StrEnum):
    """A format: its name (which is the ending of its files too), its content type, and what is in it."""

    content_type: str
    description: str

    def __new__(cls, name: str, content_type: str, description: str) -> Self:
        member = str.__new__(cls, name)
        member._value_ = name
        member.content_type = content_type
        member.description = description
        return member

    TXT = "txt", "text/plain; charset=utf-8", "one line per segment"
    SRT = "srt", "application/x-subrip; charset=utf-8", "SubRip subtitles"
    VTT = "vtt", "text/vtt; charset=utf-8", "WebVTT subtitles"
    TSV = "tsv", "text/tab-separated-values; charset=utf-8", "start and end in milliseconds, and text"
    JSON = "json", "application/json; charset=utf-8", "everything, with receipt, words and tokens"
    JSONL = "jsonl", "application/x-ndjson", "one row per segment, each with savepath, language and model"


def parse_format(name: str) -> Format:
    """The format of this name.

    Raises:
        UnsupportedFormat: there is none; the sentence lists those that exist.
    """
    for known in Format:
        if known == name:
            return known
    raise UnsupportedFormat(f"format {name!r} is not offered; take one of {', '.join(Format)}", allowed=list(Format))
