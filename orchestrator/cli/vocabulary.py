"""The command ``vocabulary``: words to expect, by the prefix of savepaths."""

from codecs import BOM_UTF8
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

from orchestrator.access.interface import Access
from orchestrator.access.opening import run
from orchestrator.cli.console import counted, print_json, visible
from orchestrator.cli.options import checked_word, confirmed, open_list, refuse_unmatched, require_answer, usage
from orchestrator.cli.queue_rules import who
from orchestrator.jobs.vocabulary import Vocabulary
from orchestrator.session import print_error
from reelscribe.contracts.transcriber import MOST_WORDS

Change = Callable[[Access], Awaitable[list[Vocabulary]]]


def show(as_json: bool, config: Path | None) -> None:
    """List the words of each prefix."""
    _run(lambda access: access.vocabularies(), as_json, config)


def replace(words: list[str] | None, prefix: str, from_file: str | None, as_json: bool, config: Path | None) -> None:
    """Replace a list."""
    refuse_unmatched(prefix)
    given = _words(words, from_file)
    _run(lambda access: access.put_vocabulary(prefix, given), as_json, config, creates=True)


def add(words: list[str] | None, prefix: str, from_file: str | None, as_json: bool, config: Path | None) -> None:
    """Add to a list."""
    refuse_unmatched(prefix)
    given = _words(words, from_file)
    _run(lambda access: access.change_vocabulary(prefix, given, ()), as_json, config, creates=True)


def remove(words: list[str] | None, prefix: str, as_json: bool, config: Path | None) -> None:
    """Remove from a list, or all of it."""
    given = _words(words, None) if words else ()

    async def work(access: Access) -> int:
        lists = await access.vocabularies()
        before = next((one.words for one in lists if one.prefix == prefix), [])
        found = [word for word in given if word in before]
        missing = [word for word in given if word not in before]
        if not before:
            print_error(visible(f"there is no vocabulary of {_subject(prefix)}"))
        for word in missing if before else ():
            print_error(visible(f"{word} is not in the vocabulary of {_subject(prefix)}"))
        if found:
            lists = await access.change_vocabulary(prefix, (), found)
        elif before and not given:
            lists = await access.put_vocabulary(prefix, ())
        _print(lists, as_json)
        return 0 if before and not missing else 1

    run(config, work, who())


def requeue(prefix: str, dry_run: bool, yes: bool, as_json: bool, config: Path | None) -> None:
    """Transcribe again what was given other words than it would be now."""
    if not dry_run:
        require_answer("vocabulary requeue", yes)

    async def work(access: Access) -> int:
        found = await access.requeue(prefix, dry_run=True)
        what = counted(found.recordings, "recording")
        if not dry_run and found.recordings:
            if not confirmed(f"Transcribe {what} again?", yes):
                print_error("nothing was queued")
                return 1
            found = await access.requeue(prefix, dry_run=False)
        if as_json:
            print_json({"recordings": found.recordings, "dry_run": dry_run})
        elif dry_run:
            print(f"would transcribe {what} again")
        else:
            print(f"{counted(found.recordings, 'recording')} queued again")
        return 0

    run(config, work, who())


def _run(change: Change, as_json: bool, config: Path | None, creates: bool = False) -> None:
    async def work(access: Access) -> int:
        _print(await change(access), as_json)
        return 0

    run(config, work, who(), creates=creates)


def _print(lists: list[Vocabulary], as_json: bool) -> None:
    if as_json:
        print_json([one.model_dump(mode="json") for one in lists])
    elif not lists:
        print_error("there is no vocabulary; make one with: orchestrator vocabulary set --prefix PREFIX WORD …")
    for one in () if as_json else lists:
        print(visible(f"{_subject(one.prefix)}: {', '.join(one.words)}"))


def _subject(prefix: str) -> str:
    return prefix or "all savepaths"


def _words(arguments: list[str] | None, from_file: str | None) -> tuple[str, ...]:
    words = [checked_word(word, f"WORD {word!r}") for word in arguments or ()]
    if from_file is not None:
        words += _listed(from_file)
    if not words:
        usage("name at least one WORD, or a file of them with --from-file")
    unique = dict.fromkeys(words)
    if len(unique) > MOST_WORDS:
        usage(f"a vocabulary has {MOST_WORDS} words at most; these are {len(unique)}")
    return tuple(unique)


def _listed(from_file: str) -> Iterator[str]:
    """The words of a file, one per line; if one cannot be a word, the command ends with its line."""
    with open_list(from_file) as file:
        lines = file.read().removeprefix(BOM_UTF8).splitlines()
    for number, line in enumerate(lines, start=1):
        where = visible(f"{from_file}:{number}")
        try:
            word = line.decode().strip()
        except UnicodeDecodeError:
            usage(f"{where} is not UTF-8 text")
        if word:
            yield checked_word(word, where)
