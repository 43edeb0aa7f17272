"""A file as ffmpeg's input, without a bucket."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import psutil

from reelscribe.media.inspection_process import CHILD
from reelscribe.media.stored_object import StoredObject, open_file

Answer = TypeVar("Answer")


def ask(path: Path, question: Callable[[StoredObject], Answer]) -> Answer:
    """What a function says of the file at ``path``."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        return question(open_file(descriptor, path.name))
    finally:
        os.close(descriptor)


def describing_processes() -> list[psutil.Process]:
    """The processes that this one has started to describe a recording, and that have not ended; services that run in
    processes of their own keep one ready each."""
    return [child for child in psutil.Process().children() if _describes(child)]


def _describes(process: psutil.Process) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE and CHILD.name in " ".join(process.cmdline())
    except psutil.NoSuchProcess:  # it has just ended
        return False
