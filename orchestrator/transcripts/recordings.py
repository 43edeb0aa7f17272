"""Which recordings have a finished transcript, and what of it a dataset needs to know."""

from typing import Any

from orchestrator.database.sql import Connection, fetch_models, starting_with
from orchestrator.jobs.models import Record
from orchestrator.transcripts.filters import newest
from orchestrator.transcripts.where import EVERY, Condition

PAGE = 1000


class TranscribedRecording(Record):
    """A recording with the newest finished transcription of it.

    Attributes:
        etag: of the object that was transcribed; None if it was not reported, as ``track`` is.
        seconds: that are transcribed.
    """

    savepath: str
    job: int
    language: str | None
    options: dict[str, Any]
    seconds: float
    etag: str | None
    track: int | None

    @property
    def translated(self) -> bool:
        """Whether its text is in another language than its sound."""
        return self.options.get("task") == "translate"


async def transcribed(
    connection: Connection,
    bucket: str,
    prefix: str = "",
    savepaths: list[str] | None = None,
    where: Condition = EVERY,
    after: str = "",
    limit: int = PAGE,
) -> list[TranscribedRecording]:
    """In the order of their savepaths; ``after`` is the last savepath of the page before."""
    return await fetch_models(
        connection,
        TranscribedRecording,
        f"""
        select m.savepath, t.id as job, t.language, t.options, t.progress_seconds as seconds, a.etag, a.track
        from media m join transcriptions t on t.media_id = m.id and t.state = 'done' and {newest("t")}
        left join lateral (
            select etag, track from attempts
            where transcription_id = t.id and etag is not null order by attempt desc limit 1
        ) a on true
        where m.bucket = %(bucket)s and m.savepath like %(prefix)s and m.savepath > %(after)s
            and (%(savepaths)s::text[] is null or m.savepath = any(%(savepaths)s)) and {where.sql}
        order by m.savepath limit %(limit)s
        """,
        {
            "bucket": bucket,
            "prefix": starting_with(prefix),
            "savepaths": savepaths,
            "after": after,
            "limit": limit,
            **where.parameters,
        },
    )
