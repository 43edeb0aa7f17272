"""Loops of the decoder: the same words again and again, although they were said once or never.

Cut by ``fallback`` in windows that loop at every temperature; ``second_pass`` counts them in its quality score.
"""

from collections.abc import Iterator, Sequence

MIN_TIMES = 3
"""A phrase that is said less often in a row stays as it is."""


def without_loops(tokens: Sequence[int], end_of_text: int) -> list[int]:
    """The positions of the tokens to keep: of a phrase said at least three times in a row, the first one.

    It is for windows that exceed the largest compression ratio at every temperature: people repeat themselves too, but
    not like that. What is kept ends when the phrase ended the first time.

    Args:
        end_of_text: tokens from this one on are no text, but timestamps.
    """
    positions = [position for position, token in enumerate(tokens) if token < end_of_text]
    dropped: set[int] = set()
    for again in repeats([tokens[position] for position in positions], MIN_TIMES):
        since, until = positions[again.start - 1] + 1, positions[again.stop - 1] + 1
        dropped.update(position for position in range(since, until) if tokens[position] < end_of_text)
        timestamps = [position for position in range(since, until) if tokens[position] >= end_of_text]
        dropped.update(timestamps[1:])
    return [position for position in range(len(tokens)) if position not in dropped]


def repeats(text: Sequence[int], times: int, shortest: int = 1) -> Iterator[range]:
    """The stretches in which a phrase is said again, without its first time.

    Args:
        times: it is said in a row, at least.
        shortest: length of a phrase.
    """
    start = 0
    while start < len(text):
        lengths = range(shortest, (len(text) - start) // times + 1)
        found = max((_repeat(text, start, length, times) for length in lengths), key=len, default=range(0))
        if found:
            yield found
        start = found.stop if found else start + 1


def _repeat(text: Sequence[int], start: int, length: int, times: int) -> range:
    """The stretch in which the phrase of that length is said again; at the end of the text a part of it counts too."""
    end = start + length
    while end < len(text) and text[end] == text[end - length]:
        end += 1
    if (end - start) // length < times:
        return range(0)
    return range(start + length, end if end == len(text) else end - (end - start) % length)
