"""Weaknesses of ffmpeg that a recording can use, and the releases that fix them.

Whoever changes the table looks at its source again and changes :data:`AS_OF`.
"""

import re
from dataclasses import dataclass

SOURCE, AS_OF = "ffmpeg.org/security.html and the NVD", "2026-11-29"

Version = tuple[int, int, int]


@dataclass(frozen=True)
class Weakness:
    """One entry of the table.

    Attributes:
        cve: its number.
        description: what it is, with its CVSS 3.1 score.
        fixed: the first release of each branch that has the fix; other branches are compared with the last of these.
    """

    cve: str
    description: str
    fixed: tuple[Version, ...]

    def is_in(self, version: Version) -> bool:
        """Whether this release is older than the fix; a distribution may have back-ported it."""
        branch = next((fixed for fixed in self.fixed if fixed[:2] == version[:2]), self.fixed[-1])
        return version < branch

    @property
    def releases(self) -> str:
        """Those with the fix, for people."""
        return ", ".join(".".join(map(str, release)) for release in self.fixed)


MAGICYUV = Weakness(
    "CVE-2026-8461",
    "the MagicYUV decoder writes out of bounds: a video runs code (CVSS 8.8)",
    ((7, 1, 5), (8, 0, 3), (8, 1, 2)),
)
CENC = Weakness(
    "CVE-2026-40962",
    "the mov demuxer writes out of bounds on subsamples of Common Encryption (CVSS 4.9)",
    ((8, 1, 0),),
)
TABLE = (MAGICYUV, CENC)

_VERSION = re.compile(r"n?(\d+)\.(\d+)(?:\.(\d+))?")


def parsed(version: str) -> Version | None:
    """The numbers of what ``ffmpeg -version`` reports; None for a build from git, whose number says nothing."""
    match = _VERSION.match(version)
    return (int(match[1]), int(match[2]), int(match[3] or 0)) if match else None
