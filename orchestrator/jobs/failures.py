"""Failed jobs, grouped by what was wrong with them."""

from typing import Any

from orchestrator.database.sql import Connection, fetch_column, fetch_models
from orchestrator.jobs.models import Record

_REASON = r"""
    regexp_replace(replace(t.error_message, t.savepath, 'SAVEPATH'), '\d+(\.\d+)?', 'N', 'g')
"""
"""A message without what differs from job to job."""

_FAILED = """
    from (
        select j.*, coalesce(m.savepath, '') as savepath, coalesce(m.bucket, '') as bucket
        from jobs j left join media m on m.id = j.media_id
    ) t where t.state = 'failed' and not t.superseded
"""


MOST_SAVEPATHS = 1000
"""Of one group that are named."""


class FailureGroup(Record):
    """Jobs that failed for one reason.

    Attributes:
        code: of the error.
        reason: its sentence, with SAVEPATH and N for what differs.
        count: of jobs.
        example: savepath of the newest.
        message: its own sentence.
        options: those of each of the jobs of ``savepaths``, that are not as by default.
        savepaths: of the newest jobs, at most :data:`MOST_SAVEPATHS`.
    """

    code: str
    reason: str
    count: int
    example: str
    message: str
    savepaths: list[str]
    options: list[dict[str, Any]]


async def groups(connection: Connection) -> list[FailureGroup]:
    """The largest first."""
    return await fetch_models(
        connection,
        FailureGroup,
        f"""
        select t.error_code as code, {_REASON} as reason, count(*) as count,
            (array_agg(t.savepath order by t.finished_at desc, t.id desc))[1] as example,
            (array_agg(t.error_message order by t.finished_at desc, t.id desc))[1] as message,
            (array_agg(t.savepath order by t.finished_at desc, t.id desc))[1:{MOST_SAVEPATHS}] as savepaths,
            (array_agg(t.options order by t.finished_at desc, t.id desc))[1:{MOST_SAVEPATHS}] as options
        {_FAILED} group by 1, 2 order by count desc, code, reason
        """,
    )


async def failed_ids(
    connection: Connection, bucket: str | None = None, code: str | None = None, reason: str | None = None
) -> list[int]:
    """Jobs that failed: all, those of a bucket, with an error code, or of one group."""
    return await fetch_column(
        connection,
        f"""
        select t.id {_FAILED} and (%(code)s::text is null or t.error_code = %(code)s)
            and (%(reason)s::text is null or {_REASON} = %(reason)s)
            and (%(bucket)s::text is null or t.bucket = %(bucket)s) order by t.id
        """,
        {"bucket": bucket, "code": code, "reason": reason},
    )
