"""Which recordings have a title with these words."""

from orchestrator.database.sql import Connection, fetch_models, starting_with
from orchestrator.jobs.models import Record
from orchestrator.transcripts.search import SearchQuery
from orchestrator.transcripts.words import parse

MOST_RECORDINGS = 20
"""That a search names for their titles; a title that so many have says little."""


class TitledRecording(Record):
    """A recording that was given a title."""

    bucket: str
    savepath: str
    title: str


async def titled(connection: Connection, query: SearchQuery, default_bucket: str) -> list[TitledRecording]:
    """The recordings whose title holds all terms of a query, the newest first. Its filters other than ``prefix`` are
    of transcripts, and do not count.
    """
    return await fetch_models(
        connection,
        TitledRecording,
        """
        select bucket, savepath, title from media
        where title is not null and title_search @@ %(terms)s::tsquery and bucket = %(bucket)s
            and savepath like %(prefix)s
        order by id desc limit %(limit)s
        """,
        {
            "terms": " & ".join(f"({term.as_tsquery()})" for term in parse(query.q)),
            "bucket": query.bucket_name or default_bucket,
            "prefix": starting_with(query.prefix),
            "limit": MOST_RECORDINGS,
        },
    )
