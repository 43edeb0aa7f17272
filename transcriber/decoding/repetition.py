"""Loops of the decoder: the same words again and again, where they were said once or never."""

from collections.abc import Iterator, Sequence

MIN_TIMES = 3
"""What is said more seldom in a row stays as it is."""


def without_loops(tokens: Sequence[int], end_of_text: int) -> list[int]:
    """Which tokens of a window to keep (their places): of a phrase said at least three times in a row, the first.

    It is for windows that are over the largest compression ratio at every temperature: people repeat themselves too,
    but not so. What is kept ends where its first saying did.

    Args:
        end_of_text: tokens from this one on are no text, but timestamps.
    """
    places = [place for place, token in enumerate(tokens) if token < end_of_text]
    dropped: set[int] = set()
    for again in repeats([tokens[place] for place in places], MIN_TIMES):
        since, until = places[again.start - 1] + 1, places[again.stop - 1] + 1
        dropped.update(place for place in range(since, until) if tokens[place] < end_of_text)
        timestamps = [place for place in range(since, until) if tokens[place] >= end_of_text]
        dropped.update(timestamps[1:])
    return [place for place in range(len(tokens)) if place not in dropped]


def repeats(text: Sequence[int], times: int, shortest: int = 1) -> Iterator[range]:
    """Where a phrase is said again, without its first time.

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
    """Where the phrase of that length is said again; at the end of the text a part of it counts too."""
    end = start + length
    while end < len(text) and text[end] == text[end - length]:
        end += 1
    if (end - start) // length < times:
        return range(0)
    return range(start + length, end if end == len(text) else end - (end - start) % length)
