"""Vocabularies: lists of names and words by the prefix of savepaths, which transcribers are given as words to expect.

Functions take the connection, so that the caller says what belongs to one transaction.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Annotated

from pydantic import AfterValidator, Field

from orchestrator.database.sql import Connection, fetch_all, fetch_models, fetch_value, starting_with
from orchestrator.jobs.models import Record, storable
from reelscribe.contracts.messages import WireModel
from reelscribe.contracts.transcriber import LONGEST_WORD, MOST_WORDS
from reelscribe.text.srt_vtt import one_line


def _word(text: str) -> str:
    text = one_line(storable(text))
    if not text:
        raise ValueError("holds no character that shows")
    if "," in text:
        raise ValueError("holds a comma, which separates words")
    return text


ListedWord = Annotated[str, Field(min_length=1, max_length=LONGEST_WORD), AfterValidator(_word)]


class WordList(WireModel):
    """Words, the most important ones first."""

    words: tuple[ListedWord, ...] = Field(max_length=MOST_WORDS, strict=False)


class Vocabulary(Record):
    """The words of the savepaths that start with ``prefix``; the empty one is every savepath."""

    prefix: str
    words: list[str]
    changed_at: datetime
    changed_by: str


class UsedList(Record):
    """A list as it was when it was used."""

    prefix: str
    words: list[str]


class UsedVocabulary(Record):
    """What a transcriber was given: words of ``lists``, the longest prefix first, each word once.

    Attributes:
        used: the words that there was room for; ``cut``: those after them.
    """

    lists: list[UsedList]
    used: list[str]
    cut: list[str]

    @property
    def sentence(self) -> str:
        """For people."""
        of = " and ".join(one.prefix or "all recordings" for one in self.lists)
        cut = f"; {len(self.cut)} more had no room" if self.cut else ""
        return f"{len(self.used)} words to expect were given, of the vocabulary of {of}{cut}"


def words_of(lists: Iterable[UsedList]) -> list[str]:
    """The words of lists, each once, at most as many as a request takes."""
    return list(dict.fromkeys(word for one in lists for word in one.words))[:MOST_WORDS]


async def vocabularies(connection: Connection) -> list[Vocabulary]:
    """All lists, by prefix."""
    return await fetch_models(connection, Vocabulary, "select * from vocabularies order by prefix")


def lists_of(savepath: str) -> str:
    """SQL for the lists of a savepath, the longest prefix first, as JSON; ``savepath`` is an SQL expression."""
    return f"""
        coalesce((
            select jsonb_agg(jsonb_build_object('prefix', prefix, 'words', words) order by length(prefix) desc)
            from vocabularies where starts_with({savepath}, prefix)
        ), '[]')
    """


async def choose(connection: Connection, savepath: str) -> list[UsedList]:
    """The lists that a savepath has now, the longest prefix first."""
    return [UsedList(**one) for one in await fetch_value(connection, f"select {lists_of('%s::text')}", (savepath,))]


async def put(connection: Connection, prefix: str, words: Sequence[str], by: str) -> None:
    """Make a list, or replace it; without words, there is none any more."""
    if not words:
        await connection.execute("delete from vocabularies where prefix = %s", (prefix,))
        return
    await connection.execute(
        """
        insert into vocabularies (prefix, words, changed_by) values (%(prefix)s, %(words)s, %(by)s)
        on conflict (prefix) do update set words = excluded.words, changed_by = excluded.changed_by, changed_at = now()
        """,
        {"prefix": prefix, "words": list(dict.fromkeys(words)), "by": by},
    )


async def words_at(connection: Connection, prefix: str) -> list[str]:
    """The words of one list, which no one else changes until the transaction ends; empty if there is none."""
    await connection.execute("select pg_advisory_xact_lock(hashtextextended(%s, 0))", (f"vocabulary {prefix}",))
    words: list[str] | None = await fetch_value(
        connection, "select words from vocabularies where prefix = %s", (prefix,)
    )
    return words or []


class Transcribed(Record):
    """A current transcript, and the words that its last attempt was given."""

    id: int
    bucket: str
    savepath: str
    options: dict[str, object]
    given: list[str]


async def transcribed(connection: Connection, prefix: str, after: int, limit: int) -> list[Transcribed]:
    """Finished transcriptions that no newer version replaces, of savepaths that start with ``prefix``, in order;
    ``after`` is the last id of the page before.
    """
    rows = await fetch_all(
        connection,
        """
        select t.id, m.bucket, m.savepath, t.options, (
            select a.vocabulary from attempts a where a.transcription_id = t.id order by a.attempt desc limit 1
        ) from transcriptions t join media m on m.id = t.media_id
        where t.state = 'done' and not t.superseded and t.id > %s and m.savepath like %s and m.removed_at is null
        order by t.id limit %s
        """,
        (after, starting_with(prefix), limit),
    )
    return [
        Transcribed(
            id=row[0],
            bucket=row[1],
            savepath=row[2],
            options=row[3],
            given=words_of(UsedVocabulary.model_validate(row[4]).lists) if row[4] else [],
        )
        for row in rows
    ]
