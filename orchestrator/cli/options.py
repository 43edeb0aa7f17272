"""What the commands take: options that several share, and savepaths from arguments, files and standard input."""

import signal
import sys
from collections.abc import Callable, Iterable, Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO, NoReturn, TypeVar

import typer

from reelscribe.command_line import USAGE_EXIT_CODE
from reelscribe.stop_signals import STOP_SIGNALS
from reelscribe.text.formats import Format

if TYPE_CHECKING:
    from orchestrator.jobs.models import Options

Value = TypeVar("Value")

STANDARD_INPUT = "-"
ALARM_SECONDS = 1.0
WORDS = "WORDS"


def _checked_bucket(name: str | None) -> str | None:
    if not name:
        return name
    from pydantic import TypeAdapter

    from reelscribe.settings.fields import BucketName

    return _or_usage(lambda: TypeAdapter(BucketName).validate_python(name), "--bucket: ")


def _checked_language(code: str | None) -> str | None:
    """The code, if a transcript can have it; else the command ends with what is wrong."""
    from reelscribe.contracts.events import UNKNOWN_LANGUAGE
    from reelscribe.languages import mistake

    if code and code.lower() != UNKNOWN_LANGUAGE and (wrong := mistake(code.lower())):
        usage(f"--language: {wrong}")
    return code


def checked_text(parameter: typer.CallbackParam, text: str | None) -> str | None:
    """Callback of each option that takes free text: the text, if PostgreSQL and the extractor can take it."""
    if not text:
        return text
    from orchestrator.jobs.models import storable

    try:
        return storable(text)
    except ValueError as mistake:
        name = parameter.opts[0]
        usage(f"{name if name.startswith('-') else name.upper()}: {mistake}")


def chosen_prefix(parameter: typer.CallbackParam, text: str | None) -> str | None:
    """Callback of ``--prefix`` where it chooses what is changed: an unset shell variable is not all there is."""
    if text == "":
        usage("--prefix: must not be empty; is a variable of the shell unset?")
    return checked_text(parameter, text)


