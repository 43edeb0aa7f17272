"""Local files as the arguments of ``submit``: what to do with one, or its upload into the bucket."""

import asyncio
import os
import shlex
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from orchestrator.cli.bars import bars
from orchestrator.cli.console import visible
from orchestrator.cli.options import STANDARD_INPUT, checked, usage
from orchestrator.intake.unfinished import XL_META, mistake_in_new
from orchestrator.jobs.models import as_argument
from orchestrator.session import Session, chosen_server, names_server, print_error
from reelscribe.command_line import report_settings_errors
from reelscribe.savepath import mistake_in
from reelscribe.settings.config_file import find_config
from reelscribe.settings.loading import load_settings


class LocalBucket(NamedTuple):
    """A bucket whose objects may be files of this computer.

    Attributes:
        folder: where they are.
        default: the bucket of config.cfg.
    """

    name: str
    folder: Path
    default: str

    def savepath_of(self, file: str) -> str | None:
        """The savepath of a file that is an object of this bucket."""
        path, folder = Path(os.path.realpath(file)), Path(os.path.realpath(self.folder))
        if not path.is_relative_to(folder) or any((above / XL_META).exists() for above in path.parents[:2]):
            return None
        savepath = path.relative_to(folder).as_posix()
        return None if mistake_in(savepath) else savepath


def local_bucket(config: Path | None, bucket: str | None) -> LocalBucket | None:
    """The bucket that a submission is for; None if it goes to another host. Ends the command if config.cfg is wrong."""
    with report_settings_errors():
        chosen = load_settings(find_config(config, only_readable=names_server()))
        if chosen_server(chosen):
            return None
    name = bucket or chosen.paths.bucket_name
    return LocalBucket(name, chosen.paths.minio_data_path / name, chosen.paths.bucket_name)


def refuse_local_files(names: Sequence[str], config: Path | None, bucket: str | None) -> None:
    """End the command if one of these is no savepath, but a file of this computer."""
    for name in names:
        if name != STANDARD_INPUT and mistake_in(name) and os.path.isfile(name):
            _refuse_objects([name], local_bucket(config, bucket))
            usage(visible(f"{name} is a file of this computer, and not of the bucket; {how_to_upload(name)}"))


def _refuse_objects(files: Sequence[str], bucket: LocalBucket | None) -> None:
    for file in files:
        if bucket and (savepath := bucket.savepath_of(file)):
            argument = as_argument(savepath, bucket.name, bucket.default)
            usage(visible(f"{file} is in the bucket already; submit it with: orchestrator submit {argument}"))


def how_to_upload(name: str) -> str:
    """The command that a file of this computer needs, as the end of a sentence."""
    return f"upload it and submit it with: orchestrator submit --upload {shlex.quote(name)}"


def local_uploads(names: Sequence[str], into: str | None, config: Path | None, bucket: str | None) -> dict[str, Path]:
    """The savepaths that these local files get, each with its file; else the command ends with what is wrong."""
    folder = into.strip("/") + "/" if into and into.strip("/") else ""
    uploads: dict[str, Path] = {}
    for name in names:
        if not os.path.isfile(name):
            usage(visible(f"{name}: there is no such file on this computer"))
        savepath = checked(folder + Path(name).name)
        if mistake := mistake_in_new(savepath):
            usage(visible(f"{savepath} {mistake}"))
        if savepath in uploads:
            usage(visible(f"{name} and {uploads[savepath]} would both be stored as {savepath}"))
        uploads[savepath] = Path(name)
    _refuse_objects(names, local_bucket(config, bucket))
    return uploads


async def upload_all(session: Session, bucket: str, uploads: Mapping[str, Path], overwrite: bool) -> None:
    """Store each file as an object.

    Raises:
        ServiceError: one cannot be stored; those before it are.
    """
    from orchestrator.intake.upload import remove_leftovers, upload  # 0.4 s that no other submission should wait

    await remove_leftovers(session.settings, bucket, next(iter(uploads)))  # all are stored in the same folder
    for savepath, path in uploads.items():
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
