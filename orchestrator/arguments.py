"""What the commands take: options that several share, and savepaths from arguments, files and standard input."""

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from pydantic import TypeAdapter, ValidationError

from machine.command import USAGE_EXIT_CODE
from machine.settings import BucketName
from machine.wire import sentence
from orchestrator.jobs import StorableSavepath

_savepath: TypeAdapter[str] = TypeAdapter(StorableSavepath)
_bucket: TypeAdapter[str] = TypeAdapter(BucketName)


def _checked_bucket(name: str | None) -> str | None:
    try:
        return name and _bucket.validate_python(name)
    except ValidationError as invalid:
        usage(f"--bucket: {sentence(invalid)}")


SavepathsArgument = Annotated[list[str] | None, typer.Argument(metavar="SAVEPATH", show_default=False)]
BucketOption = Annotated[
    str | None,
    typer.Option(help="Default: bucket_name of config.cfg.", show_default=False, callback=_checked_bucket),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]


def usage(mistake: str) -> NoReturn:
    """End a command that was called wrongly, with a sentence."""
    print(mistake, file=sys.stderr)
    raise typer.Exit(USAGE_EXIT_CODE)


def checked(savepath: str, where: str = "SAVEPATH") -> str:
    """The savepath, if it can be one; else the command ends. ``where`` it stands is for the sentence."""
    try:
        return _savepath.validate_python(savepath)
    except ValidationError as invalid:
        usage(f"{where}: {sentence(invalid)}")


def checked_all(savepaths: Sequence[str] | None) -> list[str]:
    """All savepaths of an argument list, checked."""
    return [checked(savepath) for savepath in savepaths or ()]


def read_savepaths(named: Iterable[str], from_file: str | None) -> list[str]:
    """Savepaths of the command line, where ``-`` stands for standard input, then those of a file, one a line."""
    savepaths: list[str] = []
    for name in named:
        savepaths += _lines("-") if name == "-" else [checked(name)]
    return savepaths + (_lines(from_file) if from_file else [])


def validated(model: type[Any], **values: Any) -> Any:
    """A model of these options; else the command ends with what is wrong."""
    try:
        return model(**values)
    except ValidationError as invalid:
        usage(sentence(invalid))


def _lines(file: str) -> list[str]:
    try:
        text = sys.stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8")
    except OSError as unreadable:
        usage(f"{file} cannot be read: {unreadable.strerror}")
    except UnicodeDecodeError:
        usage(f"{file} is not UTF-8 text")
    lines = [line.rstrip("\r") for line in text.split("\n")]
    return [checked(line, f"{file}:{number}") for number, line in enumerate(lines, start=1) if line.strip()]
