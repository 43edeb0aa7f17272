"""The package of the distribution that a program is from, and what its changelog says: fixes are back-ported there, so
the version alone says little. Debian and what is made from it.
"""

import gzip
import subprocess
from pathlib import Path

DOCUMENTATION = Path("/usr/share/doc")
SECONDS = 10


def package_of(program: Path) -> str | None:
    """The name of the package that owns a program; None if it was installed in another way."""
    try:
        owner = subprocess.run(
            ["dpkg-query", "--search", str(program.resolve())],
            capture_output=True,
            text=True,
            timeout=SECONDS,
            stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return owner.stdout.partition(":")[0] or None if owner.returncode == 0 else None


def is_fixed(package: str, weakness: str) -> bool:
    """Whether the changelog of an installed package names this CVE."""
    try:
        with gzip.open(DOCUMENTATION / package / "changelog.Debian.gz", "rt", errors="replace") as changelog:
            return any(weakness in line for line in changelog)
    except (OSError, EOFError):  # small images leave it out
        return False
