"""SubRip and WebVTT."""

import html
from collections.abc import Iterable
from typing import Protocol


class Timed(Protocol):
    """A segment or a subtitle; times in seconds."""

    @property
    def start(self) -> float: ...

    @property
    def end(self) -> float: ...

    @property
    def text(self) -> str: ...


def srt(cues: Iterable[Timed], first: int = 1) -> str:
    """SubRip subtitles, numbered from ``first`` on."""
    return "".join(
        f"{number}\n{clock(cue.start, ',')} --> {clock(cue.end, ',')}\n"
        # SubRip cannot escape its arrow, and some players take a text that holds one for a new cue.
        f"{_lines(cue.text).replace('-->', '->')}\n\n"
        for number, cue in enumerate(cues, start=first)
    )


def vtt(cues: Iterable[Timed]) -> str:
    """WebVTT subtitles."""
    return "WEBVTT\n\n" + "".join(
        f"{clock(cue.start)} --> {clock(cue.end)}\n{html.escape(_lines(cue.text), quote=False)}\n\n" for cue in cues
    )


def clock(seconds: float, separator: str = ".") -> str:
    """``HH:MM:SS.mmm``, rounded to the nearest millisecond."""
    milliseconds = max(0, round(seconds * 1000))
    minutes, rest = divmod(milliseconds, 60_000)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{rest // 1000:02}{separator}{rest % 1000:03}"


def one_line(text: str) -> str:
    """The text without line breaks and runs of spaces."""
    return " ".join(text.split())


def _lines(text: str) -> str:
    """The text without empty lines: one would end a subtitle."""
    return "\n".join(line for line in map(one_line, text.splitlines()) if line)
