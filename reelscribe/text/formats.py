"""The formats of a finished transcript: the one list for command line, HTTP API, ``[results] formats`` and docs."""

from enum import StrEnum
from typing import Self

from reelscribe.errors import UnsupportedFormat

_WORD = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"


class Format(StrEnum):
    """A format: its name, its content type, what is in it, and the ending of its files if that is not its name."""

    content_type: str
    description: str
    ending: str

    def __new__(cls, name: str, content_type: str, description: str, ending: str = "") -> Self:
        member = str.__new__(cls, name)
        member._value_ = name
        member.content_type = content_type
        member.description = description
        member.ending = ending or name
        return member

    @property
    def is_for_players(self) -> bool:
        """Whether video players look for such files next to the video."""
        return self in (Format.SRT, Format.VTT)

    TXT = "txt", "text/plain; charset=utf-8", "one line per segment"
    PARAGRAPHS = "paragraphs", "text/plain; charset=utf-8", "running text in paragraphs, in a `.txt` file", "txt"
    DOCX = "docx", _WORD, "a Word document: title, then paragraphs"
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
