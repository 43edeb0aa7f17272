"""A small part of the matrix in which every container and every variant occurs."""

from collections import Counter
from collections.abc import Sequence

from tests.media_matrix.variants import Case

SAMPLE = 60
"""Cases that the tests take."""


def sample(cases: Sequence[Case], count: int) -> list[Case]:
    """One case for each container, then the others, each time the one whose variant and codec occur least.

    The same for the same cases; in their order.
    """
    variants: Counter[str] = Counter()
    codecs: Counter[str] = Counter()
    chosen: set[Case] = set()

    def choose(among: list[Case]) -> None:
        case = min(among, key=lambda one: (variants[one.variant], codecs[one.kind.codec]))
        variants[case.variant] += 1
        codecs[case.kind.codec] += 1
        chosen.add(case)

    for container in dict.fromkeys(case.kind.container for case in cases):
        choose([case for case in cases if case.kind.container == container])
    while len(chosen) < count:
        choose([case for case in cases if case not in chosen])
    return [case for case in cases if case in chosen]
