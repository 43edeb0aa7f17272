"""Which of several pictures is shown by default; programs in the sandbox need it too, so it imports nothing of ours."""

from collections.abc import Sequence


def place_of_default(pictures: Sequence[tuple[bool, int]]) -> int:
    """The default one, else the one with the most pixels, else the first.

    Args:
        pictures: of each, covers left out: whether it is flagged as default, and its pixels.
    """
    return min(range(len(pictures)), key=lambda place: (not pictures[place][0], -pictures[place][1], place))
