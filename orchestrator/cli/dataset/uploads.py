"""``dataset upload``: a finished dataset goes into a bucket. It needs ``[minio]``, and no database."""

import asyncio
import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

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


def upload(folder: Path, target: str, as_json: bool, config: Path | None) -> None:
    """Copy a dataset into a bucket."""
    bucket, prefix = bucket_and_folder(target)
    if not prefix:
        usage(f"{target}: write BUCKET/FOLDER, such as training/speech")
    if wrong := mistake_in(prefix.rstrip("/")):
        usage(f"{target}: its folder {wrong}")
    logs.configure(logging.ERROR)
    with report_settings_errors():
        chosen = load_settings(choose_config(config))
        work_begins()
        from orchestrator.exports.dataset.finished.upload import DatasetUpload, files_of

        try:
            files = files_of(DatasetFolder.of(folder))
            store = DatasetUpload(chosen.minio, bucket)
            size = sum(file.path.stat().st_size for file in files if file.path.exists())
            with _bar(size) as advance:
                sent = asyncio.run(call_blocking(partial(store.upload, files, prefix, advance), store.stop))
        except ServiceError as failure:
            print_error(failure.message)
            raise typer.Exit(1) from None
        except (KeyboardInterrupt, asyncio.CancelledError):
            print_error("interrupted; run the command again to continue")
            raise typer.Exit(INTERRUPTED_EXIT_CODE) from None
    if as_json:
        print_json({"bucket": bucket, "folder": prefix, "sent": sent.files, "bytes": sent.bytes, "there": sent.there})
    else:
        there = f", {sent.there} were there already" if sent.there else ""
        print(f"{counted(sent.files, 'file')} of {sent.bytes / 1e6:.1f} MB sent{there}: {bucket}/{prefix}")


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
