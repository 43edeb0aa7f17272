"""Finding audio tokenisers: the one that is always there, and those of installed packages, by entry points."""

from collections.abc import Callable
from importlib.metadata import EntryPoint, entry_points

from orchestrator.errors import UnknownTokenizer, UnusableTokenizer
from orchestrator.exports.tokens.mulaw import MuLaw
from orchestrator.exports.tokens.tokenizer import AudioTokenizer, check_attributes

GROUP = "reelscribe.tokenizers"
"""The group of entry points. Each is a class, or a function, that returns a tokeniser when it is called."""
BUILT_IN: dict[str, Callable[[], AudioTokenizer]] = {MuLaw.name: MuLaw}


def names() -> list[str]:
    """What ``--tokens`` can name."""
    return sorted({*BUILT_IN, *entry_points(group=GROUP).names})


def load(name: str) -> AudioTokenizer:
    """The tokeniser of this name.

    Raises:
        UnknownTokenizer: there is none.
        UnusableTokenizer: its package cannot be imported, or what it brings is no tokeniser.
    """
    found = tuple(entry_points(group=GROUP, name=name))
    if name not in BUILT_IN and not found:
        raise UnknownTokenizer(f"there is no tokeniser {name}; installed: {', '.join(names())}")
    brought = [_package(entry) for entry in found] + ["reelscribe"] * (name in BUILT_IN)
    if len(brought) > 1:
        raise UnusableTokenizer(f"the tokeniser {name} is in several packages: {', '.join(sorted(brought))}")
    try:
        tokenizer = BUILT_IN[name]() if name in BUILT_IN else found[0].load()()
    except Exception as mistake:
        reason = " ".join(f"{type(mistake).__name__}: {mistake}".split())
        raise UnusableTokenizer(f"the tokeniser {name} of {brought[0]} cannot be used: {reason}") from mistake
    check_attributes(name, tokenizer)
    return tokenizer


def _package(entry: EntryPoint) -> str:
    return entry.dist.name if entry.dist else entry.value
