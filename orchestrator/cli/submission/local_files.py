"""Local files as the arguments of ``submit``: what to do with one, or its upload into the bucket."""

import asyncio
import os
import shlex
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from orchestrator.cli.bars import bars
from orchestrator.cli.console import visible
from orchestrator.cli.options import STANDARD_INPUT, checked, usage
from orchestrator.session import Session, print_error
from reelscribe.savepath import mistake_in


def refuse_local_files(names: Sequence[str]) -> None:
    """End the command if one of these is no savepath, but a file of this computer."""
    for name in names:
        if name != STANDARD_INPUT and mistake_in(name) and os.path.isfile(name):
            usage(visible(f"{name} is a file of this computer, and not of the bucket; {how_to_upload(name)}"))


def how_to_upload(name: str) -> str:
    """The command that a file of this computer needs, as the end of a sentence."""
    return f"upload it and submit it with: orchestrator submit --upload {shlex.quote(name)}"


def local_uploads(names: Sequence[str], into: str | None) -> dict[str, Path]:
    """The savepaths that these local files get, each with its file; else the command ends with what is wrong."""
    folder = into.strip("/") + "/" if into and into.strip("/") else ""
    uploads: dict[str, Path] = {}
    for name in names:
        if not os.path.isfile(name):
            usage(visible(f"{name}: there is no such file on this computer"))
        savepath = checked(folder + Path(name).name)
        if savepath in uploads:
            usage(visible(f"{name} and {uploads[savepath]} would both be stored as {savepath}"))
        uploads[savepath] = Path(name)
    return uploads


async def upload_all(session: Session, bucket: str, uploads: Mapping[str, Path], overwrite: bool) -> None:
    """Store each file as an object.

    Raises:
        ServiceError: one cannot be stored; those before it are.
    """
    for savepath, path in uploads.items():
        from orchestrator.intake.upload import upload  # 0.4 s that no other submission should wait

        try:
            with path.open("rb") as file, _bar(path.stat().st_size, savepath) as advance:
                await upload(session.settings, bucket, file, savepath, overwrite, advance)
        except OSError as unreadable:
            usage(visible(f"{path} cannot be read: {unreadable.strerror or unreadable}"))
        except asyncio.CancelledError:
            print_error("the upload was interrupted; nothing was submitted")
            raise
        print_error(visible(f"uploaded  {savepath}"))


@contextmanager
def _bar(total: int, savepath: str) -> Iterator[Callable[[int], None]]:
    """A progress bar on a terminal."""
    if not sys.stderr.isatty():
        yield lambda read: None
        return
    from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("upload"),
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        DownloadColumn(),
        TimeRemainingColumn(),
    )
    with bars(*columns) as progress:
        task = progress.add_task(visible(savepath), total=total)
        yield lambda read: progress.advance(task, read)
