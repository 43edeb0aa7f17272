"""The arguments of ``dataset``; those of ``dataset make`` are in a module of their own."""

from pathlib import Path
from typing import Annotated

import typer

from orchestrator.cli.arguments.datasets.make import make_commands
from orchestrator.cli.options import JsonOption
from reelscribe.command_line import CommandLine, ConfigOption

FolderArgument = Annotated[Path, typer.Argument(metavar="DIR", show_default=False)]


def register(cli: typer.Typer) -> None:
    """Add these commands."""
    dataset = CommandLine(rich_markup_mode=None, no_args_is_help=True)
    dataset.add_typer(make_commands(), name="make")
    dataset.command(epilog="Example: orchestrator dataset split data/speech --ratios 0.8/0.1/0.1 --output data/parts")(
        split
    )
    dataset.command(epilog="Example: orchestrator dataset diff data/monday data/tuesday")(diff)
    dataset.command(epilog="Example: orchestrator dataset verify data/speech")(verify)
    dataset.command(epilog="Example: orchestrator dataset report data/speech")(report)
    dataset.command(epilog="Example: orchestrator dataset upload data/speech training/speech")(upload)
    dataset.command(epilog="Example: orchestrator dataset cancel data/speech")(cancel)
    dataset.command("list", epilog="Example: orchestrator dataset list")(list_datasets)
    cli.add_typer(
        dataset,
        name="dataset",
        help="Make datasets for training out of recordings, and see what is in them.",
        epilog="Example: orchestrator dataset make speech --all --output data/speech",
    )


def split(
    folder: FolderArgument,
    output: Annotated[Path, typer.Option(metavar="DIR", help="Folder of the new dataset.", show_default=False)],
    ratios: Annotated[
        str | None, typer.Option(metavar="SHARES", help="Such as 0.7/0.2/0.1.", show_default=False)
    ] = None,
    folds: Annotated[
        int | None, typer.Option(metavar="K", min=2, max=100, help="So many equal parts.", show_default=False)
    ] = None,
    names: Annotated[
        str | None,
        typer.Option(metavar="NAMES", help="Of the parts.", show_default="train/test, train/validation/test, fold0/…"),
    ] = None,
    by: Annotated[
        str, typer.Option(metavar="COLUMN", help="All samples with the same value are in one part.")
    ] = "savepath",
    as_json: JsonOption = False,
) -> None:
    """Write a dataset again, divided into parts. A hash of each source decides, so it stays there when data grows."""
    from orchestrator.cli.dataset import folders as work

    work.split(folder, output, ratios, folds, names, by, as_json)


def diff(
    first: Annotated[Path, typer.Argument(metavar="OLD", show_default=False)],
    second: Annotated[Path, typer.Argument(metavar="NEW", show_default=False)],
    as_json: JsonOption = False,
) -> None:
    """What differs between two datasets: samples that came, went, changed or moved. Exit code 1 if something does."""
    from orchestrator.cli.dataset import folders as work

    work.diff(first, second, as_json)


def verify(folder: FolderArgument, as_json: JsonOption = False) -> None:
    """Verify that a dataset is complete, is what its manifest says, and has the form that loaders want."""
    from orchestrator.cli.dataset import folders as work

    work.verify(folder, as_json)


def report(
    folder: FolderArgument,
    output: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Where to write it.", show_default="DIR/report.html")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Write one HTML file that shows what is in a dataset: counts, distributions, examples that play, failures."""
    from orchestrator.cli.dataset import folders as work

    work.report(folder, output, as_json)


def upload(
    folder: FolderArgument,
    target: Annotated[str, typer.Argument(metavar="BUCKET/FOLDER", show_default=False)],
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Copy a dataset into a bucket, and compare what is there; run it again to continue. The manifest comes last."""
    from orchestrator.cli.dataset import uploads as work

    work.upload(folder, target, as_json, config)


def list_datasets(as_json: JsonOption = False, config: ConfigOption = None) -> None:
    """Which datasets have been made with this database, and how far they are."""
    from orchestrator.cli.dataset import plans as work

    work.list_datasets(as_json, config)


def cancel(folder: FolderArgument, as_json: JsonOption = False, config: ConfigOption = None) -> None:
    """Build no more shards of a dataset; those that are built stay. Its make command continues it."""
    from orchestrator.cli.dataset import plans as work

    work.cancel(folder, as_json, config)
