"""Jobs that were given up, grouped by what was wrong with them."""

from psycopg.rows import class_row

from orchestrator.database.sql import Connection
from orchestrator.jobs.models import Record

_REASON = r"""
    regexp_replace(replace(t.error_message, m.savepath, 'SAVEPATH'), '\d+(\.\d+)?', 'N', 'g')
"""
"""A message without what differs from job to job."""

_FAILED = """
    from transcriptions t join media m on m.id = t.media_id where t.state = 'failed' and not t.superseded
"""


class FailureGroup(Record):
    """Jobs that failed for one reason.

    Attributes:
        code: of the error.
        reason: its sentence, with SAVEPATH and N for what differs.
        count: of jobs.
        example: savepath of the newest.
        message: its own sentence.
    """

    code: str
    reason: str
    count: int
    example: str
    message: str


async def groups(connection: Connection) -> list[FailureGroup]:
    """The largest first."""
    async with connection.cursor(row_factory=class_row(FailureGroup)) as cursor:
        await cursor.execute(
            f"""
            select t.error_code as code, {_REASON} as reason, count(*) as count,
                (array_agg(m.savepath order by t.finished_at desc, t.id desc))[1] as example,
                (array_agg(t.error_message order by t.finished_at desc, t.id desc))[1] as message
            {_FAILED} group by 1, 2 order by count desc, code, reason
            """
        )
        return await cursor.fetchall()


async def failed_ids(
    connection: Connection, bucket: str | None = None, code: str | None = None, reason: str | None = None
) -> list[int]:
    """Jobs that failed: all, those of a bucket, with an error code, or of one group."""
    cursor = await connection.execute(
        f"""
        select t.id {_FAILED} and (%(code)s::text is null or t.error_code = %(code)s)
            and (%(reason)s::text is null or {_REASON} = %(reason)s)
            and (%(bucket)s::text is null or m.bucket = %(bucket)s) order by t.id
        """,
        {"bucket": bucket, "code": code, "reason": reason},
    )
    return [row[0] for row in await cursor.fetchall()]
