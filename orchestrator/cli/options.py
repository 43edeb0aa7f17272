"""What the commands take: options that several share, and savepaths from arguments, files and standard input."""

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Any, BinaryIO, NoReturn

import typer
from pydantic import TypeAdapter, ValidationError

from orchestrator.jobs.models import Options, StorableSavepath, storable
from reelscribe.command_line import USAGE_EXIT_CODE
from reelscribe.http.parsing import sentence
from reelscribe.settings.fields import BucketName

STANDARD_INPUT = "-"

_savepath: TypeAdapter[str] = TypeAdapter(StorableSavepath)
_bucket: TypeAdapter[str] = TypeAdapter(BucketName)


def _checked_bucket(name: str | None) -> str | None:
    try:
        return name and _bucket.validate_python(name)
    except ValidationError as invalid:
        usage(f"--bucket: {sentence(invalid)}")


def checked_text(parameter: typer.CallbackParam, text: str | None) -> str | None:
    """Callback of each option that takes free text: the text, if PostgreSQL and the extractor can take it."""
    try:
        return text and storable(text)
    except ValueError as mistake:
        name = parameter.opts[0]
        usage(f"{name if name.startswith('-') else name.upper()}: {mistake}")


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
    """The savepath, if it can be one; else the command ends with a sentence that says which argument it was."""
    try:
        return _savepath.validate_python(savepath)
    except ValidationError as invalid:
        usage(f"{where}: {sentence(invalid)}")


def checked_all(savepaths: Sequence[str] | None) -> list[str]:
    """All savepaths of an argument list, checked."""
    return [checked(savepath) for savepath in savepaths or ()]


def open_list(file: str) -> BinaryIO:
    """A list of savepaths that can be read, ``-`` being standard input; else the command ends."""
    if file == STANDARD_INPUT:
        return sys.stdin.buffer
    try:
        return Path(file).open("rb")
    except OSError as unreadable:
        usage(f"{file} cannot be read: {unreadable.strerror}")


def validated(model: type[Any], **values: Any) -> Any:
    """A model of these options; else the command ends with what is wrong."""
    try:
        return model(**values)
    except ValidationError as invalid:
        usage(sentence(invalid))


def parsed_options(pairs: Iterable[str], **flags: str | None) -> Options:
    """The options of flags and of ``NAME=VALUE`` pairs; else the command ends with what is wrong."""
    given: dict[str, Any] = {name: value for name, value in flags.items() if value is not None}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals:
            usage(f"--option {pair}: write NAME=VALUE")
        if name not in Options.model_fields:
            usage(f"--option {name}: there is no such option; there are {', '.join(Options.model_fields)}")
        if name in given:
            usage(f"{name} is given twice")
        given[name] = value
    try:
        return Options.model_validate_strings(given, strict=False)
    except ValidationError as invalid:
        usage(sentence(invalid))
