"""Files that a download or a copy is still writing, known by their names or by the file that is kept next to them.

Each rule is a name that one program gives: yt-dlp, Chromium, Firefox, Safari and Opera, Android's MediaStore, rsync
(``--partial-dir``, ``--delay-updates``), aria2, axel, wget, rclone and Syncthing.
"""

import re
from collections.abc import Iterator

XL_META = "xl.meta"
"""What MinIO stores in the folder that is an object, or in the one above: no file there is an object itself."""
_UNFINISHED = re.compile(
    r"""
    \.(?:part|ytdl|crdownload|download|opdownload|partial|aria2|st|tmp|temp)$   # talk.mp4.part
    | \.part-frag\d+$                                                           # yt-dlp: talk.mp4.part-Frag7
    | \.temp\.\w+$                                                              # yt-dlp joins: talk.temp.mp4
    | \.f(?:\d{2,4}[av]?(?:-\w+)* | (?:hls|dash|http|mpd|mss)[-_][^.]*)\.\w+$   # yt-dlp joins later: talk.f140-drc.m4a
    | ^unconfirmed\ \d+(?:\.crdownload)?$                                       # Chromium, before it has a name
    | ^[~]syncthing[~]                                                          # Syncthing on Windows
    """,
    re.VERBOSE | re.IGNORECASE,
)
_CONTROL = (".aria2", ".ytdl", ".part", ".st")
"""Endings of what lies next to a file that already has its final name: of aria2 and axel, which continue after a break;
of yt-dlp with --no-part; of Firefox, next to the empty file that keeps the name free.
"""


def has_unfinished_name(savepath: str) -> bool:
    """Whether the file has such a name, lies in a folder that Safari downloads into, or a part begins with a dot.

    Hidden are unfinished copies of rsync, Android's ``.pending-`` files, and the folders of MinIO itself.
    """
    *folders, name = savepath.split("/")
    if _UNFINISHED.search(name) or any(folder.endswith(".download") for folder in folders):
        return True
    return any(part.startswith(".") for part in (*folders, name))


def mistake_in_new(savepath: str) -> str | None:
    """Why no recording can be stored under this name, as the end of a sentence; None if one can."""
    if has_unfinished_name(savepath) or XL_META in savepath.split("/"):
        return "is named like an unfinished or hidden file; give it another name"
    return None


def control_files(savepath: str) -> Iterator[str]:
    """The names of files that show, while they exist, that this one is not finished."""
    return (savepath + ending for ending in _CONTROL)
