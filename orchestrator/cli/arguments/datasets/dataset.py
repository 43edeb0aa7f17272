"""The arguments of ``dataset``."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from orchestrator.cli.options import BucketOption, JsonOption, SavepathsArgument, checked_text
from reelscribe.command_line import CommandLine, ConfigOption

PrefixOption = Annotated[
    str | None, typer.Option(help="All savepaths that start with this.", show_default=False, callback=checked_text)
]
AllOption = Annotated[bool, typer.Option("--all", help="All recordings of the bucket.")]
WhereOption = Annotated[
    str | None,
    typer.Option(
        metavar="CONDITION",
        help="Only recordings whose transcript is so: \"language = 'en' and duration < 30\".",
        show_default=False,
        callback=checked_text,
    ),
]
ManifestOption = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="CSV of what is wanted: id, start, label, split, as VGGSound's; or with a header.",
        show_default=False,
    ),
]
ColumnOption = Annotated[
    list[str] | None,
    typer.Option(metavar="NAME=COLUMN", help="What a column of the CSV is called. Repeatable.", show_default=False),
]
TemplateOption = Annotated[str, typer.Option(metavar="TEMPLATE", help="Savepath of a row of the CSV that names none.")]
OutputOption = Annotated[Path, typer.Option(metavar="DIR", help="Folder of the dataset.", show_default=False)]
ToOption = Annotated[
    str | None,
    typer.Option(
        metavar="BUCKET/FOLDER",
        help="Copy it into this bucket too, as upload does; DIR stays.",
        show_default=False,
        callback=checked_text,
    ),
]
LimitOption = Annotated[
    int | None, typer.Option(metavar="N", min=1, help="Recordings, or rows of the CSV, at most.", show_default=False)
]
ShardOption = Annotated[float, typer.Option(metavar="MB", min=0.01, max=100_000, help="Size of a shard, about.")]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Build nothing; say what would be built.")]
PlanOption = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="Build nothing; write the plan, one shard per line, for a cluster of your own.",
        show_default=False,
    ),
]

Picture = StrEnum("Picture", ["jpeg", "png", "webp"])
Window = StrEnum("Window", ["centred", "after", "before"])
PairSound = StrEnum("PairSound", ["wav", "flac"])
ClipMode = StrEnum("ClipMode", ["exact", "copy"])
ClipSound = StrEnum("ClipSound", ["none", "wav", "flac"])
Edges = StrEnum("Edges", ["drop", "pad"])
FpsOption = Annotated[float, typer.Option(help="Pictures per second.")]
PictureOption = Annotated[Picture, typer.Option(help="Format of the pictures.")]
SizeOption = Annotated[
    int | None,
    typer.Option(metavar="PIXELS", help="Of the longer side, at most; never enlarged.", show_default="as stored"),
]
QualityOption = Annotated[int, typer.Option(min=1, max=100, help="Of jpeg and webp.")]


def register(cli: typer.Typer) -> None:
    """Add these commands."""
    make = CommandLine(
        help="Make a dataset: WebDataset shards, a Parquet index and a manifest. Run it again to continue it.",
        epilog="Example: orchestrator dataset make speech --all --output data/speech",
        rich_markup_mode=None,
        no_args_is_help=True,
    )
    for kind in (speech, pairs, frames, clips):
        make.command(epilog=f"Example: orchestrator dataset make {kind.__name__} --all --output data/{kind.__name__}")(
            kind
        )
    dataset = CommandLine(rich_markup_mode=None, no_args_is_help=True)
    dataset.add_typer(make, name="make")
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


def speech(
    output: OutputOption,
    savepaths: SavepathsArgument = None,
    prefix: PrefixOption = None,
    everything: AllOption = False,
    where: WhereOption = None,
    manifest: ManifestOption = None,
    column: ColumnOption = None,
    template: TemplateOption = "{id}.mp4",
    min_seconds: Annotated[float, typer.Option(help="Of an utterance.")] = 0.5,
    max_seconds: Annotated[float, typer.Option(help="Of an utterance.")] = 30.0,
    pause: Annotated[float, typer.Option(help="Seconds without words that end an utterance.")] = 0.5,
    margin: Annotated[float, typer.Option(help="Seconds of sound around the words, if no others are near.")] = 0.1,
    min_confidence: Annotated[
        float | None, typer.Option(help="Mean probability of the words, 0 to 1.", show_default=False)
    ] = None,
    sample_rate: Annotated[int, typer.Option(metavar="HZ", help="Of the sound.")] = 16_000,
    to: ToOption = None,
    limit: LimitOption = None,
    shard_mb: ShardOption = 256.0,
    bucket: BucketOption = None,
    dry_run: DryRunOption = False,
    plan: PlanOption = None,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Utterances with their text, from finished transcripts: cut at pauses, and to the sample."""
    _make(
        "speech",
        *(savepaths, prefix, everything, where, manifest, column, template),
        *(output, to, limit, shard_mb, bucket, dry_run, plan, as_json, config),
        min_seconds=min_seconds,
        max_seconds=max_seconds,
        pause=pause,
        margin=margin,
        min_confidence=min_confidence,
        sample_rate=sample_rate,
    )


