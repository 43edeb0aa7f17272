"""Pauses that grow with each failure and are never alike, so that what failed together is not tried again together."""

from collections.abc import Callable

from tenacity import AsyncRetrying, RetryCallState, wait_exponential, wait_random


def exponential(first: float, longest: float) -> Callable[[int], float]:
    """Seconds to wait after the n-th failure: ``first``, twice that, … up to ``longest``, and up to ``first`` more."""
    wait = wait_exponential(multiplier=first, max=longest) + wait_random(0, first)

    def seconds(failures: int) -> float:
        state = RetryCallState(AsyncRetrying(), None, (), {})
        state.attempt_number = failures
        return wait(state)

    return seconds
