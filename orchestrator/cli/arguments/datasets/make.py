"""The arguments of ``dataset make``: those of all kinds of datasets, and those of each."""

from collections.abc import Callable
from enum import Enum, StrEnum
from inspect import Signature, signature
from pathlib import Path
from typing import Annotated, Any

import typer

from orchestrator.cli.options import BucketOption, JsonOption, SavepathsArgument, checked_text
from reelscribe.command_line import CommandLine, ConfigOption

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


def make_commands() -> CommandLine:
    """The group of them, one for each kind of dataset."""
    group = CommandLine(
        help="Make a dataset: WebDataset shards, a Parquet index and a manifest. Run it again to continue it.",
        epilog="Example: orchestrator dataset make speech --all --output data/speech",
        rich_markup_mode=None,
        no_args_is_help=True,
    )
    for kind in (speech, pairs, frames, clips):
        name = kind.__name__
        group.command(name, epilog=f"Example: orchestrator dataset make {name} --all --output data/{name}")(
            _command(kind)
        )
    return group


def _command(kind: Callable[..., None]) -> Callable[..., None]:
    """The command that makes a dataset of this kind, whose own options are between those that all kinds take."""

    def command(**given: Any) -> None:
        from orchestrator.cli.dataset.make import MakeOptions, make

        name: Any = kind.__name__
        own = {option: given.pop(option) for option in signature(kind).parameters}
        plain = {option: value.value if isinstance(value, Enum) else value for option, value in own.items()}
        make(name, MakeOptions(**given), plain)

    takes = [option for part in (_choosing, kind, _making) for option in signature(part).parameters.values()]
    command.__signature__ = Signature(takes)  # type: ignore[attr-defined]  # typer reads it
    command.__doc__ = kind.__doc__
    return command


def _choosing(
    output: Annotated[Path, typer.Option(metavar="DIR", help="Folder of the dataset.", show_default=False)],
    savepaths: SavepathsArgument = None,
    prefix: Annotated[
        str | None, typer.Option(help="All savepaths that start with this.", show_default=False, callback=checked_text)
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="All recordings of the bucket.")] = False,
    where: Annotated[
        str | None,
        typer.Option(
            metavar="CONDITION",
            help="Only recordings whose transcript is so: \"language = 'en' and duration < 30\".",
            show_default=False,
            callback=checked_text,
        ),
    ] = None,
    manifest: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="CSV of what is wanted: id, start, label, split, as VGGSound's; or with a header.",
            show_default=False,
        ),
    ] = None,
    column: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=COLUMN", help="What a column of the CSV is called. Repeatable.", show_default=False),
    ] = None,
    template: Annotated[
        str, typer.Option(metavar="TEMPLATE", help="Savepath of a row of the CSV that names none.")
    ] = "{id}.mp4",
) -> None:
    """What all kinds take first: the folder, and which recordings."""


def _making(
    to: Annotated[
        str | None,
        typer.Option(
            metavar="BUCKET/FOLDER",
            help="Copy it into this bucket too, as upload does; DIR stays.",
            show_default=False,
            callback=checked_text,
        ),
    ] = None,
    limit: Annotated[
        int | None,
        typer.Option(metavar="N", min=1, help="Recordings, or rows of the CSV, at most.", show_default=False),
    ] = None,
    shard_mb: Annotated[
        float, typer.Option(metavar="MB", min=0.01, max=100_000, help="Size of a shard, about.")
    ] = 256.0,
    bucket: BucketOption = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Build nothing; say what would be built.")] = False,
    plan: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Build nothing; write the plan, one shard per line, for a cluster of your own.",
            show_default=False,
        ),
    ] = None,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """What all kinds take last: how the dataset is made."""


def speech(
    min_seconds: Annotated[float, typer.Option(help="Of an utterance.")] = 0.5,
    max_seconds: Annotated[float, typer.Option(help="Of an utterance.")] = 30.0,
    pause: Annotated[float, typer.Option(help="Seconds without words that end an utterance.")] = 0.5,
    margin: Annotated[float, typer.Option(help="Seconds of sound around the words, if no others are near.")] = 0.1,
    min_confidence: Annotated[
        float | None, typer.Option(help="Mean probability of the words, 0 to 1.", show_default=False)
    ] = None,
    sample_rate: Annotated[int, typer.Option(metavar="HZ", help="Of the sound.")] = 16_000,
) -> None:
    """Utterances with their text, from finished transcripts: cut at pauses, and to the sample."""


def pairs(
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
) -> None:
    """Pictures at a steady rate, each with the sound around it: the frame that is shown then, and exact times."""


def frames(
    fps: FpsOption = 2.0,
    picture: PictureOption = Picture.jpeg,
    size: SizeOption = None,
    quality: QualityOption = 90,
) -> None:
    """Pictures at a steady rate: the frame that is shown then, and exact times."""


def clips(
    seconds: Annotated[float, typer.Option(help="Of a clip, if the CSV says no other length.")] = 10.0,
    mode: Annotated[
        ClipMode, typer.Option(help="exact: encoded again; copy: as stored, from a key frame.")
    ] = ClipMode.exact,
    audio: Annotated[ClipSound, typer.Option(help="Format of a further file with the sound.")] = ClipSound.wav,
    size: SizeOption = None,
) -> None:
    """Parts of videos, each with its sound as a file of its own: those that a CSV names, or one after the other."""
