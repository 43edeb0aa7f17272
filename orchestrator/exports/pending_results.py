"""What ``[results]`` names and is not stored yet: a job is to store it, or none is yet."""

from collections.abc import Sequence

from orchestrator.database.sql import Connection
from orchestrator.jobs import queries, stats
from orchestrator.jobs.models import TRANSCRIBE
from orchestrator.jobs.stats import PendingWork

STORE_RESULT = "store_result"
"""The kind of work that stores a transcript."""
STORE_MEDIA = "store_media"
"""The kind of work that stores previews, and the sound as a file."""
RESULT_KINDS = (STORE_RESULT, STORE_MEDIA)
MOST_AT_A_TIME = 5000


async def pending_results(connection: Connection, jobs: Sequence[int] | None = None) -> PendingWork:
    """Results that jobs are to store: all, or those of these jobs' recordings."""
    return await stats.pending_work(connection, RESULT_KINDS, jobs)


async def without_result(connection: Connection, kind: str, after: int) -> list[int]:
    """Recordings with a finished transcript that no job of this kind has followed; at most ``MOST_AT_A_TIME`` ids.

    Args:
        after: the last id of the call before; the ids are in order.
    """
    return await queries.without_follow_up(connection, kind, TRANSCRIBE, after, MOST_AT_A_TIME)


def results_sentence(results: PendingWork) -> str | None:
    """What is to be said of results that are not stored yet; None if all are."""
    if not results.pending:
        return None
    what = "1 result is" if results.pending == 1 else f"{results.pending} results are"
    sentence = f"{what} not in the [results] bucket yet"
    if not results.failing:
        return sentence
    return f"{sentence}, {results.failing} of them refused and tried again: {results.error}"