SavepathsArgument = Annotated[list[str] | None, typer.Argument(metavar="SAVEPATH", show_default=False)]
BucketOption = Annotated[
    str | None,
    typer.Option(help="Default: bucket_name of config.cfg.", show_default=False, callback=_checked_bucket),
]
BucketOrAllWithCodeOption = Annotated[
    str | None,
    typer.Option(
        help="Default: bucket_name of config.cfg, but all buckets with --code.",
        show_default=False,
        callback=_checked_bucket,
    ),
]
BucketOrAllOption = Annotated[
    str | None,
    typer.Option(
        help="Default: bucket_name of config.cfg for SAVEPATHs, else all buckets.",
        show_default=False,
        callback=_checked_bucket,
    ),
]
LanguageOption = Annotated[
    str | None,
    typer.Option(
        metavar="CODE", help="Only recordings in this language.", show_default=False, callback=_checked_language
    ),
]
ModelTextOption = Annotated[
    bool, typer.Option("--as-heard", help="The text as the model wrote it, without what people edited.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]
YesOption = Annotated[bool, typer.Option("--yes", help="Do not ask.")]

PARQUET = "parquet"
ExportFormat = StrEnum("ExportFormat", [*Format, PARQUET])  # type: ignore[misc]  # mypy wants literals
DEFAULT_FORMAT = ExportFormat(Format.TXT)


class Mode(StrEnum):
    """How the transcriber goes through a recording."""

    batched = "batched"
    sequential = "sequential"


JobState = StrEnum("JobState", ["queued", "running", "waiting", "done", "failed", "cancelled"])


def usage(mistake: str) -> NoReturn:
    """End a command that was called wrongly, with a sentence."""
    print(mistake, file=sys.stderr)
    raise typer.Exit(USAGE_EXIT_CODE)


def checked(savepath: str, where: str = "SAVEPATH") -> str:
    """The savepath, if it can be one; else the command ends with a sentence that says which argument it was."""
    from pydantic import TypeAdapter

    from orchestrator.jobs.models import StorableSavepath

    return _or_usage(lambda: TypeAdapter(StorableSavepath).validate_python(savepath), f"{where}: ")


def checked_webhook(url: str, where: str = "--webhook") -> str:
    """The URL, if messages can be sent there; else the command ends with what is wrong."""
    from pydantic import TypeAdapter

    from reelscribe.settings.fields import WebhookUrl

    return _or_usage(lambda: TypeAdapter(WebhookUrl).validate_python(url), f"{where}: ")


def checked_word(word: str, where: str) -> str:
    """The word, if a vocabulary can have it; else the command ends with what is wrong, and where."""
    from pydantic import TypeAdapter

    from orchestrator.jobs.vocabulary import ListedWord

    return _or_usage(lambda: TypeAdapter(ListedWord).validate_python(word), f"{where}: ")


def checked_all(savepaths: Sequence[str] | None) -> list[str]:
    """All savepaths of an argument list, checked."""
    return [checked(savepath, place_of(savepath, savepaths or ())) for savepath in savepaths or ()]


def refuse_unmatched(prefix: str) -> None:
    """End a command that would make something for savepaths that there cannot be."""
    from reelscribe.savepath import mistake_in_prefix

    if mistake := mistake_in_prefix(prefix):
        usage(f"--prefix: {mistake}")


def place_of(savepath: str, arguments: Sequence[str]) -> str:
    """Which of the arguments it is; of one alone that needs no words."""
    return f"SAVEPATH {savepath!r}" if len(arguments) > 1 else "SAVEPATH"


def refuse_binary_on_terminal(format: str | None) -> None:
    """End a command whose output, in this format, would garble the terminal."""
    if format == Format.DOCX and sys.stdout.isatty():
        usage(f"{format} is no text that a terminal can show; write it to a file: > FILE.{format}")


def open_list(file: str) -> BinaryIO:
    """A list of savepaths that can be read, ``-`` being standard input; else the command ends."""
    if file == STANDARD_INPUT:
        return sys.stdin.buffer
    try:
        return Path(file).open("rb")
    except OSError as unreadable:
        usage(f"{file} cannot be read: {unreadable.strerror}")


def validated(model: type[Any], **values: Any) -> Any:
    """A model of these options; else the command ends with what is wrong, by their names."""
    return _or_usage(
        lambda: model(**values), option_of=lambda name: WORDS if name == "q" else "--" + name.replace("_", "-")
    )


def parsed_options(pairs: Iterable[str], **flags: str | None) -> "Options":
    """The options of flags and of ``NAME=VALUE`` pairs; else the command ends with what is wrong."""
    from orchestrator.jobs.models import Options

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
    return _or_usage(lambda: Options.model_validate_strings(given, strict=False))


def _or_usage(read: Callable[[], Value], where: str = "", option_of: Callable[[str], str] = str) -> Value:
    """What could be read; else the command ends with what is wrong, after ``where``; ``option_of`` names a field."""
    from pydantic import ValidationError

    from reelscribe.mistakes import sentence

    try:
        return read()
    except ValidationError as invalid:
        usage(where + sentence(invalid, option_of))


def require_answer(command: str, yes: bool) -> None:
    """End the command if it would have to ask and cannot."""
    if not (yes or sys.stdin.isatty()):
        usage(f"{command} asks first, and there is no terminal to ask on; give --yes")


def confirmed(question: str, yes: bool) -> bool:
    """Whether the user wants it.

    Raises:
        KeyboardInterrupt: Ctrl-C, Ctrl-D or SIGTERM instead of an answer.
    """
    if yes:
        return True
    # Those of asyncio would wait for the answer.
    before = {number: signal.signal(number, signal.default_int_handler) for number in STOP_SIGNALS}
    # A signal that comes just before a read does not interrupt it, but the next alarm does.
    before[signal.SIGALRM] = signal.signal(signal.SIGALRM, lambda *_: None)
    alarm_before = signal.setitimer(signal.ITIMER_REAL, ALARM_SECONDS, ALARM_SECONDS)
    try:
        return typer.confirm(question, err=True)
    except typer.Abort:
        raise KeyboardInterrupt from None
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in before.items():
            signal.signal(number, handler)
        signal.setitimer(signal.ITIMER_REAL, *alarm_before)