def pairs(
    output: OutputOption,
    savepaths: SavepathsArgument = None,
    prefix: PrefixOption = None,
    everything: AllOption = False,
    where: WhereOption = None,
    manifest: ManifestOption = None,
    column: ColumnOption = None,
    template: TemplateOption = "{id}.mp4",
    fps: FpsOption = 2.0,
    picture: PictureOption = Picture.jpeg,
    size: SizeOption = None,
    quality: QualityOption = 90,
    audio_seconds: Annotated[float, typer.Option(help="Of sound in each sample.")] = 0.5,
    window: Annotated[Window, typer.Option(help="Where the sound is, relative to the picture.")] = Window.centred,
    audio: Annotated[PairSound, typer.Option(help="Format of the sound.")] = PairSound.wav,
    sample_rate: Annotated[int, typer.Option(metavar="HZ", help="Of the sound.")] = 16_000,
    channels: Annotated[int, typer.Option(min=1, max=2, help="Of the sound.")] = 1,
    edges: Annotated[
        Edges, typer.Option(help="Sound that would begin before the recording, or end after it.")
    ] = Edges.drop,
    to: ToOption = None,
    limit: LimitOption = None,
    shard_mb: ShardOption = 256.0,
    bucket: BucketOption = None,
    dry_run: DryRunOption = False,
    plan: PlanOption = None,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Pictures at a steady rate, each with the sound around it: the frame that is shown then, and exact times."""
    _make(
        "pairs",
        *(savepaths, prefix, everything, where, manifest, column, template),
        *(output, to, limit, shard_mb, bucket, dry_run, plan, as_json, config),
        fps=fps,
        picture=picture.value,
        size=size,
        quality=quality,
        audio_seconds=audio_seconds,
        window=window.value,
        audio=audio.value,
        sample_rate=sample_rate,
        channels=channels,
        edges=edges.value,
    )


def frames(
    output: OutputOption,
    savepaths: SavepathsArgument = None,
    prefix: PrefixOption = None,
    everything: AllOption = False,
    where: WhereOption = None,
    manifest: ManifestOption = None,
    column: ColumnOption = None,
    template: TemplateOption = "{id}.mp4",
    fps: FpsOption = 2.0,
    picture: PictureOption = Picture.jpeg,
    size: SizeOption = None,
    quality: QualityOption = 90,
    to: ToOption = None,
    limit: LimitOption = None,
    shard_mb: ShardOption = 256.0,
    bucket: BucketOption = None,
    dry_run: DryRunOption = False,
    plan: PlanOption = None,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Pictures at a steady rate: the frame that is shown then, and exact times."""
    _make(
        "frames",
        *(savepaths, prefix, everything, where, manifest, column, template),
        *(output, to, limit, shard_mb, bucket, dry_run, plan, as_json, config),
        fps=fps,
        picture=picture.value,
        size=size,
        quality=quality,
    )


def clips(
    output: OutputOption,
    savepaths: SavepathsArgument = None,
    prefix: PrefixOption = None,
    everything: AllOption = False,
    where: WhereOption = None,
    manifest: ManifestOption = None,
    column: ColumnOption = None,
    template: TemplateOption = "{id}.mp4",
    seconds: Annotated[float, typer.Option(help="Of a clip, if the CSV says no other length.")] = 10.0,
    mode: Annotated[
        ClipMode, typer.Option(help="exact: encoded again; copy: as stored, from a key frame.")
    ] = ClipMode.exact,
    audio: Annotated[ClipSound, typer.Option(help="Format of a further file with the sound.")] = ClipSound.wav,
    size: SizeOption = None,
    to: ToOption = None,
    limit: LimitOption = None,
    shard_mb: ShardOption = 256.0,
    bucket: BucketOption = None,
    dry_run: DryRunOption = False,
    plan: PlanOption = None,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Parts of videos, each with its sound as a file of its own: those that a CSV names, or one after the other."""
    _make(
        "clips",
        *(savepaths, prefix, everything, where, manifest, column, template),
        *(output, to, limit, shard_mb, bucket, dry_run, plan, as_json, config),
        seconds=seconds,
        mode=mode.value,
        audio=audio.value,
        size=size,
    )


def _make(kind: Any, *common: Any, **of_kind: Any) -> None:
    from orchestrator.cli.dataset.make import MakeOptions, make

    make(kind, MakeOptions(*common), of_kind)


FolderArgument = Annotated[Path, typer.Argument(metavar="DIR", show_default=False)]


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
