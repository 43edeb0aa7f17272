"""What kind of drive MinIO's data folder is, by its ``.minio.sys/format.json``."""

import json
from pathlib import Path
from typing import Literal

from extractor_api.minio.unreadable import NotReadableHere

DriveFormat = Literal["plain", "xl-single"]


def drive_format(data_path: Path) -> DriveFormat:
    """``xl-single`` for one drive of today's MinIO; ``plain`` for MinIO's old FS mode and for a folder without MinIO.

    Raises:
        NotReadableHere: the drive is one of several: a file on it is only a fragment.
    """
    try:
        described = json.loads((data_path / ".minio.sys" / "format.json").read_bytes())
        drives = sum(len(drives) for drives in described["xl"]["sets"]) if described["format"] != "fs" else 0
    except FileNotFoundError:
        return "plain"
    except (OSError, ValueError, KeyError, TypeError):
        return "plain"  # each object still shows how it is stored
    if drives > 1:
        raise NotReadableHere(f"this drive is one of {drives} in an erasure set, so a file on it is only a fragment")
    return "xl-single" if drives else "plain"
