"""The words of the segments that were stored before there was a search."""

from itertools import groupby

from yoyo import step

from orchestrator.transcripts import words

STORED_AT_ONCE = 1000


def fill(connection):
    reading, writing = connection.cursor("old_segments"), connection.cursor()
    with reading, writing:
        reading.execute("select transcription_id, index, text from segments order by transcription_id, index")
        for id, rows in groupby(reading, key=lambda row: row[0]):
            segments = list(rows)
            entries = words.vectors(text for _, _, text in segments)
            for first in range(0, len(segments), STORED_AT_ONCE):
                part = slice(first, first + STORED_AT_ONCE)
                writing.execute(
                    "update segments s set search = made.entry::tsvector"
                    " from unnest(%s::integer[], %s::text[]) as made (index, entry)"
                    " where s.transcription_id = %s and s.index = made.index",
                    ([index for _, index, _ in segments[part]], entries[part], id),
                )


# Without fastupdate: the list of pending entries would be read by every search.
steps = [
    step(fill),
    step("alter table segments alter column search set not null"),
    step("create index segments_search on segments using gin (search) with (fastupdate = off)"),
]
