"""A file as ffmpeg's input, without a bucket."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from reelscribe.media.stored_object import StoredObject, open_file

Answer = TypeVar("Answer")


def ask(path: Path, question: Callable[[StoredObject], Answer]) -> Answer:
    """What a function says of the file at ``path``."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        return question(open_file(descriptor, path.name))
    finally:
        os.close(descriptor)
