"""What an audio tokeniser is: sound of one channel in, whole numbers out; and the checks of what it returns."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from orchestrator.errors import NotTokenized, UnusableTokenizer

if TYPE_CHECKING:  # only an export of tokens should wait for its import
    import numpy as np
    import numpy.typing as npt

    Samples: TypeAlias = npt.NDArray[np.float32]
    Tokens: TypeAlias = npt.NDArray[np.int16]

SAMPLE_RATES = range(8000, 192_001)
"""Hz; what the extractor can deliver."""
VOCABULARIES = range(1, 2**15 + 1)
"""What int16 can hold."""


class AudioTokenizer(Protocol):
    """Turns sound into tokens. One that can also has ``decode(tokens) -> sound``, the inverse of :meth:`encode`.

    Attributes:
        name: as in ``export --tokens``.
        version: changes whenever the same sound gives other tokens.
        sample_rate: Hz, of the sound that it takes.
        tokens_per_second: of sound.
        vocabulary: how many tokens there are; each is from 0 to less than this.
    """

    name: str
    version: str
    sample_rate: int
    tokens_per_second: float
    vocabulary: int

    def encode(self, sound: "Samples") -> "Tokens":
        """The tokens of a sound: from samples of one channel, from -1 to 1, to a 1-D array of int16."""


def description(tokenizer: AudioTokenizer) -> dict[str, Any]:
    """What a dataset says of its tokeniser."""
    return {
        "name": tokenizer.name,
        "version": tokenizer.version,
        "sample_rate": tokenizer.sample_rate,
        "tokens_per_second": tokenizer.tokens_per_second,
        "vocabulary": tokenizer.vocabulary,
    }


def check_attributes(name: str, tokenizer: AudioTokenizer) -> None:
    """Check that it says of itself what a dataset needs.

    Raises:
        UnusableTokenizer: it does not.
    """
    needed: dict[str, Callable[[Any], bool]] = {
        "name": lambda value: value == name,
        "version": lambda value: isinstance(value, str) and value != "",
        "sample_rate": lambda value: type(value) is int and value in SAMPLE_RATES,
        "tokens_per_second": lambda value: type(value) in (int, float) and value > 0,
        "vocabulary": lambda value: type(value) is int and value in VOCABULARIES,
        "encode": callable,
    }
    for attribute, is_right in needed.items():
        value = getattr(tokenizer, attribute, None)
        if not is_right(value):
            raise UnusableTokenizer(f"the tokeniser {name} cannot be used: its {attribute} is {value!r}")


def encode(tokenizer: AudioTokenizer, sound: "Samples", savepath: str) -> "Tokens":
    """The tokens of a part of a recording; none of no sound.

    Raises:
        NotTokenized: the tokeniser raised, or returned something else than tokens.
    """
    import numpy as np

    if not sound.size:
        return np.empty(0, np.int16)
    try:
        tokens = tokenizer.encode(sound)
    except Exception as mistake:
        reason = " ".join(f"{type(mistake).__name__}: {mistake}".split())
        raise NotTokenized(f"{savepath}: the tokeniser {tokenizer.name} failed: {reason}") from mistake
    if not isinstance(tokens, np.ndarray) or tokens.dtype != np.int16 or tokens.ndim != 1:
        what = (
            f"{tokens.dtype} of the shape {tokens.shape}" if isinstance(tokens, np.ndarray) else type(tokens).__name__
        )
        raise NotTokenized(
            f"{savepath}: the tokeniser {tokenizer.name} returned {what} instead of int16 in one dimension"
        )
    if tokens.size and not 0 <= tokens.min() <= tokens.max() < tokenizer.vocabulary:
        raise NotTokenized(
            f"{savepath}: the tokeniser {tokenizer.name} returned tokens from {tokens.min()} to {tokens.max()}, "
            f"outside its vocabulary of {tokenizer.vocabulary}"
        )
    return tokens
