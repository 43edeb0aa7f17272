"""``dataset upload``, and ``--to`` of ``make``: a finished dataset goes into a bucket, through ``[minio]``."""

import asyncio
import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import typer

from orchestrator.cli.console import counted, print_json
from orchestrator.cli.options import usage
from orchestrator.exports.dataset.layout import DatasetFolder
from orchestrator.session import print_error
from reelscribe import logs
from reelscribe.blocking_calls import call_blocking
from reelscribe.command_line import report_settings_errors
from reelscribe.errors import ServiceError
from reelscribe.program import work_begins
from reelscribe.savepath import mistake_in
from reelscribe.settings.config_file import choose_config
from reelscribe.settings.fields import bucket_and_folder
from reelscribe.settings.loading import load_settings
from reelscribe.stop_signals import INTERRUPTED_EXIT_CODE

if TYPE_CHECKING:
    from orchestrator.exports.dataset.finished.upload import DatasetUpload, Uploaded


class Target(NamedTuple):
    """A folder of a bucket; ``prefix`` ends with a slash."""

    bucket: str
    prefix: str

    def __str__(self) -> str:
        return f"{self.bucket}/{self.prefix}"


def target_of(text: str) -> Target:
    """What ``BUCKET/FOLDER`` names; else the command ends."""
    target = Target(*bucket_and_folder(text))
    if not target.prefix:
        usage(f"{text}: write BUCKET/FOLDER, such as training/speech")
    if wrong := mistake_in(target.prefix.rstrip("/")):
        usage(f"{text}: its folder {wrong}")
    return target


def upload(folder: Path, text: str, as_json: bool, config: Path | None) -> None:
    """Copy a dataset into a bucket."""
    target = target_of(text)
    logs.configure(logging.ERROR)
    with report_settings_errors():
        chosen = load_settings(choose_config(config))
        work_begins()
        from orchestrator.exports.dataset.finished.upload import DatasetUpload

        try:
            sent = asyncio.run(send(DatasetUpload(chosen.minio, target.bucket), DatasetFolder.of(folder), target))
        except ServiceError as failure:
            print_error(failure.message)
            raise typer.Exit(1) from None
        except (KeyboardInterrupt, asyncio.CancelledError):
            print_error("interrupted; run the command again to continue")
            raise typer.Exit(INTERRUPTED_EXIT_CODE) from None
    if as_json:
        print_json(figures(target, sent))
    else:
        print(sentence(target, sent))


async def send(store: "DatasetUpload", folder: DatasetFolder, target: Target) -> "Uploaded":
    """Copy a finished dataset; see :meth:`DatasetUpload.upload`."""
    from orchestrator.exports.dataset.finished.upload import files_of

    files = files_of(folder)
    size = sum(file.path.stat().st_size for file in files if file.path.exists())
    with _bar(size) as advance:
        return await call_blocking(partial(store.upload, files, target.prefix, advance), store.stop)


def figures(target: Target, sent: "Uploaded") -> dict[str, Any]:
    """For scripts."""
    return {
        "bucket": target.bucket,
        "folder": target.prefix,
        "sent": sent.files,
        "bytes": sent.bytes,
        "there": sent.there,
    }


def sentence(target: Target, sent: "Uploaded") -> str:
    """For people."""
    there = f", {sent.there} were there already" if sent.there else ""
    return f"{counted(sent.files, 'file')} of {sent.bytes / 1e6:.1f} MB sent{there}: {target}"


@contextmanager
def _bar(total: int) -> Iterator[Callable[[int], None]]:
    """A bar of bytes on a terminal."""
    if not sys.stderr.isatty():
        yield lambda count: None
        return
    from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    from orchestrator.cli.bars import bars

    columns = (TextColumn("upload"), BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    with bars(*columns) as progress:
        task = progress.add_task("", total=total)
        yield lambda count: progress.advance(task, count)
