"""Finished transcripts that are not stored in the ``[results]`` bucket yet; a trigger adds each when it is finished."""

from collections.abc import Sequence
from typing import NamedTuple

from orchestrator.database.sql import Connection
from orchestrator.jobs import queries as job_queries
from orchestrator.jobs.models import Job, Record

LONGEST_PAUSE_SECONDS = 3600.0
FURTHEST_SECONDS = LONGEST_PAUSE_SECONDS + 60
"""No try is put off for longer: what is due later was put there by a clock that has been set back since."""
CLAIM_SECONDS = 600.0
"""How long one who stores a result may be silent before another one tries."""


class ResultsStatus(Record):
    """How many finished transcripts are not in the ``[results]`` bucket yet; ``failing`` of them were refused."""

    pending: int
    failing: int
    error: str | None = None

    @property
    def sentence(self) -> str | None:
        """What is to be told of it; None if all are there."""
        if not self.pending:
            return None
        what = "1 result is" if self.pending == 1 else f"{self.pending} results are"
        told = f"{what} not in the [results] bucket yet"
        return f"{told}, {self.failing} of them refused and tried again: {self.error}" if self.failing else told


class Claim(NamedTuple):
    """A result that is ours to store; ``tries`` with this one."""

    job: int
    tries: int


async def claim(connection: Connection) -> Claim | None:
    """A result whose time has come, if there is one."""
    await connection.execute(
        "update pending_results set next_try_at = now() where next_try_at > now() + make_interval(secs => %s)",
        (FURTHEST_SECONDS,),
    )
    cursor = await connection.execute(
        """
        update pending_results set tries = tries + 1, next_try_at = now() + make_interval(secs => %s)
        where transcription_id = (
            select transcription_id from pending_results where next_try_at <= now()
            order by next_try_at limit 1 for update skip locked
        ) returning transcription_id, tries
        """,
        (CLAIM_SECONDS,),
    )
    row = await cursor.fetchone()
    return Claim(*row) if row else None


async def stored(connection: Connection, job: Job) -> None:
    """The result is in the bucket. Where a newer one was stored meanwhile, it may be overwritten: once more, then."""
    await connection.execute("delete from pending_results where transcription_id = %s", (job.id,))
    newest = await job_queries.newest_finished(connection, job.bucket, job.savepath)
    if newest and newest.id != job.id:
        await connection.execute(
            """
            insert into pending_results (transcription_id) values (%s)
            on conflict (transcription_id) do update set next_try_at = now()
            """,
            (newest.id,),
        )


async def dropped(connection: Connection, claimed: Claim) -> None:
    """It is no longer wanted."""
    await connection.execute("delete from pending_results where transcription_id = %s", (claimed.job,))


async def failed(connection: Connection, claimed: Claim, message: str, delay_seconds: float) -> None:
    """It could not be stored; try again after the delay."""
    await connection.execute(
        """
        update pending_results set error_message = %s, next_try_at = now() + make_interval(secs => %s)
        where transcription_id = %s
        """,
        (message, delay_seconds, claimed.job),
    )


async def count(connection: Connection, jobs: Sequence[int] | None = None) -> ResultsStatus:
    """How many there are, of these jobs or of all."""
    cursor = await connection.execute(
        """
        select count(*), count(error_message), max(error_message) from pending_results
        where %(jobs)s::bigint[] is null or transcription_id = any(%(jobs)s)
        """,
        {"jobs": None if jobs is None else list(jobs)},
    )
    row = await cursor.fetchone()
    assert row
    return ResultsStatus(pending=row[0], failing=row[1], error=row[2])
