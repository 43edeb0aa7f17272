"""The arguments of ``vocabulary``."""

from typing import Annotated

import typer

from orchestrator.cli.options import JsonOption, YesOption, checked_text
from reelscribe.command_line import CommandLine, ConfigOption

PrefixOption = Annotated[
    str,
    typer.Option("--prefix", help="Of the savepaths that this is for.", show_default="all", callback=checked_text),
]
WordsArgument = Annotated[list[str] | None, typer.Argument(metavar="WORD", show_default=False)]
FileOption = Annotated[
    str | None, typer.Option("--from-file", metavar="FILE", help="One word or name per line; - is standard input.")
]


def register(cli: typer.Typer) -> None:
    """Add these commands."""
    vocabulary = CommandLine(rich_markup_mode=None, no_args_is_help=True)
    vocabulary.command("list", epilog="Example: orchestrator vocabulary list")(list_words)
    vocabulary.command("set", epilog="Example: orchestrator vocabulary set --prefix talks/ Okafor Ilse")(set_words)
    vocabulary.command("add", epilog="Example: orchestrator vocabulary add --prefix talks/ Okafor")(add_words)
    vocabulary.command("remove", epilog="Example: orchestrator vocabulary remove --prefix talks/ Okafor")(remove_words)
    vocabulary.command(epilog="Example: orchestrator vocabulary requeue --prefix talks/ --dry-run")(requeue)
    cli.add_typer(
        vocabulary,
        name="vocabulary",
        help="Names and words that recordings are about, which transcribers are given to expect.",
        epilog="Example: orchestrator vocabulary set --prefix talks/ Okafor Ilse",
    )


def list_words(as_json: JsonOption = False, config: ConfigOption = None) -> None:
    """List the words of each prefix."""
    from orchestrator.cli import vocabulary as work

    work.show(as_json, config)


def set_words(
    words: WordsArgument = None,
    prefix: PrefixOption = "",
    from_file: FileOption = None,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Replace the list of a prefix by these words, the most important ones first."""
    from orchestrator.cli import vocabulary as work

    work.replace(words, prefix, from_file, as_json, config)


def add_words(
    words: WordsArgument = None,
    prefix: PrefixOption = "",
    from_file: FileOption = None,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Add words to the end of the list of a prefix."""
    from orchestrator.cli import vocabulary as work

    work.add(words, prefix, from_file, as_json, config)


def remove_words(
    words: WordsArgument = None, prefix: PrefixOption = "", as_json: JsonOption = False, config: ConfigOption = None
) -> None:
    """Remove words from the list of a prefix; without words, the list."""
    from orchestrator.cli import vocabulary as work

    work.remove(words, prefix, as_json, config)


def requeue(
    prefix: PrefixOption = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say how many.")] = False,
    yes: YesOption = False,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Transcribe again what was given other words than it would be now. Asks first. Edits are kept."""
    from orchestrator.cli import vocabulary as work

    work.requeue(prefix, dry_run, yes, as_json, config)
